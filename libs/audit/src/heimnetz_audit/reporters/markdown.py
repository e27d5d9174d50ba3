"""A page for the owner of a home server: one sentence, the reasons, the code."""

from heimnetz_audit.model import Finding, Report
from heimnetz_audit.reporters.wording import fenced, markdown, summary


def render(report: Report) -> str:
    lines = ["# Audit report", "", summary(report), ""]
    if report.deductions:
        lines += ["## What costs points", "", "| Points | Finding | Place | What wins them back |"]
        lines += ["| ---: | --- | --- | --- |"]
        lines += [
            f"| {d.weight:g} | {d.finding.rule} | {markdown(d.finding.file)}:{d.finding.line} "
            f"| {markdown(d.remedy)} |"
            for d in report.deductions
            if d.weight
        ]
        lines.append("")
    if report.findings:
        lines += ["## Findings", ""]
        for finding in report.findings:
            lines += _finding(finding)
    lines += _permissions(report)
    if report.unknowns:
        lines += ["## Not looked at", ""]
        lines += [f"- {markdown(u.file or '.')}: {markdown(u.why)}" for u in report.unknowns]
        lines.append("")
    return "\n".join(lines).rstrip("\n") + "\n"


def _finding(finding: Finding) -> list[str]:
    cwe = f", CWE-{finding.cwe}" if finding.cwe is not None else ""
    lines = [
        f"### {finding.severity.label}: {finding.rule}",
        "",
        f"{markdown(finding.message)} In {markdown(finding.file)}, line {finding.line}{cwe}; "
        f"confidence {finding.confidence}.",
        "",
    ]
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
