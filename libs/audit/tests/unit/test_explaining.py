"""The page of a check, from the docstring of its module."""

import json
from types import ModuleType

import pytest

from heimnetz_audit import SourceTree, audit, explaining, reporters
from heimnetz_audit.checks import ALL, dropper
from heimnetz_audit.explaining import explain, explain_all, page

PAGES = {each.check.rule: page(each) for each in explain_all()}


@pytest.mark.parametrize("rule", sorted(PAGES))
def test_a_page_has_its_parts_in_order(rule: str) -> None:
    headings = [line for line in PAGES[rule].split("\n") if line.startswith("## ")]

    assert headings == ["## Why", "## How to fix", "## Found", "## Not found"]
    assert PAGES[rule].startswith("# ")


@pytest.mark.parametrize("rule", sorted(PAGES))
def test_a_page_closes_what_it_opens_and_hides_nothing(rule: str) -> None:
    assert PAGES[rule].count("\n```") == 4
    assert PAGES[rule].replace("\n", "").isprintable()


def test_the_examples_are_shown_as_they_are_tested() -> None:
    explanation = explain("dropper")

    assert explanation is not None
    assert explanation.found.text in PAGES["dropper"]
    assert explanation.not_found.text in PAGES["dropper"]


def test_the_index_leads_to_every_page() -> None:
    text = explaining.index(explain_all())

    assert [rule for rule in PAGES if f"({rule}.md)" not in text] == []


def test_a_rule_that_no_check_has_is_not_explained() -> None:
    assert explain("no-such-rule") is None


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "Only a sentence.",
        "What.\n\nWhy.\n",
        "What.\n\nWhy.\n\nFound in `a.py`:\n\n    x\n",
        "What.\n\nFound in `a.py`:\n\n    x\n\nNot found in `a.py`:\n\n    y\n",
    ],
)
def test_a_docstring_that_leaves_something_out_has_no_page(
    text: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = ModuleType("bare", text)
    module.CHECK = dropper.CHECK  # type: ignore[attr-defined]
    monkeypatch.setattr(explaining, "MODULES", (module,))

    with pytest.raises(ValueError, match="dropper: what, why, and two examples"):
        explain_all()


def test_every_finding_leads_to_the_page_of_its_rule() -> None:
    tree = SourceTree.from_files(
        {"a.py": b"exec(__import__('base64').b64decode('cHJpbnQoMSk='))\n"}
    )
    report = audit(tree)
    document = json.loads(reporters.json.render(report))
    [run] = json.loads(reporters.sarif.render(report))["runs"]

    pages = [finding["page"] for finding in document["findings"]]

    assert pages == [f"/docs/platform/checks/{f.rule}.html" for f in report.findings]
    assert [each["properties"]["page"] for each in run["results"]] == pages
    assert all(f"]({each})" in reporters.markdown.render(report) for each in pages)
    assert "heimnetz explain" in reporters.text.render(report)
    assert {f.rule for f in report.findings} <= {check.rule for check in ALL}
