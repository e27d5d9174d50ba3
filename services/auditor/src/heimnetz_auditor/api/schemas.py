"""What the auditor's routes take and give."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, Field

from heimnetz_auditor.model import Verdict
from heimnetz_common.routing import StrictBody

PLUGIN = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
VERSION = r"^[0-9][0-9A-Za-z.+-]{0,127}$"


class ReportFormat(StrEnum):
    JSON = "json"
    SARIF = "sarif"
    MARKDOWN = "markdown"
    TEXT = "text"
    CYCLONEDX = "cyclonedx"


class AuditEntry(BaseModel):
    """`grade` is `unknown` where the engine could not finish; `counts` are findings by severity.

    What the owner's waivers cover does not count.
    """

    plugin: str
    version: str
    sha256: str
    engine_version: str
    policy_sha256: str
    score: int
    grade: str
    verdict: Verdict
    reasons: list[str]
    counts: dict[str, int]
    audited_at: datetime


class AuditPage(BaseModel):
    items: list[AuditEntry]
    next_cursor: str | None


class AuditWish(StrictBody):
    plugin: Annotated[str, Field(pattern=PLUGIN)]
    version: Annotated[str, Field(pattern=VERSION)]


class AdvisoriesEntry(BaseModel):
    """`as_of` is the time of the latest advisory; `count` is of those about PyPI and npm."""

    sha256: str = ""
    as_of: datetime | None = None
    count: int = 0
    imported_by: str = ""
    imported_at: datetime | None = None


class AuditPromise(BaseModel):
    """The audit is asked for; its report will be there."""

    plugin: str
    version: str
    report_url: str
