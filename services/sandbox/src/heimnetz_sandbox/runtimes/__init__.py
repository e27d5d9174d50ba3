"""The runtimes that plugins are written for. Each is an image of ours with a runner in it."""

from dataclasses import dataclass

from heimnetz_sandbox.runtimes import node, python


@dataclass(frozen=True, slots=True)
class Runtime:
    """`abi` names what dependencies were fetched for: another one needs other wheels.

    `own_processes` are the threads that are there before the plugin starts any.
    """

    name: str
    abi: str
    command: tuple[str, ...]
    build_command: tuple[str, ...]
    own_processes: int


ALL = tuple(
    Runtime(each.NAME, each.ABI, each.COMMAND, each.BUILD_COMMAND, each.OWN_PROCESSES)
    for each in (python, node)
)
BY_NAME = {runtime.name: runtime for runtime in ALL}
