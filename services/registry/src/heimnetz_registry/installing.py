"""A version is put to use: with what it is granted, and its configuration, secrets sealed."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from heimnetz_common import outbox
from heimnetz_common.database import Connection, Database
from heimnetz_common.errors import Mistake, Unavailable
from heimnetz_common.logs import get_logger
from heimnetz_common.sealing import CannotOpen, Sealer
from heimnetz_manifest import (
    ConfigurationSchema,
    Grants,
    InvalidConfiguration,
    Manifest,
    NotAsked,
    Version,
)
from heimnetz_manifest.configuration import HIDDEN
from heimnetz_registry import events
from heimnetz_registry.errors import (
    KeyMissing,
    NotInstallable,
    OlderVersion,
    SignatureRevoked,
    invalid,
    refusal,
)
from heimnetz_registry.metrics import SECRETS_UNREADABLE
from heimnetz_registry.model import INSTALLABLE, Actor, Installation
from heimnetz_registry.model import Version as Published
from heimnetz_registry.placing import Placement, place
from heimnetz_registry.store import installations, trail, versions

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Wish:
    """What the owner asks for; `***` as a secret means the one that is stored already."""

    version: str
    grants: Sequence[str] = ()
    configuration: dict[str, Any] = field(default_factory=dict)
    allow_downgrade: bool = False
    allow_revoked_key: bool = False


class Installer:
    """Without a sealer everything works but plugins that have secrets."""

    def __init__(self, database: Database, sealer: Sealer | None) -> None:
        self._database = database
        self._sealer = sealer

    async def install(self, plugin: str, wish: Wish, actor: Actor) -> tuple[Installation, bool]:
        """The installation, and whether it is new.

        Raises: VersionNotFound, NotInstallable, OlderVersion, SignatureRevoked, KeyMissing, and the
        refusals `grant-not-asked` and `configuration-invalid`.
        """
        async with self._database.transaction() as connection:
            return await self.install_within(connection, plugin, wish, actor)

    async def install_within(
        self, connection: Connection, plugin: str, wish: Wish, actor: Actor, *, note: str = ""
    ) -> tuple[Installation, bool]:
        """As `install`, in the caller's transaction; `note` goes into the trail."""
        await versions.lock_plugin(connection, plugin)
        version = await versions.lock_version(connection, plugin, wish.version)
        if version.state not in INSTALLABLE or version.manifest is None:
            raise NotInstallable(plugin, wish.version, version.state.value)
        before = await installations.find_installation(connection, plugin)
        if before is not None:
            _check_order(before, wish)
        # What is installed already may still be granted less, or configured.
        if before is None or before.version != version.version:
            _check_signature(version, wish, actor)
        manifest = Manifest.model_validate(version.manifest)
        grants = _grants(manifest, wish.grants)
        shown, secrets = await self._configure(connection, plugin, manifest, wish)
        if version.signature is not None and not version.signature.is_good:
            note += "; its signing key was revoked"
        installation = await place(
            connection,
            Placement(version, manifest, grants.sorted(), shown, secrets),
            actor,
            before=before,
            note=note,
        )
        return installation, before is None

    async def _configure(
        self, connection: Connection, plugin: str, manifest: Manifest, wish: Wish
    ) -> tuple[dict[str, Any], dict[str, bytes]]:
        """What may be shown, and the sealed rest."""
        schema = manifest.configuration_schema
        _, given = schema.split(wish.configuration)
        wanted = wish.configuration
        if HIDDEN in given.values():
            stored = await self._open_all(connection, plugin)
            kept = {
                name: stored.get(name, value) if value == HIDDEN else value
                for name, value in given.items()
            }
            wanted = schema.join(wish.configuration, kept)
            _refuse_unknown_secrets(kept)
        try:
            whole = schema.complete(wanted)
        except InvalidConfiguration as error:
            raise refusal(error) from error
        shown, secrets = schema.split(whole)
        return shown, {name: self._seal(plugin, name, value) for name, value in secrets.items()}

    def _seal(self, plugin: str, name: str, value: str) -> bytes:
        if self._sealer is None:
            raise KeyMissing
        return self._sealer.seal(value.encode(), _context(plugin, name))

    async def _open_all(self, connection: Connection, plugin: str) -> dict[str, str]:
        sealed = await installations.list_secrets(connection, plugin)
        if sealed and self._sealer is None:
            raise KeyMissing
        return {
            name: self._sealer.open(value, _context(plugin, name)).decode()
            for name, value in sealed.items()
            if self._sealer is not None
        }

    async def reveal(self, plugin: str) -> tuple[Installation, dict[str, Any]]:
        """The configuration with its secrets in clear, for the sandbox, or to be sealed again.

        Raises: InstallationNotFound, KeyMissing, CannotOpen.
        """
        async with self._database.connection() as connection:
            installation = await installations.get_installation(connection, plugin)
            version = await versions.get_version(connection, plugin, installation.version)
            secrets = await self._open_all(connection, plugin)
        schema = ConfigurationSchema((version.manifest or {}).get("configuration", {}))
        return installation, schema.join(installation.configuration, secrets)

    async def remove(self, plugin: str, actor: Actor) -> None:
        """Raises: InstallationNotFound."""
        async with self._database.transaction() as connection:
            await versions.lock_plugin(connection, plugin)
            version = await installations.remove_installation(connection, plugin)
            revision = await installations.next_revision(connection)
            await trail.add_entry(
                connection,
                actor=actor.subject,
                action="installation.removed",
                plugin=plugin,
                version=version,
            )
            await outbox.append(
                connection,
                events.InstallationRemoved(plugin=plugin, revision=revision),
                service=events.SERVICE,
                subject=plugin,
            )

    async def _any_secret(self) -> tuple[str, str, bytes] | None:
        """Waits for the database, which may start after us."""
        while True:
            try:
                async with self._database.connection() as connection:
                    return await installations.find_any_secret(connection)
            except Unavailable:
                await asyncio.sleep(2)

    async def check_key(self) -> None:
        """Say at start whether the key opens what was sealed; the rest works on without it."""
        found = await self._any_secret()
        if self._sealer is None:
            log.error("encryption_key_missing", remedy=KeyMissing().detail)
            return
        if found is None:
            return
        plugin, name, sealed = found
        try:
            self._sealer.open(sealed, _context(plugin, name))
        except CannotOpen as error:
            SECRETS_UNREADABLE.inc()
            log.error("encryption_key_is_another", reason=error.detail)  # noqa: TRY400 - the reason is enough


