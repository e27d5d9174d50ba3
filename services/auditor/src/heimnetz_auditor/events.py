"""What the auditor announces."""

from typing import ClassVar

from pydantic import Field

from heimnetz_common.events import EventData


class VersionAudited(EventData):
    """An audit of a version ended; `counts` are findings by severity.

    What the owner's waivers cover counts neither there nor in `score` and `grade`. `grade` is
    `unknown` where the engine could not finish; the verdict is `review` then. `changes` tells
    which findings are `new` and which are `gone` since the audit before of the same bytes.
    """

    name: ClassVar[str] = "version.audited.v1"

    plugin: str
    version: str
    sha256: str
    score: int
    grade: str
    verdict: str
    counts: dict[str, int]
    permission_difference: dict[str, list[str]]
    report_url: str
    reasons: list[str]
    engine_version: str = ""
    changes: dict[str, list[str]] = Field(default_factory=dict)
