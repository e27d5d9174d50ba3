"""A site on a server of its own, and a browser that walks through it and reports.

The server is the browser's proxy as well: whatever a page asks for, of whichever host, is seen.
"""

import json
import queue
import shutil
import socketserver
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
KINDS = {
    "html": "text/html; charset=utf-8",
    "css": "text/css",
    "js": "text/javascript",
    "svg": "image/svg+xml",
}
WALK_SECONDS = 25
# One frame a step: the page as a visitor has it, in a window of that width, with that theme.
WALK = b"""<!doctype html><title>walk</title><body><script src="/_steps.js"></script><script>
window.ran = [];
for (const name of ["alert", "confirm", "prompt", "print"]) window[name] = (what) => ran.push(`${name}(${what}) above`);
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const until = async (claim) => { for (let tries = 0; tries < 500 && !claim(); tries++) await pause(20); };
const open = (step) => new Promise((resolve) => {
  const frame = document.createElement("iframe");
  frame.style.cssText = `width:${step.width}px;height:900px;border:0`;
  localStorage.setItem("heimnetz-theme", step.theme);
  frame.addEventListener("load", () => resolve(frame), { once: true });
  frame.src = "/" + step.path;
  document.body.append(frame);
});
(async () => {
  const reports = [];
  for (const step of steps) {
    const frame = await open(step);
    const page = frame.contentWindow;
    await until(() => page.report);
    const report = page.report ? await page.report(step) : { failed: "no report" };
    reports.push({ path: step.path, theme: step.theme, width: step.width, ...report });
    frame.remove();
  }
  await fetch("/_report", { method: "POST", body: JSON.stringify({ reports, ran }) });
})();
</script>"""


@dataclass
class Site:
    files: dict[str, bytes]
    url: str = ""
    # Paths of this server; of other hosts the whole address.
    asked: list[str] = field(default_factory=list)
    told: "queue.Queue[dict[str, Any]]" = field(default_factory=queue.Queue)

    def unknown(self) -> list[str]:
        """What was asked for and is not there."""
        own = [name for name in self.asked if "://" not in name]
        return sorted({name for name in own if name not in self.files} - {"favicon.ico"})


Serve = Callable[[Mapping[str, bytes]], Any]
Walk = Callable[[Site, list[dict[str, Any]]], dict[str, Any]]


def _handler(site: Site) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = urlsplit(self.path)
            path = asked.path.lstrip("/")
            path += "index.html" if path.endswith("/") or not path else ""
            is_own = not asked.netloc or f"http://{asked.netloc}/" == site.url
            site.asked.append(path if is_own else self.path)
            data = site.files.get(path) if is_own else None
            self.send_response(200 if data is not None else 404)
            self.send_header(
                "content-type", KINDS.get(path.rpartition(".")[2], "application/octet-stream")
            )
            self.send_header("content-length", str(len(data or b"")))
            self.end_headers()
            self.wfile.write(data or b"")

        def do_CONNECT(self) -> None:
            site.asked.append(f"connect://{self.path}")
            self.send_error(502)

        def do_POST(self) -> None:
            # The browser's own posts, to its maker, come by here too.
            data = self.rfile.read(int(self.headers["content-length"] or 0))
            if self.path == f"{site.url}_report":
                site.told.put(json.loads(data))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@pytest.fixture(scope="module")
def serve() -> Serve:
    @contextmanager
    def served(files: Mapping[str, bytes]) -> Iterator[Site]:
        site = Site({"_walk.html": WALK, **files})
        with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _handler(site)) as server:
            server.daemon_threads = True
            site.url = f"http://127.0.0.1:{server.server_address[1]}/"
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
            thread.start()
            yield site
            server.shutdown()
            thread.join()

    return served


@pytest.fixture(scope="session")
def browser() -> str:
    for name in BROWSERS:
        found = shutil.which(name)
        if found:
            return found
    pytest.fail("this test needs Chromium: apt-get install chromium")


@pytest.fixture
def walk(browser: str, tmp_path: Path) -> Walk:
    """Opens each step's page; what the pages' own `report(step)` said."""

    def walk(site: Site, steps: list[dict[str, Any]]) -> dict[str, Any]:
        whole = [{"theme": "light", "width": 1280, **step} for step in steps]
        site.files["_steps.js"] = f"window.steps = {json.dumps(whole)};".encode()
        command = [
            *(browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
            *(f"--user-data-dir={tmp_path / 'profile'}", "--no-first-run"),
            *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
            *(f"--proxy-server={site.url.rstrip('/')}", "--proxy-bypass-list=<-loopback>"),
            *("--remote-debugging-port=0", "--window-size=1400,1000", f"{site.url}_walk.html"),
        ]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            try:
                return site.told.get(timeout=WALK_SECONDS)
            except queue.Empty:
                pytest.fail(f"the browser reported nothing; it asked for {site.asked[-20:]}")
        finally:
            process.terminate()
            process.wait(timeout=30)

    return walk