def _context(plugin: str, name: str) -> str:
    return f"installation:{plugin}:{name}"


def _check_order(before: Installation, wish: Wish) -> None:
    """Raises: OlderVersion."""
    older = Version(wish.version).sort_key < Version(before.version).sort_key
    if older and not wish.allow_downgrade:
        raise OlderVersion(before.plugin, wish.version, before.version)


def _check_signature(version: Published, wish: Wish, actor: Actor) -> None:
    """Raises: SignatureRevoked."""
    signature = version.signature
    if signature is None or signature.is_good or (wish.allow_revoked_key and actor.is_owner):
        return
    raise SignatureRevoked(version.plugin, version.version, signature.key_id)


def _grants(manifest: Manifest, keys: Sequence[str]) -> Grants:
    try:
        return Grants.of(manifest.permissions, keys)
    except NotAsked as error:
        mistakes = [
            Mistake("the manifest does not ask for this", f"/grants/{at}")
            for at, key in enumerate(keys)
            if key in error.keys
        ]
        raise invalid(error.kind, error.detail, mistakes) from error


def _refuse_unknown_secrets(kept: dict[str, Any]) -> None:
    missing = [name for name, value in kept.items() if value == HIDDEN]
    if missing:
        raise invalid(
            "configuration-invalid",
            "a secret is given as *** but none is stored",
            [Mistake("give its value", name) for name in missing],
        )
