"""Hostile text in a real browser, with the pages' policy and, which says more, without any."""

import re
import shutil
import socketserver
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from heimnetz_docs import (
    Audit,
    Finding,
    Known,
    Subject,
    describe,
    entry_of,
    generate,
    generate_front,
    generate_site,
)
from heimnetz_manifest import pack, read_package

PAYLOADS = [
    text.strip("\n")
    for text in (Path(__file__).parent / "payloads.txt").read_text().split("\n%%\n")
]
# What a line of the manifest can hold: no line break.
LINES = [" ".join(text.split()) for text in PAYLOADS]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PLUGIN = "plugin"
HARNESS = """
window.ran = [];
for (const name of ["alert", "confirm", "prompt", "print"]) {
  window[name] = (what) => { document.documentElement.dataset.ran = `${name}(${what}) ${new Error().stack}`; };
}
window.addEventListener("load", () => {
  addEventListener("click", (event) => {
    const link = event.target.closest?.("a");
    if (link && !/^(javascript|data|vbscript):/i.test(link.href)) event.preventDefault();
  });
  for (const element of document.querySelectorAll("main *")) {
    for (const kind of ["mouseover", "mouseenter", "pointerenter", "focus", "click", "toggle", "mousedown"]) {
      element.dispatchEvent(new MouseEvent(kind, { bubbles: true, cancelable: true }));
    }
    element.focus?.();
  }
  document.documentElement.dataset.harness = "done";
});
"""


@dataclass
class Site:
    files: dict[str, bytes]
    asked: list[str] = field(default_factory=list)
    url: str = ""


def _package(folder: Path) -> Subject:
    """One package with every payload wherever an author can write."""
    folder.mkdir()
    quoted = [line.replace("'", "''") for line in LINES]
    title = "<img src=x onerror=alert(1)><script>alert(1)</script>"
    examples = "".join(
        f"  - {{name: e{n}, summary: '{quoted[n]}', input: {{x: '{quoted[n]}'}}}}\n"
        for n in range(16)
    )
    properties = "".join(
        f"    p{n}: {{type: string, title: '{text}', description: '{text}', default: '{text}'}}\n"
        for n, text in enumerate(quoted)
    )
    hosts = "".join(
        f"    - {{to: 'h{n}.example.org:443', reason: '{text}'}}\n"
        for n, text in enumerate(quoted[:60])
    )
    (folder / "plugin.yaml").write_text(
        f"manifest: 1\nname: {PLUGIN}-x\nversion: 1.0.0\ntitle: '{title}'\nsummary: '{title}'\n"
        f"description: '{title}'\nlicence: MIT\nauthors: [{{name: '{title}'}}]\nkind: job\nruntime: python\n"
        f"entry_point: main:run\npermissions:\n  network:\n{hosts}"
        f"configuration:\n  type: object\n  properties:\n{properties}examples:\n{examples}"
    )
    joined = "\n\n".join(f"payload {n}\n\n{text}\n\n" for n, text in enumerate(PAYLOADS))
    (folder / "README.md").write_text(joined)
    (folder / "CHANGELOG.md").write_text(joined)
    doc = joined.replace("\\", "\\\\").replace('"""', "'''")
    (folder / "main.py").write_text(
        f'"""{doc}"""\n\ndef run(input, context="<script>alert(1)</script>"):\n    r"""{doc}"""\n'
    )
    findings = tuple(Finding("rule", "high", text, text, 1) for text in LINES)
    audit = Audit(
        50, "D", "review", {"high": 1}, tuple(LINES), findings, limitations=tuple(LINES[:5])
    )
    return Subject(read_package(pack(folder)), Known("needs_review", publisher=title, audit=audit))


def _site(subjects: list[Subject]) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    entries = []
    for subject in subjects:
        name, version = subject.manifest.name, subject.manifest.version
        pages = generate(subject)
        entry = entry_of(describe(subject), subject.known)
        entries.append(entry)
        files |= {f"{name}/{version}/{path}": data for path, data in pages.items()}
        files |= {
            f"{name}/{path}": data for path, data in generate_front([entry], entry, pages).items()
        }
    return files | generate_site(entries)


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    return _package(tmp_path_factory.mktemp("hostile") / "package")


@pytest.fixture(scope="module")
def browser() -> str:
    for name in BROWSERS:
        found = shutil.which(name)
        if found:
            return found
    pytest.fail("this test needs Chromium: apt-get install chromium")


