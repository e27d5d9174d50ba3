"""What the auditor knows about: requests, answers of the engine, audits."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

#: The grade of a version that could not be looked at; no letter would be true.
UNKNOWN_GRADE = "unknown"
#: Ends the name of a format in which the owner's waivers and the version before are told.
WHOLE = "+whole"


class Verdict(StrEnum):
    APPROVE = "approve"
    REVIEW = "review"
    REJECT = "reject"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A version that waits for its audit; `tries` counts this one."""

    id: int
    plugin: str
    version: str
    sha256: str
    tries: int
    traceparent: str | None
    # As the registry says now; `is_signed`: by a key that is still good.
    publisher: str = ""
    is_signed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the engine said; `reports` holds one text a format, as the library renders it.

    Score, grade and counts are without what the owner's waivers cover; `holds_until` is the last
    day of the first of these waivers to end.
    """

    engine_version: str
    score: int
    grade: str
    verdict: Verdict
    reasons: tuple[str, ...]
    counts: Mapping[str, int]
    undeclared: tuple[str, ...]
    unused: tuple[str, ...]
    reports: Mapping[str, str]
    holds_until: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedAdvisories:
    """`as_of` is the time of the latest of them."""

    sha256: str
    as_of: datetime
    count: int
    imported_by: str
    imported_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """The outcome of one engine version on one package."""

    id: int
    plugin: str
    version: str
    sha256: str
    engine_version: str
    policy_sha256: str
    score: int
    grade: str
    verdict: Verdict
    reasons: tuple[str, ...]
    counts: Mapping[str, int]
    audited_at: datetime
