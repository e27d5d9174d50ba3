"""A page for a terminal: the grade, then the findings, then what could not be looked at."""

from heimnetz_audit.model import Finding, Report
from heimnetz_audit.model.waivers import Standing, Waiver
from heimnetz_audit.reporters.wording import dated, drifted, expired, plain, summary, waived


def render(report: Report, standing: Standing | None = None) -> str:
    lines = [summary(report, standing), ""]
    waivers = standing.waivers if standing is not None else (None,) * len(report.findings)
    for finding, waiver in zip(report.findings, waivers, strict=True):
        lines.extend(_finding(finding, waiver))
    if standing is not None and standing.expired:
        lines.append("Waivers that have ended:")
        lines.extend(f"  {plain(expired(each))}" for each in standing.expired)
        lines.append("")
    if report.drift is not None:
        first, *changes = drifted(report.drift)
        lines += [plain(first), *(f"  {plain(change)}" for change in changes), ""]
    if report.findings:
        lines += ["Each rule is explained by `heimnetz explain RULE`.", ""]
    if report.unknowns:
        lines.append("Not looked at:")
        lines.extend(f"  {plain(u.file or '.')}: {plain(u.why)}" for u in report.unknowns)
        lines.append("")
    lines.append(dated(report))
    return "\n".join(lines).rstrip("\n") + "\n"


def _finding(finding: Finding, waiver: Waiver | None) -> list[str]:
    cwe = f" CWE-{finding.cwe}" if finding.cwe is not None else ""
    lines = [
        f"{plain(finding.file)}:{finding.line}: {finding.severity.label}: "
        f"{plain(finding.message)} [{finding.rule}{cwe}, confidence {finding.confidence}]"
    ]
    if waiver is not None:
        lines.append(f"    {plain(waived(waiver))}")
    lines.extend(f"    {plain(s.file)}:{s.line}: {plain(s.text)}" for s in finding.flow)
    return lines
