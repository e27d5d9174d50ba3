"""The auditor's report in the words of the documentation."""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from heimnetz_docs import Audit, Finding, Reach
from heimnetz_manifest import Manifest

# What the engine infers, and the permission that would allow it; None where none can.
_KINDS = {
    "network": "network",
    "events": "publish",
    "files_read": None,
    "files_written": None,
    "processes": None,
    "environment": None,
    "dynamic_code": None,
    "native_code": None,
}
# A report is as good as the process that wrote it, which read a stranger's package.
_PAGE = re.compile(r"/docs/platform/checks/[a-z0-9-]{1,64}\.html")


def audit_of(
    version: Mapping[str, Any], report: Mapping[str, Any] | None, manifest: Manifest
) -> Audit | None:
    """What the auditor found, or None where it has not looked."""
    if report is None:
        return None
    found = report.get("findings") or ()
    findings = tuple(_finding(item) for item in found)
    counts = report.get("counts") or Counter(
        finding.severity
        for finding, item in zip(findings, found, strict=True)
        if not item.get("waived")
    )
    return Audit(
        score=float(report.get("score") or 0),
        grade=str(report.get("grade") or version.get("grade") or "?"),
        verdict=str(report.get("verdict") or version.get("verdict") or ""),
        counts={str(name): int(number) for name, number in counts.items()},
        reasons=tuple(
            str(reason) for reason in (report.get("reasons") or [version.get("reason")]) if reason
        ),
        findings=findings,
        reaches=tuple(reaches(report.get("inferred") or {}, manifest)),
        limitations=tuple(_limitation(item) for item in report.get("unknowns") or ()),
    )


def reaches(inferred: Mapping[str, Any], manifest: Manifest) -> list[Reach]:
    """What is declared beside what the code shows; runs are not looked at here."""
    declared = {("network", item.to) for item in manifest.permissions.network}
    declared |= {("publish", item.event) for item in manifest.permissions.publish}
    found: dict[tuple[str, str], str] = {}
    for kind, permission in _KINDS.items():
        for target in inferred.get(kind) or ():
            key = _matching(permission, str(target), declared)
            found[key or (kind, str(target))] = kind
    return [
        Reach(
            kind.replace("_", " "),
            target,
            declared=(kind, target) in declared,
            inferred=(kind, target) in found,
            observed=None,
        )
        for kind, target in sorted(declared | found.keys())
    ]


def _matching(
    permission: str | None, target: str, declared: set[tuple[str, str]]
) -> tuple[str, str] | None:
    """The declared permission that covers what the code shows, with or without its port."""
    for kind, value in sorted(declared):
        if kind == permission and target in {value, value.rpartition(":")[0]}:
            return kind, value
    return None


def _finding(item: Mapping[str, Any]) -> Finding:
    title = str(item.get("message") or item.get("title") or "")
    page = str(item.get("page"))
    waiver = item.get("waived")
    if isinstance(waiver, Mapping):
        title += f" Accepted until {waiver.get('expires_on')}: {waiver.get('reason')}"
    return Finding(
        rule=str(item.get("rule") or ""),
        severity=str(item.get("severity") or "info"),
        title=title,
        path=str(item.get("file") or item.get("path") or ""),
        line=item.get("line"),
        page=page if _PAGE.fullmatch(page) else None,
    )


def _limitation(item: Mapping[str, Any] | str) -> str:
    if isinstance(item, str):
        return item
    return f"{item.get('file')}: {item.get('why')}"
