"""What the owner accepts: until when, where, and what a report says of it."""

import json
from datetime import date, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heimnetz_audit import Policy, Report, SourceTree, audit, decide, reporters
from heimnetz_audit.model.waivers import InvalidPolicy, Standing
from heimnetz_audit.waiving import WAIVERS_LIMIT, read_waivers, waive

CODE = b"import hashlib, os\nos.system('rm -rf / --no-preserve-root')\nhashlib.md5(b'x')\n"
TREE = SourceTree.from_files(
    {"a.py": CODE, "b.py": CODE.replace(b"hashlib.md5(b'x')", b"hashlib.md5(b'y')")}
)
REPORT = audit(TREE, source_only=True)
TODAY = date(2026, 11, 25)
GOOD = {
    "rule": "sabotage",
    "plugin": "adder",
    "reason": "It cleans my own disk.",
    "expires_on": "2026-11-25",
}


def standing(
    *waivers: dict[str, Any], today: date | None = TODAY, version: str = "1.0.0"
) -> Standing:
    return waive(REPORT, read_waivers(waivers), plugin="adder", version=version, today=today)


def waived(found: Standing) -> list[tuple[str, str]]:
    pairs = zip(REPORT.findings, found.waivers, strict=True)
    return [(finding.file, finding.rule) for finding, waiver in pairs if waiver is not None]


def test_a_waiver_covers_its_rule_on_its_last_day() -> None:
    found = standing(GOOD)

    assert waived(found) == [("a.py", "sabotage"), ("b.py", "sabotage")]
    assert found.score > REPORT.score
    assert not found.expired


def test_a_waiver_is_without_effect_the_day_after_and_is_named() -> None:
    found = standing(GOOD, today=date(2026, 11, 26))

    assert waived(found) == []
    assert found.score == REPORT.score
    assert [(each.waiver.rule, each.findings) for each in found.expired] == [("sabotage", 2)]


def test_no_waiver_holds_on_an_unknown_day() -> None:
    assert standing(GOOD, today=None).is_plain


@pytest.mark.parametrize(
    ("change", "count"),
    [
        ({"plugin": "other"}, 0),
        ({"plugin": "add*"}, 2),
        ({"version": "1.*"}, 2),
        ({"version": "2.*"}, 0),
        ({"files": "b.*"}, 1),
        ({"files": "c.py"}, 0),
        ({"rule": "*"}, len(REPORT.findings)),
    ],
)
def test_the_scope_of_a_waiver_is_its_plugin_version_and_files(
    change: dict[str, str], count: int
) -> None:
    assert len(waived(standing({**GOOD, **change}))) == count


def test_an_ended_waiver_for_another_plugin_is_not_named() -> None:
    assert standing({**GOOD, "plugin": "other", "expires_on": "2020-01-01"}).is_plain


def test_the_verdict_is_without_what_is_waived() -> None:
    policy = Policy.from_mapping({"waivers": [{**GOOD, "rule": "*"}]})

    assert decide(REPORT, policy, plugin="adder", version="1.0.0", today=TODAY).outcome == "approve"
    assert decide(REPORT, policy, plugin="other", version="1.0.0", today=TODAY).outcome == "review"
    assert decide(REPORT, policy, plugin="adder", version="1.0.0").outcome == "review"


@settings(max_examples=50)
@given(st.sets(st.sampled_from(sorted({finding.rule for finding in REPORT.findings}))))
def test_a_waiver_more_never_lowers_the_score(rules: set[str]) -> None:
    scores = [REPORT.score]
    for count in range(len(rules)):
        some = [{**GOOD, "rule": rule} for rule in sorted(rules)[: count + 1]]
        scores.append(standing(*some).score)

    assert scores == sorted(scores)


@pytest.mark.parametrize("name", sorted(reporters.ALL))
def test_a_report_without_waivers_is_the_static_one(name: str) -> None:
    reporter = reporters.ALL[name]

    assert reporter.render(REPORT, standing()) == reporter.render(REPORT)


def test_a_json_report_keeps_the_finding_and_says_why_it_is_waived() -> None:
    found = standing(GOOD, {**GOOD, "rule": "dropper", "expires_on": "2020-01-01"})

    document = json.loads(reporters.json.render(REPORT, found))

    static = json.loads(reporters.json.render(REPORT))
    first = next(each for each in document["findings"] if each["rule"] == "sabotage")
    assert first.pop("waived")["reason"] == "It cleans my own disk."
    assert first in static["findings"]
    assert document["score"] == found.score
    assert document["score_without_waivers"] == static["score"]
    assert [each["rule"] for each in document["expired_waivers"]] == ["dropper"]
    assert all(each["rule"] != "sabotage" for each in document["deductions"])


@pytest.mark.parametrize("name", ["text", "markdown"])
def test_a_page_says_what_is_waived_and_which_waivers_have_ended(name: str) -> None:
    found = standing(GOOD, {**GOOD, "rule": "dropper", "expires_on": "2020-01-01"})

    page = reporters.ALL[name].render(REPORT, found).replace("\\", "")

    assert "Waived until 2026-11-25: It cleans my own disk." in page
    assert "2 more waived by the owner" in page
    assert "dropper in adder *, files *: ended after 2020-01-01" in page


def test_sarif_suppresses_what_is_waived() -> None:
    [run] = json.loads(reporters.sarif.render(REPORT, standing(GOOD)))["runs"]

    suppressed = {r["ruleId"]: r["suppressions"] for r in run["results"]}
    assert suppressed["sabotage"][0]["justification"] == "It cleans my own disk."
    assert suppressed["weak-cryptography"] == []


@pytest.mark.parametrize(
    ("entries", "complaint"),
    [
        ("dropper", "waivers: a list is needed"),
        (["dropper"], r"waivers\[0\]: a mapping is needed"),
        ([GOOD, {**GOOD, "until": 1}], r"waivers\[1\]: unknown entry 'until'; known are rule"),
        ([{**GOOD, 1: 2}], r"waivers\[0\]: unknown entry 1"),
        ([{**GOOD, "rule": "sabotag"}], r"there is no rule 'sabotag'; is sabotage meant\?"),
        ([{**GOOD, "rule": "nothing-*"}], "there is no rule 'nothing-"),
        ([{**GOOD, "reason": " "}], "reason is no text"),
        ([{**GOOD, "reason": "x" * 501}], "reason is longer than 500 characters"),
        ([{**GOOD, "version": 1.0}], "version is no text; put it in quotes"),
        ([{**GOOD, "plugin": None}], "plugin is no text"),
        ([{**GOOD, "expires_on": "soon"}], "expires_on is no date such as"),
        ([{**GOOD, "expires_on": 20270101}], "expires_on is no date such as"),
        ([{**GOOD, "expires_on": datetime(2027, 1, 1)}], "expires_on is no date such as"),  # noqa: DTZ001 - as YAML gives it
        ([GOOD] * (WAIVERS_LIMIT + 1), "more than 1000"),
        *(
            ([{key: value for key, value in GOOD.items() if key != name}], f"{name} is missing")
            for name in GOOD
        ),
    ],
)
def test_a_waiver_without_meaning_is_refused(entries: Any, complaint: str) -> None:
    with pytest.raises(InvalidPolicy, match=complaint):
        Policy.from_mapping({"waivers": entries})


def test_a_waiver_has_no_part_in_a_report_that_found_nothing() -> None:
    clean: Report = audit(SourceTree.from_files({"a.py": b"x = 1\n"}))

    found = waive(clean, read_waivers([GOOD]), plugin="adder", version="1", today=TODAY)

    assert found.is_plain
    assert found.score == 100
