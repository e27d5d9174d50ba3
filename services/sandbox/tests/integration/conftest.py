"""What the tests of several rooms need."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from heimnetz_init import issuing
from heimnetz_sandbox.testing import images, place, stand

__all__ = ["images", "place", "stand"]


def own_address() -> str:
    """One of this machine that is neither loopback nor unreachable from it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        # Nothing is sent: this only asks the routing table.
        probe.connect(("192.0.2.1", 9))
        return str(probe.getsockname()[0])


@contextmanager
def certified(tmp_path: Path, address: str) -> Iterator[tuple[ssl.SSLContext, ssl.SSLContext]]:
    authority = issuing.make_authority()
    certificate, key = issuing.issue(*authority, "granted.example.org")
    (tmp_path / "ca.crt").write_text(authority[0])
    (tmp_path / "tls.crt").write_text(certificate)
    (tmp_path / "tls.key").write_text(key)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")
    yield server, ssl.create_default_context(cadata=authority[0])
