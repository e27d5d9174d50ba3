"""An installation goes back to what it was before its version last changed."""

from dataclasses import dataclass, replace

from heimnetz_common.database import Connection, Database
from heimnetz_common.errors import Conflict
from heimnetz_manifest import Manifest
from heimnetz_manifest import Version as Number
from heimnetz_registry.errors import (
    AnotherVersionInstalled,
    InstallationChangedMeanwhile,
    NothingToRollBack,
    NotInstallable,
    SignatureRevoked,
)
from heimnetz_registry.metrics import ROLLBACKS
from heimnetz_registry.model import INSTALLABLE, Actor, Installation, Kept, Version
from heimnetz_registry.placing import Placement, place
from heimnetz_registry.store import installations, kept, versions


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a rollback would bring, and why it would be refused, if it would."""

    installed: Installation
    kept: Kept
    version: Version
    refusal: Conflict | None


class Reverter:
    """Secrets are moved as they are sealed, so this works without their key too."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def look(self, plugin: str) -> Outlook:
        """Raises: InstallationNotFound, NothingToRollBack."""
        async with self._database.connection() as connection:
            installed = await installations.get_installation(connection, plugin)
            found = await _get_kept(connection, installed)
            version = await versions.get_version(connection, plugin, found.version)
        return Outlook(installed, found, version, _refusal(version))

    async def roll_back(
        self,
        plugin: str,
        actor: Actor,
        *,
        revision: int | None = None,
        version: str | None = None,
        reason: str = "",
    ) -> Installation:
        """What is left is kept in turn, so that a second rollback undoes the first.

        With a revision, or the version to be left, only the installation that has it is changed,
        so that two who see the same one do not undo each other.

        Raises: InstallationNotFound, NothingToRollBack, InstallationChangedMeanwhile,
        AnotherVersionInstalled, NotInstallable, SignatureRevoked.
        """
        async with self._database.transaction() as connection:
            installation = await roll_back_within(
                connection, plugin, actor, revision=revision, version=version, reason=reason
            )
        count(actor)
        return installation


async def roll_back_within(
    connection: Connection,
    plugin: str,
    actor: Actor,
    *,
    revision: int | None = None,
    version: str | None = None,
    reason: str = "",
) -> Installation:
    """As `Reverter.roll_back`, in the caller's transaction."""
    await versions.lock_plugin(connection, plugin)
    before = await installations.get_installation(connection, plugin)
    if revision is not None and revision != before.revision:
        raise InstallationChangedMeanwhile(plugin, before.revision)
    if version is not None and version != before.version:
        raise AnotherVersionInstalled(plugin, version, before.version)
    found = await _get_kept(connection, before)
    target = await versions.lock_version(connection, plugin, found.version)
    refused = _refusal(target)
    if refused is not None:
        raise refused
    placement = Placement(
        version=target,
        manifest=Manifest.model_validate(target.manifest),
        grants=found.grants,
        configuration=found.configuration,
        secrets=await kept.list_kept_secrets(connection, plugin),
    )
    installation = await place(
        connection,
        placement,
        actor,
        before=before,
        note=f"; from {before.version}" + (f": {reason}" if reason else ""),
        is_rollback=True,
    )
    # Whoever goes forward again, by hand, has thought better of it.
    is_back = Number(before.version).sort_key > Number(target.version).sort_key
    left = before.version if is_back else None
    await installations.set_went_back_from(connection, plugin, left)
    return replace(installation, went_back_from=left)


def count(actor: Actor) -> None:
    services = ("service:monitor", "service:registry")
    who = actor.name if actor.subject in services else "person"
    ROLLBACKS.labels(who).inc()


async def _get_kept(connection: Connection, installed: Installation) -> Kept:
    found = await kept.find_kept(connection, installed.plugin)
    if found is None:
        raise NothingToRollBack(installed.plugin, installed.version)
    return found


def _refusal(version: Version) -> Conflict | None:
    if version.state not in INSTALLABLE:
        return NotInstallable(version.plugin, version.version, version.state.value)
    if version.signature is not None and not version.signature.is_good:
        return SignatureRevoked(version.plugin, version.version, version.signature.key_id)
    return None
