"""Node: the runner is runtimes/node/runner.js of this service's folder."""

NAME = "node"
ABI = "node-20"
# The copy of the program that nobody may read: see the image.
COMMAND = ("/opt/heimnetz/node", "--v8-pool-size=1", "/opt/heimnetz/runner.js")
# Such plugins have no lock: the manifest's check refuses one.
BUILD_COMMAND = ()
# Four threads of process 1, the worker's seven beside its first, what the engine has in there at
# the start.
OWN_PROCESSES = 12
