"""SARIF 2.1.0, which code hosts and editors read."""

import json
from typing import Any, Final
from urllib.parse import quote

from heimnetz_audit.checks import ALL
from heimnetz_audit.model import Finding, Report, Severity, Step
from heimnetz_audit.model.waivers import Standing, Waiver
from heimnetz_audit.reporters.wording import expired

_LEVELS: Final = {
    Severity.INFO: "note",
    Severity.LOW: "note",
    Severity.MEDIUM: "warning",
    Severity.HIGH: "error",
    Severity.CRITICAL: "error",
}
#: GitHub's scale for `security-severity`, 0 to 10.
_NUMBERS: Final = {
    Severity.INFO: "0.0",
    Severity.LOW: "3.0",
    Severity.MEDIUM: "5.5",
    Severity.HIGH: "8.0",
    Severity.CRITICAL: "9.5",
}


def render(report: Report, standing: Standing | None = None) -> str:
    rules = sorted({finding.rule for finding in report.findings})
    run: dict[str, Any] = {
        "tool": {
            "driver": {
                "name": "heimnetz-audit",
                "semanticVersion": report.engine_version,
                "rules": [_rule(rule) for rule in rules],
            }
        },
        "columnKind": "unicodeCodePoints",
        "invocations": [
            {
                "executionSuccessful": True,
                "toolExecutionNotifications": [
                    {
                        "level": "warning",
                        "message": {"text": f"{unknown.check}: {unknown.why}"},
                        "locations": [_file_location(unknown.file)] if unknown.file else [],
                    }
                    for unknown in report.unknowns
                ],
            }
        ],
        "results": [_result(finding, rules.index(finding.rule)) for finding in report.findings],
        "properties": {"score": report.score, "grade": report.grade},
    }
    if report.advisories is not None:
        run["properties"]["advisoriesAsOf"] = report.advisories.as_of
    if standing is not None and not standing.is_plain:
        _add_waivers(run, standing)
    document = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [run],
    }
    return json.dumps(document, indent=2, ensure_ascii=True) + "\n"


def _add_waivers(run: dict[str, Any], standing: Standing) -> None:
    """SARIF 2.1.0, 3.27.23: an empty list says that a result is known not to be suppressed."""
    for result, waiver in zip(run["results"], standing.waivers, strict=True):
        result["suppressions"] = [] if waiver is None else [_suppression(waiver)]
    run["invocations"][0]["toolConfigurationNotifications"] = [
        {"level": "warning", "message": {"text": expired(each)}} for each in standing.expired
    ]
    run["properties"] |= {"score": standing.score, "grade": standing.grade}


def _suppression(waiver: Waiver) -> dict[str, Any]:
    return {
        "kind": "external",
        "status": "accepted",
        "justification": waiver.reason,
        "properties": {"expiresOn": str(waiver.expires_on)},
    }


def _rule(rule: str) -> dict[str, Any]:
    check = next((check for check in ALL if check.rule == rule), None)
    if check is None:
        return {"id": rule}
    tags = ["security", *([f"external/cwe/cwe-{check.cwe:03d}"] if check.cwe else [])]
    return {
        "id": rule,
        "shortDescription": {"text": check.title},
        "help": {"text": check.remedy},
        "properties": {"tags": tags, "security-severity": _NUMBERS[check.severity]},
    }


def _result(finding: Finding, index: int) -> dict[str, Any]:
    found: dict[str, Any] = {
        "ruleId": finding.rule,
        "ruleIndex": index,
        "level": _LEVELS[finding.severity],
        "message": {"text": finding.message},
        "locations": [_location(finding.file, finding.line, finding.end_line)],
        "properties": {
            "confidence": str(finding.confidence),
            "cwe": finding.cwe,
            "page": finding.page,
        },
    }
    if finding.remedy:
        found["properties"]["remedy"] = finding.remedy
    if finding.flow:
        steps = [{"location": _step(step)} for step in finding.flow]
        found["codeFlows"] = [{"threadFlows": [{"locations": steps}]}]
    return found


def _file_location(file: str) -> dict[str, Any]:
    return {
        "physicalLocation": {"artifactLocation": {"uri": quote(file, errors="backslashreplace")}}
    }


def _location(file: str, line: int, end_line: int) -> dict[str, Any]:
    location = _file_location(file)
    region = {"startLine": max(line, 1), "endLine": max(end_line, line, 1)}
    location["physicalLocation"]["region"] = region
    return location


def _step(step: Step) -> dict[str, Any]:
    return _location(step.file, step.line, step.line) | {"message": {"text": step.text}}
