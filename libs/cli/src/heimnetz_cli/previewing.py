"""The pages of a working copy, as docs-gen makes them, and a server that shows them here.

Every page is served with the policy of the published one. A script of the same origin, which only
the preview adds, asks for another one that reloads the page once it has changed.
"""

import html
import mimetypes
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from heimnetz_docs import (
    Known,
    Subject,
    describe,
    entry_of,
    generate_front,
    generate_site,
    render,
)
from heimnetz_manifest import pack, read_package

# As the gateway says it of /docs/; a test compares the two.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
CLIENT_SECONDS = 10
_WATCH = "/_preview/watch.js"
_CHANGED = "/_preview/changed.js"
# Asked for as a script, since the pages' policy lets no script fetch anything.
_WATCH_SCRIPT = f"""\
"use strict";
(() => {{
  const seen = new URL(document.currentScript.src).search;
  const look = () => {{
    const script = document.createElement("script");
    script.src = "{_CHANGED}" + seen;
    script.onload = script.onerror = () => {{
      script.remove();
      setTimeout(look, 400);
    }};
    document.head.append(script);
  }};
  addEventListener("load", look);
}})();
"""
_ERROR_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<link rel="stylesheet" href="/_static/docs.css">
</head>
<body>
<div class="frame narrow"><main id="content">
<h1>{title}</h1>
<pre>{text}</pre>
<p>This page is replaced when the files are saved.</p>
</main></div>
</body>
</html>
"""


def draw(project: Path) -> tuple[str, dict[str, bytes]]:
    """The plugin's name, and the files of a site that has no other plugin.

    Raises: ManifestError, OSError.
    """
    subject = Subject(read_package(pack(project)), Known(state="draft"))
    page = describe(subject)
    entry = entry_of(page, subject.known)
    files = render(subject, page)
    front = generate_front([entry], entry, files)
    return page.plugin, {
        **generate_site([entry]),
        **{f"{page.plugin}/{path}": data for path, data in front.items()},
        **{f"{page.plugin}/{page.version}/{path}": data for path, data in files.items()},
    }


class Preview:
    """What is shown now. Changes from one thread are whole for those that read."""

    def __init__(self) -> None:
        self._shown: tuple[int, Mapping[str, bytes], str | None] = (0, generate_site([]), None)

    def show(self, files: Mapping[str, bytes]) -> None:
        self._shown = (self._shown[0] + 1, files, None)

    def fail(self, why: str) -> None:
        """Every page says why, until pages are shown again."""
        self._shown = (self._shown[0] + 1, self._shown[1], why)

    def answer(self, target: str) -> tuple[HTTPStatus, str, bytes]:
        """Status, type and body for the target of a request."""
        count, files, why = self._shown
        path, _, query = target.partition("?")
        if path in {_WATCH, _CHANGED}:
            has_changed = path == _CHANGED and query != str(count)
            text = "location.reload();" if has_changed else ""
            script = _WATCH_SCRIPT if path == _WATCH else text
            return HTTPStatus.OK, "text/javascript", script.encode()
        path = path.removeprefix("/")
        path += "index.html" if not path or path.endswith("/") else ""
        kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
        data = files.get(path)
        if kind == "text/html" and why is not None:
            status, data = HTTPStatus.INTERNAL_SERVER_ERROR, _tell("No pages can be made", why)
        elif data is None:
            known = "\n".join(sorted(f"/{name}" for name in files if name.endswith(".html")))
            status, kind = HTTPStatus.NOT_FOUND, "text/html"
            data = _tell("The preview has no such page", f"It has:\n{known}")
        else:
            status = HTTPStatus.OK
        if kind == "text/html":
            tag = f'<script src="{_WATCH}?{count}"></script>\n</head>'.encode()
            data = data.replace(b"</head>", tag, 1)
        return status, kind, data


@contextmanager
def serving(preview: Preview, port: int) -> Iterator[str]:
    """Serves on 127.0.0.1 meanwhile; its address. Port 0 is any that is free. Raises: OSError."""
    with _Server(("127.0.0.1", port), _handler(preview)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()
            thread.join()


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away in the middle is no news."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


def _tell(title: str, text: str) -> bytes:
    return _ERROR_PAGE.format(title=html.escape(title), text=html.escape(text)).encode()


def _handler(preview: Preview) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = CLIENT_SECONDS

        def do_GET(self) -> None:
            # A name that another site lets lead here would let its pages read the draft.
            if self.headers.get("host", "").partition(":")[0] not in {"127.0.0.1", "localhost"}:
                self.send_error(HTTPStatus.MISDIRECTED_REQUEST)
                return
            status, kind, data = preview.answer(self.path)
            self.send_response(status)
            charset = "; charset=utf-8" if kind.startswith("text/") else ""
            self.send_header("content-type", f"{kind}{charset}")
            self.send_header("content-length", str(len(data)))
            self.send_header("content-security-policy", POLICY)
            self.send_header("x-content-type-options", "nosniff")
            self.send_header("cache-control", "no-store")
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    return Handler
