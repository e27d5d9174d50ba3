"""What the owner accepts although it was found, and what a report counts for after that."""

from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase

from heimnetz_audit.model.findings import Finding
from heimnetz_audit.model.report import Deduction


class InvalidPolicy(ValueError):
    """The policy says something that has no meaning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """Accepted findings: of which rule, where, why, and until when (inclusive).

    `rule`, `plugin`, `version` and `files` may hold `*`.
    """

    rule: str
    plugin: str
    reason: str
    expires_on: date
    version: str = "*"
    files: str = "*"

    def is_about(self, plugin: str, version: str) -> bool:
        return fnmatchcase(plugin, self.plugin) and fnmatchcase(version, self.version)

    def covers(self, finding: Finding) -> bool:
        """Whether rule and place are meant, whatever the day."""
        return fnmatchcase(finding.rule, self.rule) and fnmatchcase(finding.file, self.files)

    def has_ended(self, today: date) -> bool:
        return today > self.expires_on


@dataclass(frozen=True, slots=True)
class Expired:
    """A waiver that is past its day, and how many findings it would have covered."""

    waiver: Waiver
    findings: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A report as the owner's policy counts it; the report itself stays as it is.

    `open_findings` are those that no waiver covers; `waivers` pairs with all of the report's.
    """

    open_findings: tuple[Finding, ...]
    waivers: tuple[Waiver | None, ...]
    expired: tuple[Expired, ...]
    score: int
    grade: str
    deductions: tuple[Deduction, ...]

    @property
    def is_plain(self) -> bool:
        """No waiver has or had anything to do with the report."""
        return not self.expired and not any(self.waivers)
