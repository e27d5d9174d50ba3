"""SARIF as code hosts and editors read it, held against the schema of SARIF 2.1.0."""

import json
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema.protocols import Validator
from jsonschema.validators import validator_for

from heimnetz_audit import Report, SourceTree, audit
from heimnetz_audit.checks import ALL
from heimnetz_audit.model import (
    Confidence,
    Finding,
    InferredPermissions,
    Severity,
    Step,
    Unknown,
)
from heimnetz_audit.model.waivers import Standing
from heimnetz_audit.reporters import sarif
from heimnetz_audit.waiving import read_waivers, waive

SCHEMA = Path(__file__).parents[1] / "schemas" / "sarif-2.1.0.schema.json"
FLOWING = (
    "import os\nfrom flask import Flask, request\napp = Flask(__name__)\n\n"
    "@app.route('/x')\ndef x():\n    host = request.args['host']\n    os.system('ping ' + host)\n"
)
TREE = SourceTree.from_files(
    {"src/a b#ü.py": FLOWING.encode(), "src/broken.py": b"def (", "setup.txt": b"\x7fELF"}
)


@cache
def validator() -> Validator:
    schema = json.loads(SCHEMA.read_text("utf-8"))
    kind = validator_for(schema)
    kind.check_schema(schema)
    return kind(schema)


def run_of(report: Report, standing: Standing | None = None) -> dict[str, Any]:
    document = json.loads(sarif.render(report, standing))
    validator().validate(document)
    [run] = document["runs"]
    assert isinstance(run, dict)
    return run


def waived(report: Report) -> Standing:
    common = {"plugin": "p", "reason": "Mine."}
    waivers = read_waivers(
        [
            {**common, "rule": "command-injection", "expires_on": "2027-01-01"},
            {**common, "rule": "dropper", "expires_on": "2020-01-01"},
        ]
    )
    return waive(report, waivers, plugin="p", version="1.0.0", today=date(2026, 11, 25))


def test_the_schema_refuses_what_is_none() -> None:
    assert not validator().is_valid({"version": "2.1.0", "runs": [{"tool": {}}]})


def test_a_report_with_flows_and_unknowns_is_as_the_schema_wants() -> None:
    run = run_of(audit(TREE))

    flowing = next(each for each in run["results"] if each["ruleId"] == "command-injection")
    place = flowing["locations"][0]["physicalLocation"]
    assert unquote(place["artifactLocation"]["uri"]) == "src/a b#ü.py"
    assert place["region"]["startLine"] == 8
    assert len(flowing["codeFlows"][0]["threadFlows"][0]["locations"]) > 1
    notified = run["invocations"][0]["toolExecutionNotifications"]
    assert any("not valid Python" in each["message"]["text"] for each in notified)


def test_a_report_in_which_nothing_was_found_is_as_the_schema_wants() -> None:
    assert run_of(audit(SourceTree.from_files({})))["results"] == []


def test_a_report_with_waivers_is_as_the_schema_wants() -> None:
    report = audit(TREE)

    run = run_of(report, waived(report))

    assert all("suppressions" in each for each in run["results"])
    assert run["invocations"][0]["toolConfigurationNotifications"]


def test_each_result_points_to_its_rule() -> None:
    run = run_of(audit(TREE))

    rules = run["tool"]["driver"]["rules"]
    assert [rules[each["ruleIndex"]]["id"] for each in run["results"]] == [
        each["ruleId"] for each in run["results"]
    ]


@pytest.mark.parametrize("severity", list(Severity))
def test_each_severity_has_a_level_of_sarif(severity: Severity) -> None:
    assert run_of(report_of(finding("a.py", 1, severity)))["results"][0]["level"] in (
        "note",
        "warning",
        "error",
    )


def finding(file: str, line: int, severity: Severity, text: str = "x", cwe: int = 1) -> Finding:
    return Finding(
        file=file,
        line=line,
        end_line=line,
        rule=ALL[line % len(ALL)].rule,
        cwe=cwe or None,
        severity=severity,
        confidence=Confidence.LOW,
        message=text,
        flow=(Step(file, line, text),) * (line % 3),
    )


def report_of(*findings: Finding, unknowns: tuple[Unknown, ...] = ()) -> Report:
    return Report(
        findings=findings,
        unknowns=unknowns,
        score=50,
        grade="D",
        deductions=(),
        inferred=InferredPermissions(),
        difference=None,
        engine_version="1.0.0",
        files=1,
        lines=1,
    )


TEXTS = st.text(st.characters(), max_size=20)  # half characters as well
FINDINGS = st.builds(
    finding, TEXTS, st.integers(0, 99), st.sampled_from(Severity), TEXTS, st.integers(0, 9)
)


@settings(max_examples=60)
@given(
    st.lists(FINDINGS, max_size=3), st.lists(st.builds(Unknown, TEXTS, TEXTS, TEXTS), max_size=2)
)
def test_whatever_a_package_calls_its_files_the_document_is_valid(
    findings: list[Finding], unknowns: list[Unknown]
) -> None:
    run = run_of(report_of(*findings, unknowns=tuple(unknowns)))

    assert len(run["results"]) == len(findings)