@pytest.fixture(scope="module", params=["with the pages' policy", "without any policy"])
def site(request: pytest.FixtureRequest, subject: Subject) -> Iterator[Site]:
    files = _site([subject])
    served = Site({path: _prepared(path, data, request.param) for path, data in files.items()})
    served.files["_static/harness.js"] = HARNESS.encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0].lstrip("/")
            path += "index.html" if path.endswith("/") or not path else ""
            served.asked.append(path)
            data = served.files.get(path)
            self.send_response(200 if data is not None else 404)
            kinds = {
                "html": "text/html; charset=utf-8",
                "css": "text/css",
                "js": "text/javascript",
                "svg": "image/svg+xml",
            }
            self.send_header(
                "content-type", kinds.get(path.rpartition(".")[2], "application/octet-stream")
            )
            self.end_headers()
            self.wfile.write(data or b"")

        def log_message(self, *_: object) -> None:
            pass

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        served.url = f"http://127.0.0.1:{server.server_address[1]}/"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield served
        server.shutdown()
        thread.join()


def _prepared(path: str, data: bytes, policy: str) -> bytes:
    if not path.endswith(".html"):
        return data
    root = re.search(rb'data-root="([^"]*)"', data)
    assert root is not None
    harness = b'<script src="' + root[1] + b'_static/harness.js"></script>'
    data = data.replace(b"<script src=", harness + b"<script src=", 1)
    if policy == "without any policy":
        data, count = re.subn(rb'<meta http-equiv="Content-Security-Policy"[^>]*>', b"", data)
        assert count == 1
    return data


def _dom(browser: str, url: str, profile: Path) -> str:
    command = [
        *(browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
        *(f"--user-data-dir={profile}", "--no-first-run", "--disable-background-networking"),
        *("--virtual-time-budget=8000", "--window-size=1280,2000", "--dump-dom", url),
    ]
    done = subprocess.run(command, capture_output=True, timeout=90, check=True)
    return done.stdout.decode("utf-8", "replace")


def test_there_are_enough_payloads() -> None:
    assert len(PAYLOADS) >= 40


@pytest.mark.parametrize(
    "path", ["", f"{PLUGIN}-x/", f"{PLUGIN}-x/1.0.0/", f"{PLUGIN}-x/versions.html"]
)
def test_nothing_that_an_author_writes_runs_in_a_browser(
    site: Site, browser: str, path: str, tmp_path: Path
) -> None:
    site.asked.clear()

    dom = _dom(browser, site.url + path, tmp_path)

    assert 'data-harness="done"' in dom
    assert 'data-ran="' not in dom.partition(">")[2][:500]
    assert [name for name in site.asked if "hit" in name] == []
    assert [
        name for name in site.asked if site.files.get(name) is None and name != "favicon.ico"
    ] == []


def test_the_harness_would_notice_a_script(site: Site, browser: str, tmp_path: Path) -> None:
    page = site.files[f"{PLUGIN}-x/versions.html"]
    site.files["_static/evil.html"] = page.replace(
        b"<main", b'<script src="evil.js"></script><main', 1
    ).replace(b'data-root="../"', b'data-root="../"')
    site.files["_static/evil.js"] = b"alert(1)"

    assert 'data-ran="alert(1)' in _dom(browser, site.url + "_static/evil.html", tmp_path)


class Looker(HTMLParser):
    """Finds what could run or fetch; knows what the pages themselves consist of."""

    scripts = re.compile(r"(\.\./)*_static/docs\.js")

    def __init__(self) -> None:
        super().__init__()
        self.bad: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = dict(attributes)
        if tag == "script" and not self.scripts.fullmatch(values.get("src") or ""):
            self.bad.append(f"script {values}")
        if tag in {
            "iframe",
            "object",
            "embed",
            "style",
            "form",
            "base",
            "svg:script",
            "foreignobject",
            "math",
            "template",
        }:
            self.bad.append(tag)
        for name, value in attributes:
            if name.startswith("on") or name in {
                "style",
                "srcdoc",
                "formaction",
                "srcset",
                "background",
                "ping",
            }:
                self.bad.append(f"{tag} {name}")
            if name in {"href", "src", "action", "xlink:href"} and re.match(
                r"(?i)[\s\x00-\x20]*(javascript|data|vbscript):", value or ""
            ):
                self.bad.append(f"{tag} {name}={value}")


def test_no_script_handler_or_live_address_is_in_the_pages(subject: Subject) -> None:
    looker = Looker()

    for path, data in _site([subject]).items():
        if path.endswith(".html"):
            looker.feed(data.decode())

    assert looker.bad == []


def test_the_search_index_is_data(subject: Subject) -> None:
    index = _site([subject])["_static/search-index.js"].decode()

    assert "<" not in index
    assert index.count("\n") == 1
