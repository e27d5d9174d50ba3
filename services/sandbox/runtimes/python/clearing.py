"""What is done away with between two calls of one container. Standard library only."""

import contextlib
import os
import shutil
import signal
from pathlib import Path


def end_others(kept: int | None) -> None:
    """Every process of the container but this one and the one that is kept."""
    # Stopped first, where one is kept: what cannot run cannot fork away from us.
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL if kept is None else signal.SIGSTOP)
    if kept is None:
        return
    for name in (entry.name for entry in os.scandir("/proc")):
        if name.isdecimal() and int(name) not in (1, kept):
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(name), signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        os.kill(kept, signal.SIGCONT)


def bury(kept: int) -> None:
    """The dead that were left to us. Without the one that is kept no call can be made."""
    with contextlib.suppress(ChildProcessError):
        while number := os.waitpid(-1, os.WNOHANG)[0]:
            if number == kept:
                os._exit(0)


def empty(folder: Path) -> None:
    """Raises: OSError, where something cannot be removed."""
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            for parent, _, _ in os.walk(entry):
                Path(parent).chmod(0o700)
            shutil.rmtree(entry)
        else:
            entry.unlink()
