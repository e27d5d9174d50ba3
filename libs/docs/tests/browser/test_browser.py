"""Hostile text in a real browser, with the pages' policy and, which says more, without any."""

import dataclasses
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from heimnetz_docs import (
    Audit,
    Care,
    Entry,
    Finding,
    Known,
    Subject,
    describe,
    entry_of,
    generate,
    generate_front,
    generate_guides,
    generate_site,
    read_guides,
)
from heimnetz_manifest import Manifest, pack, read_package

PAYLOADS = [
    text.strip("\n")
    for text in (Path(__file__).parent / "payloads.txt").read_text().split("\n%%\n")
]
# What a line of the manifest can hold: no line break.
LINES = [" ".join(text.split()) for text in PAYLOADS]
TITLE = "</title><img src=x onerror=alert(1)><script>alert(1)</script>"
JOB, SERVICE = "plugin-x", "plugin-y"
PAGES = [
    "",
    f"{JOB}/",
    f"{JOB}/versions.html",
    f"{JOB}/1.0.0/api.html",
    f"{SERVICE}/1.0.0/api.html",
    f"{SERVICE}/plain/",
    "platform/index.html",
]
# Notes what runs, does what a visitor could do, then says that it has ended.
HARNESS = b"""
window.ran = [];
for (const name of ["alert", "confirm", "prompt", "print"]) {
  window[name] = (what) => ran.push(`${name}(${what}) ${new Error().stack}`);
}
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const touch = (elements) => {
  for (const element of elements) {
    // A handler needs an attribute; events bubble to those above.
    if (!element.attributes.length) continue;
    for (const kind of ["mouseover", "mouseenter", "pointerenter", "focus", "click", "toggle", "mousedown"]) {
      element.dispatchEvent(new MouseEvent(kind, { bubbles: true, cancelable: true }));
    }
    if (element.tabIndex >= 0) element.focus({ preventScroll: true });
  }
};
addEventListener("click", (event) => {
  const link = event.target.closest?.("a");
  if (link && !/^(javascript|data|vbscript):/i.test(link.href)) event.preventDefault();
});
addEventListener("load", async () => {
  touch(document.querySelectorAll("main *"));
  let found = 0;
  const input = document.getElementById("q");
  for (const word of location.pathname === "/" ? ["alert", "hit.example", "svg", "click", "javascript"] : []) {
    input.value = word;
    input.dispatchEvent(new InputEvent("input", { bubbles: true }));
    for (let tries = 0; tries < 100 && !document.querySelector("#found a"); tries++) await pause(20);
    found += document.querySelectorAll("#found a").length;
    touch(document.querySelectorAll("#found *"));
  }
  await pause(250);
  const bad = "main script, main iframe, main object, main embed, main form, main style, main base, main meta, main link";
  window.report = async () => ({ ran, found, alive: [...document.querySelectorAll(bad)].map((element) => element.outerHTML) });
});
"""


def _package(folder: Path) -> Subject:
    """One package with every payload wherever an author can write and a manifest has room."""
    folder.mkdir()
    quoted = [line.replace("'", "''") for line in LINES]
    properties = "".join(
        f"    p{n}: {{type: string, title: '{text}', description: '{text}', default: '{text}'}}\n"
        for n, text in enumerate(quoted)
    )
    (folder / "plugin.yaml").write_text(
        f"manifest: 1\nname: {JOB}\nversion: 1.0.0\ntitle: '{TITLE}'\nsummary: '{TITLE}'\n"
        f"description: '{TITLE}'\nlicence: MIT\nauthors: [{{name: '{TITLE}'}}]\nkind: job\nruntime: python\n"
        f"keywords: [x]\nentry_point: main:run\nconfiguration:\n  type: object\n  properties:\n{properties}"
    )
    joined = "\n\n".join(f"payload {n}\n\n{text}\n\n" for n, text in enumerate(PAYLOADS))
    (folder / "README.md").write_text(joined)
    (folder / "CHANGELOG.md").write_text(joined)
    # One text each: what opens a comment or a title in one does not hide the next.
    docs = [
        text.replace("\\", "\\\\").replace('"""', "'''").replace("\n", "\n    ")
        for text in PAYLOADS
    ]
    functions = "".join(
        f'def f{n}(context="<script>alert(1)</script>"):\n    """first-{n}\n\n    {text}\n    """\n\n'
        for n, text in enumerate(docs)
    )
    (folder / "main.py").write_text(
        f'"""<script>alert(1)</script>"""\n\n{functions}def run(input, context):\n    """<img src=x onerror=alert(1)>"""\n'
    )
    findings = tuple(Finding("rule", "high", text, text, 1) for text in LINES)
    audit = Audit(
        50, "D", "review", {"high": 1}, tuple(LINES), findings, limitations=tuple(LINES[:5])
    )
    return Subject(read_package(pack(folder)), Known("needs_review", publisher=TITLE, audit=audit))


