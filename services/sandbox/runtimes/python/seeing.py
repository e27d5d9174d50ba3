"""What the plugin touches, by the interpreter's audit events (PEP 578). Evidence, and no barrier:

who wants to hide from it can. Standard library only.
"""

from __future__ import annotations

import os
import sys
from _thread import _local  # threading is larger

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Seen = tuple[str, str] | None

MOST = 200
MOST_CHARACTERS = 300
BROKER = ("127.0.0.1", 3128)
OWN = ("/plugin/", "/deps/")
# What every program of this language reads, and what a run is given.
QUIET_READS = (*OWN, "/usr/", "/opt/heimnetz/", "/etc/ssl/", "/tmp/", "/in", "/out", "/dev/null")  # noqa: S108
QUIET_WRITES = ("/tmp/", "/out/", "/dev/null", "/plugin/", "/deps/")  # noqa: S108
PROCESSES = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.startfile")


class Watch:
    def __init__(self) -> None:
        self.tell: Callable[[str, str], None] = lambda _kind, _target: None
        self.known: set[tuple[str, str]] = set()
        # What is told in one thread must not hide what another touches meanwhile.
        self.of_thread = _local()

    def hook(self, event: str, args: tuple[Any, ...]) -> None:
        look = LOOKS.get(event)
        if look is None or len(self.known) >= MOST or getattr(self.of_thread, "tells", False):
            return
        self.of_thread.tells = True
        try:
            found = look(args)
            if found is not None and found not in self.known:
                self.known.add(found)
                self.tell(*found)
        except Exception:  # noqa: BLE001, S110  what cannot be understood must not change the run
            pass
        finally:
            self.of_thread.tells = False


def on_open(args: tuple[Any, ...]) -> Seen:
    path, mode, flags = args
    if isinstance(path, int):
        return None
    text = os.path.abspath(os.fsdecode(path))
    is_written = any(letter in (mode or "") for letter in "wax+") or bool(
        (flags or 0) & (os.O_WRONLY | os.O_RDWR)
    )
    if text.startswith(QUIET_WRITES if is_written else QUIET_READS):
        return None
    return ("write" if is_written else "read"), text[:MOST_CHARACTERS]


def on_process(args: tuple[Any, ...]) -> Seen:
    program = args[0]
    if program is None and len(args) > 1:
        program = args[1][0] if isinstance(args[1], (list, tuple)) else args[1]
    return "process", os.fsdecode(program)[:MOST_CHARACTERS]


def on_code(args: tuple[Any, ...]) -> Seen:
    """Code that the plugin itself makes from text; libraries of the language do so all the time."""
    if args[0] is None:
        return None
    frame = sys._getframe(2)  # noqa: SLF001  this one, the hook, and who asked
    name = frame.f_code.co_filename
    return ("code", f"{name}:{frame.f_lineno}") if name.startswith(OWN) else None


def on_native(args: tuple[Any, ...]) -> Seen:
    return None if args[0] is None else ("native", str(args[0])[:MOST_CHARACTERS])


def on_import(args: tuple[Any, ...]) -> Seen:
    file = str(args[1] or "")
    return ("native", file) if file.startswith(OWN) and ".so" in file else None


def on_connect(args: tuple[Any, ...]) -> Seen:
    address = args[1]
    if isinstance(address, tuple):
        if address[:2] == BROKER:
            return None
        return "connect", f"{address[0]}:{address[1]}"[:MOST_CHARACTERS]
    text = os.fsdecode(address)
    return None if text.startswith("/run/heimnetz/") else ("connect", text[:MOST_CHARACTERS])


def on_resolve(args: tuple[Any, ...]) -> Seen:
    host = args[0].decode("ascii", "replace") if isinstance(args[0], bytes) else str(args[0])
    if host in ("localhost", "None") or ":" in host or not host.strip("0123456789."):
        return None
    return "resolve", host[:MOST_CHARACTERS]


LOOKS: dict[str, Callable[[tuple[Any, ...]], Seen]] = {
    "open": on_open,
    **dict.fromkeys(PROCESSES, on_process),
    "compile": on_code,
    "exec": on_code,
    "ctypes.dlopen": on_native,
    "import": on_import,
    "socket.connect": on_connect,
    "socket.getaddrinfo": on_resolve,
}
WATCH = Watch()


def begin(tell: Callable[[str, str], None]) -> None:
    WATCH.tell = tell
    sys.addaudithook(WATCH.hook)
