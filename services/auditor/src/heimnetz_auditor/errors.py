"""What can go wrong in the auditor alone."""

from heimnetz_common.errors import HeimnetzError, NotFound


class AuditNotFound(NotFound):
    kind = "audit-not-found"
    title = "No audit of this version"

    def __init__(self, plugin: str, version: str) -> None:
        super().__init__(f"{plugin} {version} has not been audited")


class FormatNotKept(NotFound):
    kind = "format-not-kept"
    title = "The audit is older than this format"

    def __init__(self, plugin: str, version: str, name: str) -> None:
        super().__init__(
            f"{plugin} {version} was audited by an engine that wrote no {name}; audit it again"
        )


class AuditFailed(HeimnetzError):
    """The engine gave no answer; the detail says why, and a person has to decide."""

    kind = "audit-failed"
    title = "The audit could not be finished"