def _filled(subject: Subject, **changes: object) -> Subject:
    """The same with every payload in the lists of the manifest too, beyond what one may hold."""
    whole = subject.manifest.model_dump(mode="json", by_alias=True)
    parts = [
        Manifest.model_validate(whole | _lists(start, LINES[start : start + 16]))
        for start in range(0, len(LINES), 16)
    ]
    names = ("endpoints", "metrics", "examples", "authors")
    filled = {name: [item for part in parts for item in getattr(part, name)] for name in names}
    network = [item for part in parts for item in part.permissions.network]
    assert {len(items) for items in [*filled.values(), network]} == {len(LINES)}
    permissions = subject.manifest.permissions.model_copy(update={"network": network})
    manifest = subject.manifest.model_copy(
        update={**filled, "permissions": permissions, "keywords": LINES, **changes}
    )
    return dataclasses.replace(
        subject, package=dataclasses.replace(subject.package, manifest=manifest)
    )


def _lists(start: int, lines: list[str]) -> dict[str, object]:
    numbered = list(enumerate(lines, start))
    return {
        "endpoints": [
            {
                "method": "POST",
                "path": f"/r{n}/{{id}}",
                "summary": text,
                "input": {"type": "object", "title": text, "properties": {text: {"const": text}}},
                "output": {"type": "string", "description": text, "examples": [text]},
            }
            for n, text in numbered
        ],
        "metrics": [
            {"name": f"m{n}_total", "type": "counter", "help": text, "unit": text[:30]}
            for n, text in numbered
        ],
        "examples": [
            {"name": f"e{n}", "summary": text, "input": {text: text}, "output": {"x": text}}
            for n, text in numbered
        ],
        "authors": [{"name": text[:120]} for text in lines],
        "permissions": {
            "network": [{"to": f"h{n}.example.org:443", "reason": text} for n, text in numbered]
        },
    }


def _entries() -> list[Entry]:
    """The index shows titles and summaries of all plugins: one plugin a payload."""
    return [
        Entry(f"p{n}", "1.0.0", text, f"{text} {n}", "approved", "A")
        for n, text in enumerate(LINES)
    ]


def _files(subject: Subject) -> dict[str, bytes]:
    job = _filled(subject)
    service = _filled(subject, name=SERVICE, kind="service")
    pages = generate(job)
    entry = entry_of(describe(job), job.known)
    files = {f"{JOB}/1.0.0/{path}": data for path, data in pages.items()}
    files |= {f"{JOB}/{path}": data for path, data in generate_front([entry], entry, pages).items()}
    files |= {f"{SERVICE}/1.0.0/{path}": data for path, data in generate(service).items()}
    plain = generate(dataclasses.replace(service, care=Care.PLAIN))
    files |= {f"{SERVICE}/plain/{path}": data for path, data in plain.items()}
    files[f"{SERVICE}/latest.js"] = b""
    guides = read_guides({"index.md": "\n\n".join(PAYLOADS).encode()})
    files |= {f"platform/{path}": data for path, data in generate_guides(guides).items()}
    return files | generate_site([entry, *_entries()], guides)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return _files(_package(tmp_path_factory.mktemp("hostile") / "package"))


POLICIES = {"with the pages' policy": PAGES[:2], "without any policy": PAGES}


