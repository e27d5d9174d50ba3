"""One finding a line, for other programs."""

import json

from heimnetz_audit.model import Report
from heimnetz_audit.model.waivers import Standing


def render(report: Report, _standing: Standing | None = None) -> str:
    """A line has no room for waivers: what was found is what it says."""
    return "".join(
        json.dumps(
            {
                "file": finding.file,
                "line": finding.line,
                "end_line": finding.end_line,
                "rule": finding.rule,
                "cwe": finding.cwe,
                "severity": finding.severity.label,
                "confidence": str(finding.confidence),
            },
            ensure_ascii=True,
        )
        + "\n"
        for finding in report.findings
    )
