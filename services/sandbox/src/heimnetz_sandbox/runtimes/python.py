"""Python: the runner is runtimes/python/runner.py of this service's folder."""

NAME = "python"
ABI = "cpython-3.13"
# -I keeps the image's environment and the working directory out of the search path.
# As a module: of a script Python makes bytecode anew at each start.
COMMAND = (
    *("python3", "-I", "-c"),
    "import sys; sys.path.append('/opt/heimnetz'); import runner; runner.main()",
)
# Process 1, its thread that accepts connections, what the engine has in there at the start.
OWN_PROCESSES = 3
BUILD_COMMAND = ("python3", "-I", "/opt/heimnetz/builder.py")
