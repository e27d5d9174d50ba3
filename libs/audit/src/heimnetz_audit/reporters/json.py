"""One JSON document with everything that the report says."""

import json
from dataclasses import asdict
from typing import Any

from heimnetz_audit.model import Finding, Report


def render(report: Report) -> str:
    return json.dumps(document(report), indent=2, ensure_ascii=True) + "\n"


def document(report: Report) -> dict[str, Any]:
    difference = report.difference
    return {
        "score": report.score,
        "grade": report.grade,
        "engine_version": report.engine_version,
        "files": report.files,
        "lines": report.lines,
        "findings": [finding_document(finding) for finding in report.findings],
        "deductions": [
            {
                "file": deduction.finding.file,
                "line": deduction.finding.line,
                "rule": deduction.finding.rule,
                "weight": deduction.weight,
                "remedy": deduction.remedy,
            }
            for deduction in report.deductions
            if deduction.weight
        ],
        "unknowns": [asdict(unknown) for unknown in report.unknowns],
        "inferred": {name: list(found) for name, found in asdict(report.inferred).items()},
        "difference": None
        if difference is None
        else {"undeclared": list(difference.undeclared), "unused": list(difference.unused)},
    }


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
        "flow": [asdict(step) for step in finding.flow],
    }
