"""Who is in the house: each container's user, what it is told, and what it may say on NATS."""

from dataclasses import dataclass

STREAM = "HEIMNETZ"


@dataclass(frozen=True)
class Party:
    """A container that has a secrets volume of its own.

    `makes` are the secrets that only it needs, `publishes` NATS subjects, `consumes` event names.
    """

    name: str
    uid: int
    has_certificate: bool = True
    signs: bool = False
    has_role: bool = False
    makes: tuple[str, ...] = ()
    publishes: tuple[str, ...] = ()
    consumes: tuple[str, ...] = ()

    @property
    def role(self) -> str:
        """Its PostgreSQL role."""
        return self.name.replace("-", "_")

    @property
    def speaks_nats(self) -> bool:
        return self.signs or self.name == "migrate"


@dataclass(frozen=True)
class DataVolume:
    """A volume, or the run directory, whose root belongs to one user."""

    name: str
    uid: int
    gid: int
    mode: int = 0o700


_DECISIONS = ("version.approved.v1", "version.rejected.v1", "version.needs_review.v1")
_ENDS = (
    "version.deprecated.v1",
    "version.yanked.v1",
    "version.quarantined.v1",
    "version.deleted.v1",
)
_INSTALLATIONS = ("installation.changed.v1", "installation.removed.v1")

PARTIES = (
    Party(
        "registry",
        10001,
        signs=True,
        has_role=True,
        makes=("encryption.key", "setup-token", "trail.key", "publisher.key", "catalogue.key"),
        publishes=(
            "heimnetz.version.submitted.v1",
            "heimnetz.installation.policy_changed.v1",
            "heimnetz.key.*.v1",
            *(f"heimnetz.{event}" for event in (*_DECISIONS, *_ENDS, *_INSTALLATIONS)),
        ),
        # Its own too: an update may follow from an approval, and a stop from a revocation.
        consumes=(
            "version.audited.v1",
            "behaviour.observed.v1",
            "remediation.applied.v1",
            "version.approved.v1",
            "key.revoked.v1",
            # An update on trial is judged by its runs.
            "run.finished.v1",
        ),
    ),
    Party(
        "auditor",
        10002,
        signs=True,
        has_role=True,
        publishes=("heimnetz.version.audited.v1",),
        consumes=("version.submitted.v1",),
    ),
    Party(
        "sandbox",
        10003,
        signs=True,
        has_role=True,
        makes=("encryption.key",),
        publishes=("heimnetz.run.*.v1", "heimnetz.behaviour.*.v1", "heimnetz.plugin.*.v1"),
        consumes=(
            *_INSTALLATIONS,
            "version.approved.v1",
            "version.quarantined.v1",
            "version.deleted.v1",
            "alert.raised.v1",
            "alert.resolved.v1",
            "leak.suspected.v1",
        ),
    ),
    Party(
        "monitor",
        10004,
        signs=True,
        has_role=True,
        makes=("alertmanager-webhook-token",),
        publishes=("heimnetz.alert.*.v1", "heimnetz.leak.*.v1", "heimnetz.remediation.*.v1"),
        consumes=(
            *_INSTALLATIONS,
            "run.started.v1",
            "run.finished.v1",
            "behaviour.observed.v1",
        ),
    ),
    Party(
        "docs-gen",
        10005,
        signs=True,
        has_role=True,
        publishes=("heimnetz.docs.*.v1",),
        consumes=(
            "version.audited.v1",
            *_DECISIONS,
            *_ENDS,
        ),
    ),
    Party("migrate", 10009, has_certificate=False),
    Party("gateway", 10010, has_certificate=False),
    Party("postgres", 10020, makes=("admin-password",)),
    Party("nats", 10021),
    Party("prometheus", 65534),
    Party("alertmanager", 65534),
    Party("grafana", 472, makes=("admin-password",)),
)

SANDBOX_UID = 10003
DATA_VOLUMES = (
    DataVolume("artifacts", 10001, 10001),
    # The gateway serves the pages, so others may read them.
    DataVolume("docs", 10005, 10005, 0o755),
    DataVolume("postgres-data", 10020, 10020),
    DataVolume("nats-data", 10021, 10021),
    DataVolume("prometheus-data", 65534, 65534),
    DataVolume("alertmanager-data", 65534, 65534),
    DataVolume("grafana-data", 472, 472),
    DataVolume("gateway-data", 10010, 10010),
    DataVolume("engine-socket", 0, SANDBOX_UID, 0o750),
    # Plugin containers have users of their own and pass through it to their own directory.
    DataVolume("run", SANDBOX_UID, SANDBOX_UID, 0o711),
)
