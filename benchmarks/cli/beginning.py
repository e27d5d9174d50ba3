"""An author's first minute: from no directory to the result of a run in the sandbox."""

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import cast

import httpx
from benchmarks.figures import Figure, median
from benchmarks.sandbox.measure import postgres

from heimnetz_cli.scaffolding import Language
from heimnetz_common import testing as servers
from heimnetz_sandbox import testing
from heimnetz_sandbox.testing import Stand

PREFIX = "/api/sandbox"
TIMES = 5


def measure() -> Iterator[Figure]:
    """Sandbox and engine proxy as processes; what the gateway does is to take off a prefix."""
    with postgres() as url, tempfile.TemporaryDirectory(dir="/tmp") as folder:
        place = Path(folder)
        place.chmod(0o711)
        (place / "keys").mkdir()
        ring = servers.KeyRing(place / "keys")
        with testing.standing(place, url, ring) as stand:
            gateway = Gateway(stand)
            environment = {
                **os.environ,
                "HEIMNETZ_URL": f"http://127.0.0.1:{gateway.server_port}",
                "HEIMNETZ_TOKEN": ring.user("sandbox", "owner")["authorization"].split()[1],
                "XDG_CONFIG_HOME": folder,
            }
            for language in Language:
                took = [
                    _begin(place / f"{language}{n}", language, environment) for n in range(TIMES)
                ]
                yield Figure(
                    f"`new` and `dev --once`, {language}: result of the basic template's example, "
                    f"median of {TIMES}",
                    median(took),
                    "s",
                    to_reach="under 10",
                )
            gateway.shutdown()


def _begin(folder: Path, language: Language, environment: dict[str, str]) -> float:
    """Seconds."""
    folder.mkdir()
    began = time.perf_counter()
    for words in (
        ("new", "first", "--language", language, "--in", str(folder)),
        ("dev", str(folder / "first"), "--once"),
    ):
        command = [sys.executable, "-m", "heimnetz_cli", *words]
        subprocess.run(command, check=True, capture_output=True, env=environment)
    return time.perf_counter() - began


class Gateway(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, stand: Stand) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.stand = stand
        threading.Thread(target=self.serve_forever, daemon=True).start()


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        stand = cast(Gateway, self.server).stand
        answer = httpx.post(
            stand.url + self.path.removeprefix(PREFIX),
            content=self.rfile.read(int(self.headers["content-length"])),
            headers=dict(self.headers),
            timeout=60,
        )
        self.send_response(answer.status_code)
        self.send_header("content-type", answer.headers["content-type"])
        self.send_header("content-length", str(len(answer.content)))
        self.end_headers()
        self.wfile.write(answer.content)

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""
