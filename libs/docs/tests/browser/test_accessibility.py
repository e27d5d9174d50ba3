"""axe in a real browser: no serious fault, light and dark, wide and on a small telephone."""

import importlib.resources
from pathlib import Path

import pytest

from heimnetz_docs import (
    Audit,
    Finding,
    Guide,
    Known,
    Reach,
    Subject,
    describe,
    entry_of,
    generate,
    generate_front,
    generate_guides,
    generate_site,
    read_guides,
)
from heimnetz_manifest import pack, read_package

ROOT = Path(__file__).parents[4]
JOB, SERVICE = "energy-report", "link-shortener"
GUIDES = ("index.md", "http-apis.md", "operating.md", "checks/README.md")
PAGES = ["index.html", f"{JOB}/index.html", "platform/operating.html"]
SEARCH = "index.html?search"
SMALL, WIDE = 360, 1280
# Only contrast depends on the theme; what else there is, is looked for once a width.
REPORT = b"""
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
addEventListener("load", () => {
  window.report = async (step) => {
    if (location.search === "?search") {
      const input = document.getElementById("q");
      input.value = "e";
      input.dispatchEvent(new InputEvent("input", { bubbles: true }));
      for (let tries = 0; tries < 100 && !document.querySelector("#found a"); tries++) await pause(20);
    }
    const rules = step.theme === "dark" ? { runOnly: ["color-contrast"] } : {};
    const { violations, passes } = await axe.run(document, { ...rules, resultTypes: ["violations"] });
    const faults = violations
      .filter(({ impact }) => impact === "serious" || impact === "critical")
      .flatMap(({ id, nodes }) => nodes.slice(0, 3).map((node) => `${id}: ${node.html.slice(0, 200)} ${node.failureSummary}`));
    return {
      faults,
      passes: passes.length,
      ground: getComputedStyle(document.body).backgroundColor,
      found: document.querySelectorAll("#found a").length,
      overflow: document.documentElement.scrollWidth - innerWidth,
    };
  };
});
"""


def _subject(name: str) -> Subject:
    audit = Audit(
        71,
        "C",
        "review",
        {"high": 1, "medium": 1},
        ("grade C",),
        tuple(
            Finding(f"rule-{severity}", severity, f"A {severity} finding", "main.py", 3)
            for severity in ("critical", "high", "medium", "low", "info")
        ),
        (Reach("network", "lamps.example.org:443", declared=True, inferred=False, observed=None),),
        ("part of it was not looked at",),
    )
    package = read_package(pack(ROOT / "plugins" / name))
    return Subject(package, Known("needs_review", publisher="anna", audit=audit, previous=package))


def _guides() -> list[Guide]:
    return read_guides({path: (ROOT / "docs" / path).read_bytes() for path in GUIDES})


@pytest.fixture(scope="module")
def site(serve):
    files, entries, guides = {}, [], _guides()
    for subject in (_subject(JOB), _subject(SERVICE)):
        name, pages = str(subject.manifest.name), generate(subject)
        entry = entry_of(describe(subject), subject.known)
        entries.append(entry)
        files |= {f"{name}/1.0.0/{path}": data for path, data in pages.items()}
        files |= {
            f"{name}/{path}": data for path, data in generate_front([entry], entry, pages).items()
        }
    files |= {f"platform/{path}": data for path, data in generate_guides(guides).items()}
    files |= generate_site(entries, guides)
    axe = importlib.resources.files("axe_core_python").joinpath("axe.min.js").read_bytes()
    scripts = b'<script src="/_static/axe.js"></script></head>'
    for path in files:
        if path.endswith(".html"):
            files[path] = files[path].replace(b"</head>", scripts, 1)
    with serve({**files, "_static/axe.js": axe + REPORT}) as site:
        yield site


def test_no_page_has_a_serious_fault_of_accessibility(site, walk) -> None:
    steps = [
        *[(path, "light", SMALL) for path in [*PAGES, SEARCH]],
        *[(path, "dark", WIDE) for path in [*PAGES, SEARCH]],
        *[(path, "light", WIDE) for path in (*PAGES[:2], SEARCH)],
        (f"{JOB}/1.0.0/api.html", "light", SMALL),
        (f"{SERVICE}/1.0.0/api.html", "dark", WIDE),
        ("platform/index.html", "light", SMALL),
        ("platform/http-apis.html", "light", SMALL),
    ]

    reports = walk(
        site, [{"path": path, "theme": theme, "width": width} for path, theme, width in steps]
    )["reports"]

    assert [report for report in reports if report.get("faults") != []] == []
    assert [(item["path"], item["width"]) for item in reports if item["overflow"] > 0] == []
    assert all(report["passes"] for report in reports)
    assert all(report["found"] for report in reports if report["path"] == SEARCH)
    assert {report["ground"] for report in reports if report["theme"] == "dark"} == {
        "rgb(17, 22, 21)"
    }


def test_a_fault_would_be_noticed(site, walk) -> None:
    bad = b'<main><img src="x.png"><p style="x" class="bad">dim</p>'
    page = site.files["index.html"].replace(b"<main", bad + b"<main", 1)
    site.files["bad.html"] = page.replace(b'<html lang="en"', b"<html", 1)

    (report,) = walk(site, [{"path": "bad.html"}])["reports"]

    assert {fault.partition(":")[0] for fault in report["faults"]} >= {"image-alt", "html-has-lang"}
