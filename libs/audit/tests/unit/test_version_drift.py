"""A version beside the one before: what is told, what is a finding, and what hostile input does."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heimnetz_audit import Memory, Report, Severity, SourceTree, audit, reporters
from heimnetz_audit.checks.version_drift import CHECK
from heimnetz_audit.drifting import CHANGES_LIMIT, TEXT_CHARACTERS

MANIFEST = """\
name: pump
version: 1.0.0
licence: MIT
authors: [{name: Anna}]
permissions:
  network:
    - {to: "a.example.org:443", reason: Because.}
"""
QUIET = "def run(input, context):\n    return 1\n"
STARTS = 'import subprocess\nsubprocess.run(["ls", "/"])\n'
MAKES = "def run(input, context):\n    return eval(input['x'])\n"
REACHES = 'import urllib.request\nurllib.request.urlopen("https://b.example.org/x")\n'


def tree(code: str = QUIET, manifest: str = MANIFEST, **files: str) -> SourceTree:
    texts = {"plugin.yaml": manifest, "app.py": code} | files
    return SourceTree.from_files({name: text.encode() for name, text in texts.items()})


def drift(before: SourceTree, after: SourceTree) -> Report:
    report = audit(after, before=before)
    assert report.drift is not None
    return report


def severities(report: Report) -> list[Severity]:
    return [finding.severity for finding in report.findings if finding.rule == CHECK.rule]


def said(report: Report) -> set[str]:
    assert report.drift is not None
    return {f"{'+' if c.is_new else '-'}{c.kind} {c.what}" for c in report.drift.changes}


@pytest.mark.parametrize(
    ("code", "severity"),
    [(STARTS, Severity.HIGH), (MAKES, Severity.HIGH), (REACHES, Severity.MEDIUM)],
)
def test_what_the_version_before_did_not_do_is_a_finding(code: str, severity: Severity) -> None:
    before, after = tree(), tree(code)

    report = drift(before, after)

    assert severities(report) == [severity]
    assert report.score <= audit(after).score


@pytest.mark.parametrize("code", [QUIET, STARTS, MAKES, REACHES])
def test_what_the_version_before_did_as_well_is_none(code: str) -> None:
    moved = "# Tidied up.\n\n" + code

    report = drift(tree(code), tree(moved))

    assert severities(report) == []
    assert said(report) == set()


def test_what_a_version_stops_doing_is_told_and_no_finding() -> None:
    report = drift(tree(STARTS), tree(QUIET))

    assert severities(report) == []
    assert any(line.startswith("-processes") for line in said(report))


def test_machine_code_that_is_new_is_a_finding() -> None:
    before = tree()
    files = dict(before.files) | {"fast.so": b"\x7fELF" + b"\0" * 64}

    assert severities(drift(before, SourceTree.from_files(files))) == [Severity.HIGH]


def test_changes_of_the_manifest_and_of_dependencies_are_told() -> None:
    after = (
        MANIFEST.replace("Anna", "Eve")
        .replace("MIT", "Proprietary")
        .replace("a.example", "*.example")
        .replace("Because", "For other reasons")
    )
    pins = "dependencies: {lock: requirements.lock}\n"
    locks = [f"six=={version} --hash=sha256:{'1' * 64}\n" for version in ("1.0", "1.1")]
    before = tree(manifest=MANIFEST + pins, **{"requirements.lock": locks[0]})

    report = drift(before, tree(manifest=after + pins, **{"requirements.lock": locks[1]}))

    assert said(report) == {
        "-manifest authors.name: Anna",
        "+manifest authors.name: Eve",
        "-manifest licence: MIT",
        "+manifest licence: Proprietary",
        "-manifest permissions.network.to: a.example.org:443",
        "+manifest permissions.network.to: *.example.org:443",
        "-dependencies six==1.0",
        "+dependencies six==1.1",
    }


def test_a_package_that_is_much_larger_is_a_finding() -> None:
    grown = tree(**{"data.txt": "x" * 200_000})

    assert severities(drift(tree(), grown)) == [Severity.LOW]
    assert severities(drift(grown, grown)) == []


def test_the_version_before_changes_nothing_but_what_is_said_of_it() -> None:
    memory, after = Memory(), tree(REACHES)

    alone = audit(after, memory=memory)
    together = audit(after, before=tree(), memory=memory)

    assert reporters.json.render(alone) == reporters.json.render(audit(after))
    assert together.inferred == alone.inferred
    assert [f for f in together.findings if f.rule != CHECK.rule] == list(alone.findings)


@pytest.mark.parametrize("form", ["json", "markdown", "text"])
def test_reports_show_what_changed_and_escape_it(form: str) -> None:
    hostile = MANIFEST.replace("Anna", "'```\\u202e<script>'")

    text = reporters.ALL[form].render(drift(tree(), tree(manifest=hostile)))

    assert "authors.name" in text
    assert "\u202e" not in text
    assert form != "markdown" or text.count("```") == 2
    assert form != "json" or json.loads(text)["drift"]["since"] == "1.0.0"


def test_long_lists_and_long_texts_are_cut() -> None:
    names = "".join(f"  - {{name: {'a' * 900}{number}}}\n" for number in range(10))
    many = "".join(f"  - {{name: a{number}}}\n" for number in range(3 * CHANGES_LIMIT))

    report = drift(tree(), tree(manifest=f"name: pump\nauthors:\n{names}{many}"))

    assert report.drift is not None
    new = [change for change in report.drift.changes if change.is_new]
    assert len(new) == CHANGES_LIMIT
    assert report.drift.left_out > 2 * CHANGES_LIMIT
    assert max(len(change.what) for change in report.drift.changes) <= TEXT_CHARACTERS


def test_a_flood_of_one_kind_hides_no_other() -> None:
    flood = "import os\n" + "".join(f"os.getenv('A{number}')\n" for number in range(300))

    assert severities(drift(tree(), tree(flood + STARTS))) == [Severity.HIGH]


@settings(max_examples=60)
@given(st.text(alphabet=" abn\n:-{}[]*&'\"", max_size=80) | st.binary(max_size=80))
def test_no_manifest_breaks_the_comparison(content: str | bytes) -> None:
    raw = content.encode() if isinstance(content, str) else content

    audit(tree(), before=SourceTree.from_files({"plugin.yaml": raw}))


@pytest.mark.parametrize(
    "manifest", ["authors: " + "[" * 20_000, "authors: &a [*a, *a]\n", "authors:\n  ? [a]\n  : b\n"]
)
def test_a_manifest_that_is_built_to_hurt_costs_no_more_than_its_bytes(manifest: str) -> None:
    report = drift(tree(), tree(manifest=manifest))

    assert report.drift is not None
