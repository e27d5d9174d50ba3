"""The owner's policy: what a report must show before a plugin may be installed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import date
from fnmatch import fnmatchcase
from typing import Any, Final, Literal

from heimnetz_audit.checks.known_vulnerability import WITHOUT_ADVISORIES
from heimnetz_audit.model import Finding, Report, Severity
from heimnetz_audit.model.waivers import InvalidPolicy, Standing, Waiver
from heimnetz_audit.waiving import read_waivers, waive

Outcome = Literal["approve", "review", "reject"]
_ORDER: Final[tuple[Outcome, ...]] = ("approve", "review", "reject")
GRADES: Final = "ABCDEF"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What the owner demands. Rules and hosts may hold `*`."""

    minimum_grade: str = "B"
    reject_below_grade: str = "D"
    reject_at: Severity = Severity.CRITICAL
    review_at: Severity = Severity.MEDIUM
    forbidden_rules: tuple[str, ...] = ()
    review_rules: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] | None = None
    forbid_processes: bool = False
    forbid_native_code: bool = False
    forbid_undeclared: bool = True
    require_signature: bool = False
    require_advisories: bool = False
    trusted_publishers: tuple[str, ...] = ()
    waivers: tuple[Waiver, ...] = ()

    @classmethod
    def from_mapping(cls, document: Mapping[str, Any]) -> "Policy":
        """Raises: InvalidPolicy."""
        known = {field.name for field in fields(cls)}
        unknown = sorted(str(name) for name in set(document) - known)
        if unknown:
            raise InvalidPolicy(f"unknown entry: {unknown[0]}")
        return cls(**{name: _read(name, value) for name, value in document.items()})

    def __post_init__(self) -> None:
        for name in ("minimum_grade", "reject_below_grade"):
            if getattr(self, name) not in GRADES or len(getattr(self, name)) != 1:
                raise InvalidPolicy(f"{name}: no such grade")


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome and every reason for it, worst first; `standing` is what was weighed."""

    outcome: Outcome
    reasons: tuple[str, ...]
    standing: Standing


def decide(
    report: Report,
    policy: Policy,
    *,
    plugin: str = "",
    version: str = "",
    is_signed: bool = False,
    publisher: str = "",
    today: date | None = None,
) -> Verdict:
    """Weighs a report. What could not be looked at goes to a person, whatever else is true.

    That advisories are missing is a reason only where the policy requires them: they are the
    owner's to import, and no package can do anything about it.
    Waivers hold for `plugin`, `version` and `today`; without a day none of them does.
    """
    standing = waive(report, policy.waivers, plugin=plugin, version=version, today=today)
    reasons = [
        *_about_findings(standing.open_findings, policy),
        *_about_grade(standing.grade, policy),
        *_about_permissions(report, policy),
    ]
    if policy.require_signature and not is_signed:
        reasons.append(("reject", "the package carries no valid signature"))
    if policy.trusted_publishers and publisher not in policy.trusted_publishers:
        reasons.append(("review", "the publisher is not among the trusted ones"))
    reasons.extend(
        ("review", f"not looked at: {unknown.file or 'the package'}: {unknown.why}")
        for unknown in report.unknowns
        if policy.require_advisories or unknown != WITHOUT_ADVISORIES
    )
    if not reasons:
        reason = f"grade {standing.grade}, nothing that the policy objects to"
        if WITHOUT_ADVISORIES in report.unknowns:
            reason += f"; not known is {WITHOUT_ADVISORIES.why}"
        return Verdict("approve", (reason,), standing)
    reasons.sort(key=lambda reason: -_ORDER.index(reason[0]))
    return Verdict(reasons[0][0], tuple(dict.fromkeys(text for _, text in reasons)), standing)


def exit_code(report: Report, fail_on: Severity | None) -> int:
    """1 with a finding at or above `fail_on`, else 2 when something is unknown, else 0.

    That advisories are missing is in the report, and no fault of what was audited.
    """
    if fail_on is not None and any(f.severity >= fail_on for f in report.findings):
        return 1
    return 2 if set(report.unknowns) - {WITHOUT_ADVISORIES} else 0


def _about_findings(findings: Iterable[Finding], policy: Policy) -> list[tuple[Outcome, str]]:
    reasons: list[tuple[Outcome, str]] = []
    for finding in findings:
        place = f"{finding.rule} in {finding.file}:{finding.line}"
        if any(fnmatchcase(finding.rule, rule) for rule in policy.forbidden_rules):
            reasons.append(("reject", f"forbidden finding: {place}"))
        elif finding.severity >= policy.reject_at:
            reasons.append(("reject", f"{finding.severity.label} finding: {place}"))
        elif finding.severity >= policy.review_at:
            reasons.append(("review", f"{finding.severity.label} finding: {place}"))
        elif any(fnmatchcase(finding.rule, rule) for rule in policy.review_rules):
            reasons.append(("review", f"finding for a person: {place}"))
    return reasons


def _about_grade(letter: str, policy: Policy) -> list[tuple[Outcome, str]]:
    if GRADES.index(letter) > GRADES.index(policy.reject_below_grade):
        return [("reject", f"grade {letter} is below {policy.reject_below_grade}")]
    if GRADES.index(letter) > GRADES.index(policy.minimum_grade):
        return [("review", f"grade {letter} is below {policy.minimum_grade}")]
    return []


def _about_permissions(report: Report, policy: Policy) -> list[tuple[Outcome, str]]:
    reasons: list[tuple[Outcome, str]] = []
    inferred = report.inferred
    if policy.forbid_processes and inferred.processes:
        reasons.append(("reject", f"starts a process: {inferred.processes[0]}"))
    if policy.forbid_native_code and inferred.native_code:
        reasons.append(("reject", f"brings native code: {inferred.native_code[0]}"))
    if policy.allowed_hosts is not None:
        for target in inferred.network:
            host = target.rpartition(":")[0] or target
            if not any(fnmatchcase(host, pattern) for pattern in policy.allowed_hosts):
                reasons.append(("review", f"reaches a host outside the list: {target}"))
    if policy.forbid_undeclared and report.difference is not None:
        reasons.extend(
            ("review", f"not declared: {entry}") for entry in report.difference.undeclared
        )
    return reasons


def _read(name: str, value: Any) -> Any:
    if name in ("reject_at", "review_at"):
        try:
            return Severity.parse(str(value))
        except ValueError as error:
            raise InvalidPolicy(f"{name}: {error}") from error
    if name == "waivers":
        return read_waivers(value)
    if name in ("forbidden_rules", "review_rules", "allowed_hosts", "trusted_publishers"):
        return tuple(_worded(name, each) for each in _listed(name, value))
    if name in ("minimum_grade", "reject_below_grade"):
        return _worded(name, value)
    if not isinstance(value, bool):
        raise InvalidPolicy(f"{name}: true or false is needed")
    return value


def _listed(name: str, value: Any) -> list[Any]:
    if not isinstance(value, list | tuple):
        raise InvalidPolicy(f"{name}: a list is needed")
    return list(value)


def _worded(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise InvalidPolicy(f"{name}: a text is needed")
    return value
