"""One JSON document with everything that the report says."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from heimnetz_audit.model import Deduction, Finding, Report
from heimnetz_audit.model.waivers import Standing, Waiver


def render(report: Report, standing: Standing | None = None) -> str:
    made = document(report)
    if standing is not None and not standing.is_plain:
        made = _with_waivers(made, standing)
    return json.dumps(made, indent=2, ensure_ascii=True) + "\n"


def document(report: Report) -> dict[str, Any]:
    difference = report.difference
    return {
        "score": report.score,
        "grade": report.grade,
        "engine_version": report.engine_version,
        "files": report.files,
        "lines": report.lines,
        "findings": [finding_document(finding) for finding in report.findings],
        "deductions": _deductions(report.deductions),
        "advisories": None if report.advisories is None else asdict(report.advisories),
        "unknowns": [asdict(unknown) for unknown in report.unknowns],
        "inferred": {name: list(found) for name, found in asdict(report.inferred).items()},
        "difference": None
        if difference is None
        else {"undeclared": list(difference.undeclared), "unused": list(difference.unused)},
    } | ({} if report.drift is None else {"drift": asdict(report.drift)})


def _deductions(deductions: Iterable[Deduction]) -> list[dict[str, Any]]:
    return [
        {
            "file": deduction.finding.file,
            "line": deduction.finding.line,
            "rule": deduction.finding.rule,
            "weight": deduction.weight,
            "remedy": deduction.remedy,
        }
        for deduction in deductions
        if deduction.weight
    ]


def _with_waivers(made: dict[str, Any], standing: Standing) -> dict[str, Any]:
    """Every finding stays; score, grade and deductions count without those that are waived."""
    findings = [
        finding if waiver is None else {**finding, "waived": _waiver_document(waiver)}
        for finding, waiver in zip(made["findings"], standing.waivers, strict=True)
    ]
    return {
        **made,
        "score": standing.score,
        "grade": standing.grade,
        "findings": findings,
        "deductions": _deductions(standing.deductions),
        "expired_waivers": [
            {**_waiver_document(each.waiver), "findings": each.findings}
            for each in standing.expired
        ],
        "score_without_waivers": made["score"],
        "grade_without_waivers": made["grade"],
    }


def _waiver_document(waiver: Waiver) -> dict[str, str]:
    return {name: str(value) for name, value in asdict(waiver).items()}


def finding_document(finding: Finding) -> dict[str, Any]:
    return {
        "file": finding.file,
        "line": finding.line,
        "end_line": finding.end_line,
        "rule": finding.rule,
        "cwe": finding.cwe,
        "severity": finding.severity.label,
        "confidence": str(finding.confidence),
        "message": finding.message,
        "page": finding.page,
        "flow": [asdict(step) for step in finding.flow],
    }
