"""Python: the runner is runtimes/python/runner.py of this service's folder."""

NAME = "python"
ABI = "cpython-3.13"
# -I keeps the image's environment and the working directory out of the search path.
COMMAND = ("python3", "-I", "/opt/heimnetz/runner.py")
# Process 1, its thread that accepts connections, what the engine has in there at the start.
OWN_PROCESSES = 3
BUILD_COMMAND = ("python3", "-I", "/opt/heimnetz/builder.py")
