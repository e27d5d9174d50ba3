"""A package comes in: received, read, stored under its digest and announced, or not at all."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from heimnetz_common import outbox
from heimnetz_common.database import Connection, Database
from heimnetz_common.errors import HeimnetzError
from heimnetz_common.logs import get_logger
from heimnetz_manifest import ManifestError, Package, inspect_package
from heimnetz_registry import events
from heimnetz_registry.artifacts import Artifacts
from heimnetz_registry.errors import (
    LowerVersion,
    NameMismatch,
    PluginNotFound,
    SignatureDowngrade,
    VersionDeleted,
    VersionExists,
    refusal,
)
from heimnetz_registry.metrics import PUBLISH_SECONDS, PUBLISHED, SWEPT
from heimnetz_registry.model import Actor, State, Submission, Version
from heimnetz_registry.policy import Unsigned
from heimnetz_registry.store import keys, trail, versions
from heimnetz_registry.verifying import Offer, find_signed, judge

_READERS = 2
_SWEEP_SECONDS = 600.0

log = get_logger(__name__)


def _go_on(_step: str) -> None:
    """Tests pass something that ends the process at a step."""


class Publisher:
    """`reached` is told the name of each step, in order."""

    def __init__(
        self,
        database: Database,
        artifacts: Artifacts,
        reached: Callable[[str], None] = _go_on,
        *,
        unsigned: Unsigned = "allow",
    ) -> None:
        self._database = database
        self._artifacts = artifacts
        self._reached = reached
        self._unsigned = unsigned
        # Unpacking is the only heavy work here; more of it at once only makes all of it late.
        self._readers = asyncio.Semaphore(_READERS)

    async def publish(
        self,
        plugin: str,
        pieces: AsyncIterator[bytes],
        actor: Actor,
        *,
        allow_lower: bool = False,
        offer: Offer | None = None,
    ) -> tuple[Version, bool]:
        """The version, and whether it is new.

        Raises: what the package or its signature is refused for; VersionExists, NameTaken,
        PluginNotFound, Full.
        """
        with PUBLISH_SECONDS.time():
            try:
                version, is_new = await self._publish(plugin, pieces, actor, allow_lower, offer)
            except Exception:
                PUBLISHED.labels("refused").inc()
                raise
        PUBLISHED.labels("created" if is_new else "repeated").inc()
        return version, is_new

    async def _publish(
        self,
        plugin: str,
        pieces: AsyncIterator[bytes],
        actor: Actor,
        allow_lower: bool,
        offer: Offer | None,
    ) -> tuple[Version, bool]:
        path = await self._artifacts.receive(pieces)
        try:
            self._reached("written")
            submission = await self._read(plugin, path, actor)
            async with self._database.connection() as connection:
                existing = await self._existing(connection, submission, actor)
            if existing is None:
                async with self._database.connection() as connection:
                    await _check_order(connection, submission, allow_lower)
                    try:
                        await judge(connection, submission, offer, self._unsigned)
                    except SignatureDowngrade:
                        # These very bytes may have come signed a moment ago.
                        existing = await self._existing(connection, submission, actor)
                        if existing is None:
                            raise
            await self._artifacts.make_durable(path)
            self._reached("synced")
            # Also when the version exists: the same bytes heal a damaged file.
            await self._artifacts.keep(path, submission.sha256)
            self._reached("renamed")
        finally:
            self._artifacts.discard(path)
        if existing is not None:
            return await self._vouch(existing, submission, actor, offer), False
        version, is_new = await self._record(submission, actor, allow_lower, offer)
        if not is_new:
            # Another publisher of the same bytes was faster, and may have brought no signature.
            version = await self._vouch(version, submission, actor, offer)
        self._reached("committed")
        return version, is_new

    async def _read(self, plugin: str, path: Path, actor: Actor) -> Submission:
        async with self._readers:
            try:
                package = await asyncio.to_thread(inspect_package, path)
            except ManifestError as error:
                raise refusal(error) from error
        if package.manifest.name != plugin:
            raise NameMismatch(plugin, package.manifest.name)
        return _submission(package, actor)

    async def _existing(
        self, connection: Connection, submission: Submission, actor: Actor
    ) -> Version | None:
        """The version, if these very bytes are published already.

        Raises: VersionExists, VersionDeleted, PluginNotFound.
        """
        publisher = await versions.find_publisher(connection, submission.plugin)
        if publisher is not None and publisher != actor.name and not actor.is_owner:
            # Another one's plugin is none for this publisher.
            raise PluginNotFound(submission.plugin)
        found = await versions.find_same_precedence(
            connection, submission.plugin, submission.precedence
        )
        if found is None:
            return None
        if found.state is State.DELETED:
            raise VersionDeleted(found.plugin, found.version)
        if found.sha256 != submission.sha256:
            raise VersionExists(submission.plugin, submission.version)
        return found

    async def _vouch(
        self, version: Version, submission: Submission, actor: Actor, offer: Offer | None
    ) -> Version:
        """A version that has no good signature takes one; a good one stays."""
        if offer is None:
            return version
        async with self._database.transaction() as connection:
            await versions.lock_plugin(connection, version.plugin)
            current = await versions.lock_version(connection, version.plugin, version.version)
            if current.state is State.DELETED:
                raise VersionDeleted(current.plugin, current.version)
            signed = await find_signed(connection, submission, offer)
            if current.signature is not None and current.signature.is_good:
                return current
            await judge(connection, submission, offer, self._unsigned)
            await keys.set_signature(
                connection,
                current.plugin,
                current.version,
                key_id=signed.key.id,
                envelope=signed.envelope,
            )
            await trail.add_entry(
                connection,
                actor=actor.subject,
                action="version.signed",
                plugin=current.plugin,
                version=current.version,
                reason=f"signed by {signed.key.id}",
            )
            return await versions.get_version(connection, current.plugin, current.version)

    async def _record(
        self, submission: Submission, actor: Actor, allow_lower: bool, offer: Offer | None
    ) -> tuple[Version, bool]:
        async with self._database.transaction() as connection:
            await versions.lock_plugin(connection, submission.plugin)
            existing = await self._existing(connection, submission, actor)
            if existing is not None:
                return existing, False
            await _check_order(connection, submission, allow_lower)
            signed, is_review_due = await judge(connection, submission, offer, self._unsigned)
            await versions.add_plugin(
                connection,
                submission.plugin,
                twin_key=submission.twin_key,
                publisher=submission.publisher,
            )
            version = await versions.add_version(
                connection, submission, signed=signed, is_review_due=is_review_due
            )
            await trail.add_entry(
                connection,
                actor=actor.subject,
                action="version.submitted",
                plugin=version.plugin,
                version=version.version,
                state_after=version.state,
                reason="not signed" if signed is None else f"signed by {signed.key.id}",
            )
            await outbox.append(
                connection,
                events.VersionSubmitted(
                    plugin=version.plugin,
                    version=version.version,
                    sha256=version.sha256,
                    size_bytes=version.size_bytes,
                    publisher=version.publisher,
                ),
                service=events.SERVICE,
                subject=f"{version.plugin}/{version.version}",
            )
            self._reached("inserted")
        return version, True

    async def sweep(self) -> None:
        """Remove what crashes left behind, at start and every ten minutes, until cancelled."""
        while True:
            try:
                await self.sweep_once()
            except HeimnetzError as error:
                log.warning("sweep_waits", reason=error.detail)
            await asyncio.sleep(_SWEEP_SECONDS)

    async def sweep_once(self) -> None:
        removed = await asyncio.to_thread(self._artifacts.sweep_incoming, 3600)
        SWEPT.labels("upload").inc(removed)
        for sha256 in await asyncio.to_thread(self._artifacts.list_old):
            async with self._database.connection() as connection:
                is_used = await versions.is_package_used(connection, sha256)
            if not is_used and await asyncio.to_thread(self._artifacts.remove_if_old, sha256):
                SWEPT.labels("package").inc()
                log.info("orphan_removed", sha256=sha256)


def _submission(package: Package, actor: Actor) -> Submission:
    manifest = package.manifest
    return Submission(
        plugin=str(manifest.name),
        twin_key=manifest.name.twin_key,
        version=str(manifest.version),
        precedence=manifest.version.precedence,
        sort_key=manifest.version.sort_key,
        sha256=package.sha256,
        size_bytes=package.size_bytes,
        publisher=actor.name,
        manifest=manifest.model_dump(mode="json", by_alias=True),
    )


async def _check_order(connection: Connection, submission: Submission, allow_lower: bool) -> None:
    """Raises: LowerVersion."""
    highest = await versions.find_highest(connection, submission.plugin)
    if highest is not None and submission.sort_key < highest[1] and not allow_lower:
        raise LowerVersion(submission.plugin, submission.version, highest[0])
