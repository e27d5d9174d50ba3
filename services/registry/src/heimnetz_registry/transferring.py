"""An installation as a file, to be put to use elsewhere or again; its secrets under a passphrase.

The key comes from the passphrase by argon2id with the numbers of RFC 9106, section 4, for where
memory is scarce. The file names the format, never the numbers: one from a stranger cannot ask for
more memory or for a weaker key. What the file says beside the secrets is bound to them.
"""

import asyncio
import base64
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from argon2.low_level import Type, hash_secret_raw

from heimnetz_common.database import Database
from heimnetz_common.sealing import KEY_BYTES, CannotOpen, Sealer
from heimnetz_registry.errors import ExportOfAnother, PassphraseWrong
from heimnetz_registry.installing import Installer, Wish
from heimnetz_registry.model import Actor, Installation, UpdatePolicy
from heimnetz_registry.placing import set_update_policy
from heimnetz_registry.store import installations, trail, versions

FORMAT = "heimnetz-installation/1"
_SALT_BYTES = 16
_AT_ONCE = 2  # each takes 64 MiB


@dataclass(frozen=True, slots=True)
class Parcel:
    """What a file says. `open` are its facts, `salt` and `sealed` the configuration in clear."""

    open: Mapping[str, Any]
    salt: str | None = None
    sealed: str | None = None


@dataclass(frozen=True, slots=True)
class Opening:
    """How a person wants a file to be read; `configuration` goes before what is in it."""

    passphrase: str | None = None
    configuration: dict[str, Any] = field(default_factory=dict)
    allow_downgrade: bool = False


class Transferrer:
    def __init__(self, database: Database, installer: Installer) -> None:
        self._database = database
        self._installer = installer
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def pack(self, plugin: str, passphrase: str | None, actor: Actor) -> Parcel:
        """Without a passphrase there are no secrets in it.

        Raises: InstallationNotFound, KeyMissing, CannotOpen.
        """
        whole: dict[str, Any] = {}
        if passphrase is None:
            async with self._database.connection() as connection:
                found = await installations.get_installation(connection, plugin)
        else:
            found, whole = await self._installer.reveal(plugin)
        parcel = Parcel(
            {
                "format": FORMAT,
                "plugin": found.plugin,
                "version": found.version,
                "sha256": found.sha256,
                "grants": found.grants,
                "configuration": found.configuration,
                "update_policy": found.update_policy.value,
                "exported_at": datetime.now(UTC).isoformat(timespec="seconds"),
            }
        )
        if passphrase is not None:
            salt = os.urandom(_SALT_BYTES)
            sealer = await self._sealer(passphrase, salt)
            sealed = sealer.seal(json.dumps(whole).encode(), _context(parcel.open))
            parcel = Parcel(parcel.open, _text(salt), _text(sealed))
        async with self._database.transaction() as connection:
            await trail.add_entry(
                connection,
                actor=actor.subject,
                action="installation.exported",
                plugin=found.plugin,
                version=found.version,
                reason="without secrets" if passphrase is None else "secrets under a passphrase",
            )
        return parcel

    async def unpack(
        self, plugin: str, parcel: Parcel, opening: Opening, actor: Actor
    ) -> tuple[Installation, bool]:
        """The installation, and whether it is new.

        Raises: PassphraseWrong, ExportOfAnother, and what `install` raises.
        """
        given = parcel.open
        configuration = given["configuration"]
        if opening.passphrase is not None and parcel.sealed is not None:
            configuration = await self._open(parcel, opening.passphrase)
        wish = Wish(
            version=given["version"],
            grants=given["grants"],
            configuration={**configuration, **opening.configuration},
            allow_downgrade=opening.allow_downgrade,
        )
        note = f"; from a file of {given['exported_at']}"
        async with self._database.transaction() as connection:
            await versions.lock_plugin(connection, plugin)
            version = await versions.get_version(connection, plugin, wish.version)
            if given["plugin"] != plugin or given["sha256"] != version.sha256:
                raise ExportOfAnother(f"{plugin} {wish.version}")
            installation, is_new = await self._installer.install_within(
                connection, plugin, wish, actor, note=note
            )
            policy = UpdatePolicy(given["update_policy"])
            if policy is not installation.update_policy:
                installation = await set_update_policy(connection, plugin, policy, actor)
        return installation, is_new

    async def _open(self, parcel: Parcel, passphrase: str) -> dict[str, Any]:
        """Raises: PassphraseWrong."""
        try:
            if parcel.salt is None:
                raise PassphraseWrong
            salt = base64.b64decode(parcel.salt, validate=True)
            sealed = base64.b64decode(parcel.sealed or "", validate=True)
            sealer = await self._sealer(passphrase, salt)
            return dict(json.loads(sealer.open(sealed, _context(parcel.open))))
        except (CannotOpen, ValueError) as error:
            raise PassphraseWrong from error

    async def _sealer(self, passphrase: str, salt: bytes) -> Sealer:
        async with self._slots:
            return Sealer(await asyncio.to_thread(_stretch, passphrase, salt))


def _stretch(passphrase: str, salt: bytes) -> bytes:
    return hash_secret_raw(
        passphrase.encode(),
        salt,
        time_cost=3,
        memory_cost=64 * 1024,
        parallelism=4,
        hash_len=KEY_BYTES,
        type=Type.ID,
    )


def _context(facts: Mapping[str, Any]) -> str:
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"))
    return f"installation-export:{hashlib.sha256(text.encode()).hexdigest()}"


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
