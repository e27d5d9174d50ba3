"""The runtimes that plugins are written for. Each is an image of ours with a runner in it."""

from dataclasses import dataclass

from heimnetz_sandbox.runtimes import python


@dataclass(frozen=True, slots=True)
class Runtime:
    """`abi` names what dependencies were fetched for: another one needs other wheels."""

    name: str
    abi: str
    command: tuple[str, ...]
    build_command: tuple[str, ...]


ALL = (Runtime(python.NAME, python.ABI, python.COMMAND, python.BUILD_COMMAND),)
BY_NAME = {runtime.name: runtime for runtime in ALL}
