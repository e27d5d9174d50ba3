"""An installation is put in its place: the one before is kept, and the change is told."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from heimnetz_common import outbox
from heimnetz_common.database import Connection
from heimnetz_manifest import Manifest
from heimnetz_registry import events
from heimnetz_registry.model import Actor, Installation, UpdatePolicy, Version
from heimnetz_registry.store import installations, kept, trail


@dataclass(frozen=True, slots=True)
class Placement:
    """A version about to be put to use; `secrets` are sealed."""

    version: Version
    manifest: Manifest
    grants: list[str]
    configuration: dict[str, Any]
    secrets: Mapping[str, bytes]


async def place(
    connection: Connection,
    placement: Placement,
    actor: Actor,
    *,
    before: Installation | None,
    note: str = "",
    is_rollback: bool = False,
) -> Installation:
    """Whoever calls holds the plugin's lock, and has found `before` under it."""
    version = placement.version
    if before is not None and before.version != version.version:
        await kept.keep_installation(connection, version.plugin)
        await kept.keep_secrets(connection, version.plugin)
    installation = await installations.put_installation(
        connection,
        plugin=version.plugin,
        version=version.version,
        sha256=version.sha256,
        grants=placement.grants,
        configuration=placement.configuration,
        triggers=placement.manifest.triggers.model_dump(mode="json"),
        limits=placement.manifest.limits.model_dump(mode="json"),
        installed_by=actor.name,
        revision=await installations.next_revision(connection),
    )
    await installations.replace_secrets(connection, version.plugin, placement.secrets)
    changed = "installation.created" if before is None else "installation.changed"
    action = "installation.rolled_back" if is_rollback else changed
    await trail.add_entry(
        connection,
        actor=actor.subject,
        action=action,
        plugin=installation.plugin,
        version=installation.version,
        reason="granted: " + (", ".join(installation.grants) or "nothing") + note,
    )
    await _announce(connection, installation, placement.manifest, is_rollback=is_rollback)
    return installation


async def _announce(
    connection: Connection, installation: Installation, manifest: Manifest, *, is_rollback: bool
) -> None:
    await outbox.append(
        connection,
        events.InstallationChanged(
            plugin=installation.plugin,
            version=installation.version,
            sha256=installation.sha256,
            grants=installation.grants,
            triggers=installation.triggers,
            limits=events.Limits.model_validate(installation.limits),
            revision=installation.revision,
            service_level=_level(manifest),
            is_rollback=is_rollback,
        ),
        service=events.SERVICE,
        subject=installation.plugin,
    )


def _level(manifest: Manifest) -> events.ServiceLevel | None:
    level = manifest.service_level
    if level is None:
        return None
    return events.ServiceLevel(
        availability=float(level.availability) if level.availability is not None else None,
        latency_seconds=level.latency_seconds,
    )


async def set_update_policy(
    connection: Connection, plugin: str, policy: UpdatePolicy, actor: Actor
) -> Installation:
    """Whoever calls holds the plugin's lock.

    Raises: InstallationNotFound.
    """
    installation = await installations.set_update_policy(connection, plugin, policy)
    await trail.add_entry(
        connection,
        actor=actor.subject,
        action="installation.policy_changed",
        plugin=plugin,
        version=installation.version,
        reason=f"updates: {policy.value}",
    )
    await outbox.append(
        connection,
        events.InstallationPolicyChanged(plugin=plugin, update_policy=policy),
        service=events.SERVICE,
        subject=plugin,
    )
    return installation
