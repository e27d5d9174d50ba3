"""The socket that a service serves at: made on the host, handed over, nothing of the host writable.

The container sees the folder read-only. Whoever connects to `service.sock` in it first, the
plugin's process, is given the listening socket (SCM_RIGHTS, unix(7)); a client connects to
`http.sock`. When the plugin ends, nobody listens there any more.
"""

import asyncio
import contextlib
import socket
from pathlib import Path

BACKLOG = 128


class Door:
    def __init__(self, folder: Path) -> None:
        self._listener = _listen(folder / "http.sock", 0o600)
        self._hatch = _listen(folder / "service.sock", 0o666)
        self._hatch.settimeout(0)
        asyncio.get_running_loop().add_reader(self._hatch, self._give)

    def _give(self) -> None:
        with contextlib.suppress(OSError):
            taker, _ = self._hatch.accept()
            with taker:
                socket.send_fds(taker, [b"http"], [self._listener.fileno()])
            self.close()

    def close(self) -> None:
        """Ours; what was handed over stays open there."""
        if self._hatch.fileno() != -1:
            asyncio.get_running_loop().remove_reader(self._hatch)
        self._hatch.close()
        self._listener.close()


def _listen(path: Path, mode: int) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    path.chmod(mode)
    listener.listen(BACKLOG)
    return listener
