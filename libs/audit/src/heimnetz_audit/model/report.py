"""The answer of an audit as a whole."""

from dataclasses import dataclass, field

from heimnetz_audit.model.advisories import Advisories
from heimnetz_audit.model.drift import Drift
from heimnetz_audit.model.findings import Finding, Severity, Unknown
from heimnetz_audit.model.pinned import Pinned


@dataclass(frozen=True, slots=True)
class Deduction:
    """Points that one finding costs, and what would win them back."""

    finding: Finding
    weight: float
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InferredPermissions:
    """What the code can reach, as far as it can be read; `*` stands for a computed value."""

    network: tuple[str, ...] = ()
    files_read: tuple[str, ...] = ()
    files_written: tuple[str, ...] = ()
    processes: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    dynamic_code: tuple[str, ...] = ()
    native_code: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredPermissions:
    """What the author of the package asks for.

    `network` holds `host` or `host:port`, with `*.` for any subdomain; `reasons` maps a
    permission (`network`, `files`, `processes`, ...) to the author's sentence.
    """

    network: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    processes: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    storage: bool = False
    native_code: bool = False
    dynamic_code: bool = False
    reasons: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PermissionDifference:
    """Both directions of declared against inferred, as `kind: name` lines."""

    undeclared: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Dated:
    """The advisories that an audit knew: the time of the latest of them, RFC 3339 in UTC."""

    as_of: str
    count: int
    sha256: str

    @classmethod
    def of(cls, advisories: Advisories) -> "Dated":
        return cls(advisories.as_of, advisories.count, advisories.sha256)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What the engine says about one tree; equal trees and advisories give equal reports.

    `drift` is None where there was no version before to compare with, `advisories` where the audit
    had none.
    """

    findings: tuple[Finding, ...]
    unknowns: tuple[Unknown, ...]
    score: int
    grade: str
    deductions: tuple[Deduction, ...]
    inferred: InferredPermissions
    difference: PermissionDifference | None
    engine_version: str
    files: int
    lines: int
    pinned: Pinned = field(default_factory=Pinned)
    drift: Drift | None = None
    advisories: Dated | None = None

    def count(self, severity: Severity) -> int:
        return sum(finding.severity is severity for finding in self.findings)

    @property
    def worst(self) -> Severity | None:
        return max((finding.severity for finding in self.findings), default=None)