@pytest.fixture(scope="module", params=POLICIES)
def site(request: pytest.FixtureRequest, files, serve) -> Iterator[object]:
    prepared = {path: _prepared(path, data, request.param) for path, data in files.items()}
    with serve({**prepared, "_static/harness.js": HARNESS}) as site:
        yield site


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


def test_there_are_enough_payloads() -> None:
    assert len(PAYLOADS) >= 150


def test_nothing_that_an_author_writes_runs_in_a_browser(site, walk, request) -> None:
    pages = POLICIES[request.node.callspec.params["site"]]
    _add_evil(site.files)

    told = walk(site, [{"path": path} for path in [*pages, "_static/evil.html"]])

    *reports, evil = told["reports"]
    assert told["ran"] == []
    assert {report["path"]: report["ran"] + report["alive"] for report in reports} == {
        path: [] for path in pages
    }
    assert reports[0]["found"] == 5 * 12
    assert [name for name in site.asked if "hit" in name or "example.org" in name] == []
    assert site.unknown() == []
    # It would have been noticed.
    assert evil["ran"][0].startswith("alert(1)")
    assert any("noticed.example" in name for name in site.asked)


def _add_evil(files: dict[str, bytes]) -> None:
    """A page on which something does run and does leave."""
    evil = b'<script src="evil.js"></script><img src="https://noticed.example/x.png"><main'
    page = files[f"{JOB}/versions.html"].replace(b"<main", evil, 1)
    files["_static/evil.html"] = page.replace(b"img-src 'self'", b"img-src *")
    files["_static/evil.js"] = b"alert(1)"


def test_every_payload_is_on_the_page(files) -> None:
    page = files[f"{JOB}/1.0.0/index.html"].decode()

    assert [n for n in range(len(PAYLOADS)) if f"first-{n}<" not in page] == []


class Looker(HTMLParser):
    """Finds what could run or fetch; knows what the pages themselves consist of."""

    scripts = re.compile(r"(\.\./)*_static/docs\.js")
    links = re.compile(r"(\.\./)*_static/(docs\.css|icon\.svg)")
    tags = frozenset(
        "iframe object embed style form base svg:script foreignobject math template applet frame frameset "
        "portal fencedframe video audio source track picture animate set use image handler textarea "
        "select dialog marquee noscript plaintext xmp listing area map".split()
    )
    attributes = frozenset(
        "style srcdoc formaction srcset background ping poster action data-src manifest http-equiv "
        "xlink:href is shadowrootmode popovertarget usemap".split()
    )

    def __init__(self) -> None:
        super().__init__()
        self.bad: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = dict(attributes)
        if tag == "meta" and values.pop("http-equiv", "") == "Content-Security-Policy":
            return
        if tag == "script" and not self.scripts.fullmatch(values.get("src") or ""):
            self.bad.append(f"script {values}")
        if tag == "link" and not self.links.fullmatch(values.get("href") or ""):
            self.bad.append(f"link {values}")
        if tag in self.tags:
            self.bad.append(tag)
        for name, value in attributes:
            if name.startswith("on") or name in self.attributes:
                self.bad.append(f"{tag} {name}")
            if name in {"href", "src"} and re.match(
                r"(?i)[\s\x00-\x20]*(javascript|data|vbscript|blob|filesystem):", value or ""
            ):
                self.bad.append(f"{tag} {name}={value}")
            if name == "src" and "//" in (value or ""):
                self.bad.append(f"{tag} {name}={value}")


def test_no_script_handler_or_live_address_is_in_the_pages(files) -> None:
    looker = Looker()

    for path, data in files.items():
        if path.endswith(".html"):
            looker.feed(data.decode())

    assert looker.bad == []


def test_links_of_strangers_leave_alone(files) -> None:
    page = files[f"{JOB}/1.0.0/index.html"].decode()

    away = re.findall(r'<a [^>]*href="[a-z]+:[^>]*>', page)

    assert away
    assert [link for link in away if 'rel="noopener nofollow"' not in link] == []


def test_the_search_index_is_data(files) -> None:
    index = files["_static/search-index.js"].decode()

    assert "<" not in index
    assert index.count("\n") == 1
