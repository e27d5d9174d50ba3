"""The facts that the registry announces, and what it hears from the auditor."""

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from heimnetz_common.events import EventData
from heimnetz_registry.model import State, UpdatePolicy

SERVICE = "registry"


class VersionSubmitted(EventData):
    """A version was stored and its bytes will never change."""

    name: ClassVar[str] = "version.submitted.v1"

    plugin: str
    version: str
    sha256: str
    size_bytes: int
    publisher: str


class VersionChanged(EventData):
    """A version took another state."""

    name: ClassVar[str]

    plugin: str
    version: str
    sha256: str
    publisher: str
    reason: str


class VersionApproved(VersionChanged):
    """A version may be installed and run."""

    name: ClassVar[str] = "version.approved.v1"


class VersionRejected(VersionChanged):
    """A version was refused for good."""

    name: ClassVar[str] = "version.rejected.v1"


class VersionNeedsReview(VersionChanged):
    """A version waits for a person's decision."""

    name: ClassVar[str] = "version.needs_review.v1"


class VersionDeprecated(VersionChanged):
    """A version should not be chosen any more; it runs on where it is installed."""

    name: ClassVar[str] = "version.deprecated.v1"


class VersionYanked(VersionChanged):
    """A version cannot be installed any more."""

    name: ClassVar[str] = "version.yanked.v1"


class VersionQuarantined(VersionChanged):
    """A version must not run: running containers are stopped, new runs refused."""

    name: ClassVar[str] = "version.quarantined.v1"


class VersionDeleted(VersionChanged):
    """A version's package is gone; its number is never used again."""

    name: ClassVar[str] = "version.deleted.v1"


class Limits(BaseModel):
    """Caps of one run, in bytes, seconds and numbers."""

    model_config = ConfigDict(frozen=True)

    memory_bytes: int
    cpus: float
    cpu_seconds: float | None
    processes: int
    open_files: int
    wall_seconds: float
    tmp_bytes: int
    tmp_inodes: int
    result_bytes: int
    log_bytes: int
    output_bytes: int
    output_inodes: int


class ServiceLevel(BaseModel):
    """What the manifest promises: a share of runs that end ok, seconds for 99 of 100 answers."""

    model_config = ConfigDict(frozen=True)

    availability: float | None = None
    latency_seconds: float | None = None


class InstallationChanged(EventData):
    """A version was put to use, or its grants, triggers or configuration changed.

    A higher revision is newer, whatever the order of arrival. A rollback brings back what the
    version before left.
    """

    name: ClassVar[str] = "installation.changed.v1"

    plugin: str
    version: str
    sha256: str
    grants: list[str]
    triggers: dict[str, Any]
    limits: Limits
    revision: int
    service_level: ServiceLevel | None = None
    is_rollback: bool = False


class InstallationRemoved(EventData):
    """A plugin is not in use any more."""

    name: ClassVar[str] = "installation.removed.v1"

    plugin: str
    revision: int


class InstallationPolicyChanged(EventData):
    """From now on newer versions are put to use by a person, or by the registry."""

    name: ClassVar[str] = "installation.policy_changed.v1"

    plugin: str
    update_policy: UpdatePolicy


class KeyRegistered(EventData):
    """A publisher has a new key to sign with."""

    name: ClassVar[str] = "key.registered.v1"

    key_id: str
    publisher: str


class KeyRotated(EventData):
    """A key signs nothing new; its successor does, and what it signed stays good."""

    name: ClassVar[str] = "key.rotated.v1"

    key_id: str
    publisher: str
    successor: str


class KeyRevoked(EventData):
    """A key is not to be believed any more, nor so many versions that it signed."""

    name: ClassVar[str] = "key.revoked.v1"

    key_id: str
    publisher: str
    reason: str
    versions: int


BY_STATE: dict[State, type[VersionChanged]] = {
    State.APPROVED: VersionApproved,
    State.REJECTED: VersionRejected,
    State.NEEDS_REVIEW: VersionNeedsReview,
    State.DEPRECATED: VersionDeprecated,
    State.YANKED: VersionYanked,
    State.QUARANTINED: VersionQuarantined,
    State.DELETED: VersionDeleted,
}
ALL: tuple[type[EventData], ...] = (
    VersionSubmitted,
    *BY_STATE.values(),
    InstallationChanged,
    InstallationRemoved,
    InstallationPolicyChanged,
    KeyRegistered,
    KeyRotated,
    KeyRevoked,
)


class ApprovalHeard(EventData):
    """What the registry reads of its own announcement: an update may follow."""

    name: ClassVar[str] = "version.approved.v1"

    plugin: str
    version: str


class RevocationHeard(EventData):
    """What the registry reads of its own announcement: what the key signed is stopped."""

    name: ClassVar[str] = "key.revoked.v1"

    key_id: str
    reason: str


class RunFinished(EventData):
    """What the registry reads of the sandbox's announcement: is an update on trial good?"""

    name: ClassVar[str] = "run.finished.v1"

    plugin: str
    version: str
    outcome: str


class BehaviourObserved(EventData):
    """What the registry reads of the sandbox's announcement."""

    name: ClassVar[str] = "behaviour.observed.v1"

    plugin: str
    version: str
    kind: str
    target: str
    is_granted: bool


class RemediationApplied(EventData):
    """What the registry reads of the monitor's announcement."""

    name: ClassVar[str] = "remediation.applied.v1"

    plugin: str
    version: str
    action: str
    reason: str
    decided_by: str


class VersionAudited(EventData):
    """What the registry reads of the auditor's announcement."""

    name: ClassVar[str] = "version.audited.v1"

    plugin: str
    version: str
    sha256: str
    score: int
    grade: str
    verdict: str
    reasons: list[str] = Field(default_factory=list)
