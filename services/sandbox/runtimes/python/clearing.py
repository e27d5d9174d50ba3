"""How processes end, and what is done away with between two calls. Standard library only."""

from __future__ import annotations

import _thread
import contextlib
import os
import signal


def watch_end(process: int) -> int:
    """A descriptor that can be read from when the child has ended."""
    with contextlib.suppress(OSError):  # gVisor knows no such descriptors
        return os.pidfd_open(process)
    read, write = os.pipe()

    def wait() -> None:
        os.waitid(os.P_PID, process, os.WEXITED | os.WNOWAIT)
        os.close(write)

    _thread.start_new_thread(wait, ())
    return read


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


def empty(folder: str) -> None:
    """Raises: OSError, where something cannot be removed."""
    for name in os.listdir(folder):
        path = f"{folder}/{name}"
        if os.path.isdir(path) and not os.path.islink(path):
            for parent, _, _ in os.walk(path):
                os.chmod(parent, 0o700)
            import shutil  # large, and seldom needed

            shutil.rmtree(path)
        else:
            os.unlink(path)
