"""A page for the owner of a home server: one sentence, the reasons, the code."""

from heimnetz_audit.model import Finding, Report
from heimnetz_audit.model.waivers import Standing, Waiver
from heimnetz_audit.reporters.wording import (
    dated,
    drifted,
    expired,
    fenced,
    markdown,
    summary,
    waived,
)


def render(report: Report, standing: Standing | None = None) -> str:
    lines = ["# Audit report", "", summary(report, standing), ""]
    deductions = report.deductions if standing is None else standing.deductions
    if deductions:
        lines += ["## What costs points", "", "| Points | Finding | Place | What wins them back |"]
        lines += ["| ---: | --- | --- | --- |"]
        lines += [
            f"| {d.weight:g} | {d.finding.rule} | {markdown(d.finding.file)}:{d.finding.line} "
            f"| {markdown(d.remedy)} |"
            for d in deductions
            if d.weight
        ]
        lines.append("")
    if report.findings:
        lines += ["## Findings", ""]
        waivers = standing.waivers if standing is not None else (None,) * len(report.findings)
        for finding, waiver in zip(report.findings, waivers, strict=True):
            lines += _finding(finding, waiver)
    if standing is not None and standing.expired:
        lines += ["## Waivers that have ended", ""]
        lines += [f"- {markdown(expired(each))}" for each in standing.expired]
        lines.append("")
    if report.drift is not None:
        first, *changes = drifted(report.drift)
        lines += ["## What changed", "", markdown(first), "", "```text"]
        lines += [*(fenced(change) for change in changes), "```", ""]
    lines += _permissions(report)
    if report.unknowns:
        lines += ["## Not looked at", ""]
        lines += [f"- {markdown(u.file or '.')}: {markdown(u.why)}" for u in report.unknowns]
        lines.append("")
    lines.append(dated(report))
    return "\n".join(lines).rstrip("\n") + "\n"


def _finding(finding: Finding, waiver: Waiver | None) -> list[str]:
    cwe = f", CWE-{finding.cwe}" if finding.cwe is not None else ""
    lines = [
        f"### {finding.severity.label}: {finding.rule}",
        "",
        f"{markdown(finding.message)} In {markdown(finding.file)}, line {finding.line}{cwe}; "
        f"confidence {finding.confidence}. [What this means, and what to do]({finding.page}).",
        "",
    ]
    if waiver is not None:
        lines += [f"**{markdown(waived(waiver))}**", ""]
    if finding.flow:
        lines += ["```text"]
        lines += [f"{fenced(s.file)}:{s.line}: {fenced(s.text)}" for s in finding.flow]
        lines += ["```", ""]
    return lines


def _permissions(report: Report) -> list[str]:
    inferred = report.inferred
    rows = [
        ("Network", inferred.network),
        ("Files read", inferred.files_read),
        ("Files written", inferred.files_written),
        ("Processes", inferred.processes),
        ("Environment", inferred.environment),
        ("Events", inferred.events),
        ("Code made at run time", inferred.dynamic_code),
        ("Native code", inferred.native_code),
    ]
    shown = [(name, found) for name, found in rows if found]
    if not shown:
        return []
    lines = ["## What the code can reach", "", "| Kind | What |", "| --- | --- |"]
    lines += [f"| {name} | {markdown(', '.join(found[:30]))} |" for name, found in shown]
    if report.difference is not None and report.difference.undeclared:
        lines += ["", "Not declared in the manifest:", ""]
        lines += [f"- {markdown(entry)}" for entry in report.difference.undeclared]
    return [*lines, ""]
