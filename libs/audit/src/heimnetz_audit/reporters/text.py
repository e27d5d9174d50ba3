"""A page for a terminal: the grade, then the findings, then what could not be looked at."""

from heimnetz_audit.model import Finding, Report
from heimnetz_audit.reporters.wording import plain, summary


def render(report: Report) -> str:
    lines = [summary(report), ""]
    for finding in report.findings:
        lines.extend(_finding(finding))
    if report.unknowns:
        lines.append("Not looked at:")
        lines.extend(f"  {plain(u.file or '.')}: {plain(u.why)}" for u in report.unknowns)
        lines.append("")
    return "\n".join(lines).rstrip("\n") + "\n"


def _finding(finding: Finding) -> list[str]:
    cwe = f" CWE-{finding.cwe}" if finding.cwe is not None else ""
    lines = [
        f"{plain(finding.file)}:{finding.line}: {finding.severity.label}: "
        f"{plain(finding.message)} [{finding.rule}{cwe}, confidence {finding.confidence}]"
    ]
    lines.extend(f"    {plain(s.file)}:{s.line}: {plain(s.text)}" for s in finding.flow)
    return lines
