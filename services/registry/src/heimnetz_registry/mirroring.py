"""A package is brought from a catalogue: by its digest, and then it is a version like any other."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from hashlib import sha256
from urllib.parse import urljoin

from heimnetz_common.database import Database
from heimnetz_manifest import ManifestError
from heimnetz_manifest.signing import Subject, key_id, read_envelope, verify
from heimnetz_registry import policy
from heimnetz_registry.catalogue_errors import DigestMismatch, PluginOfAnother, ReleaseRevoked
from heimnetz_registry.cataloguing import Cataloguer
from heimnetz_registry.enrolling import Enroller
from heimnetz_registry.errors import refusal
from heimnetz_registry.fetching import Fetcher, Source
from heimnetz_registry.model import Actor, Release, Version
from heimnetz_registry.publishing import Publisher
from heimnetz_registry.store import catalogues, keys, trail, versions
from heimnetz_registry.verifying import Offer

PACKAGE_SECONDS = 120.0


class Mirrorer:
    def __init__(
        self,
        database: Database,
        cataloguer: Cataloguer,
        fetcher: Fetcher,
        publisher: Publisher,
        enroller: Enroller,
    ) -> None:
        self._database = database
        self._cataloguer = cataloguer
        self._fetcher = fetcher
        self._publisher = publisher
        self._enroller = enroller

    async def mirror(
        self, name: str, plugin: str, version: str, actor: Actor
    ) -> tuple[Version, bool]:
        """The version, submitted to the audit, and whether it is new here.

        It belongs to whoever its signing key belongs to here, else to `catalogue/publisher`, a
        name that no person can have.

        Raises: CatalogueNotFound, ReleaseNotFound, CatalogueExpired, ReleaseRevoked,
        PluginOfAnother, DigestMismatch, what fetching refuses, and what publishing does.
        """
        async with self._database.connection() as connection:
            catalogue = await catalogues.get_catalogue(connection, name)
            policy.check_index_expiry(catalogue.expires_at, datetime.now(UTC))
            release = await catalogues.get_release(connection, name, plugin, version)
            warning = await catalogues.find_warning(connection, release.sha256)
            if warning is not None:
                raise ReleaseRevoked(release.sha256, warning.catalogue, warning.reason)
        offer = _offer(release)
        data = await self._fetch(self._cataloguer.source_of(catalogue), release)
        whose = await self._whose(name, release, actor)
        made, is_new = await self._publisher.publish(
            plugin, _once(data), Actor(actor.subject, whose), offer=offer
        )
        if is_new:
            async with self._database.transaction() as connection:
                await trail.add_entry(
                    connection,
                    actor=actor.subject,
                    action="catalogue.mirrored",
                    plugin=made.plugin,
                    version=made.version,
                    reason=f"from {name}, sha256 {made.sha256}",
                )
        return made, is_new

    async def _fetch(self, source: Source, release: Release) -> bytes:
        """Raises: DigestMismatch, and what fetching refuses."""
        fetched = await self._fetcher.get(
            source,
            urljoin(source.url, f"packages/{release.sha256}.tar.gz"),
            max_bytes=release.size_bytes,
            seconds=PACKAGE_SECONDS,
        )
        assert fetched is not None  # only asked for with an ETag
        found = await asyncio.to_thread(lambda: sha256(fetched.data).hexdigest())
        if found != release.sha256:
            raise DigestMismatch(release.sha256, found)
        return fetched.data

    async def _whose(self, name: str, release: Release, actor: Actor) -> str:
        """The publisher that the version gets, whose key is registered if it was not.

        Raises: PluginOfAnother, TooManySigningKeys.
        """
        whose = f"{name}/{release.publisher}"
        async with self._database.connection() as connection:
            if release.public_key is not None:
                known = await keys.find_key(connection, key_id(release.public_key))
                whose = whose if known is None else known.publisher
            owner = await versions.find_publisher(connection, release.plugin)
        if owner is not None and owner != whose:
            raise PluginOfAnother(release.plugin, owner)
        if release.public_key is not None:
            # No proof of possession: it was seen to sign this very package.
            await self._enroller.admit(
                release.public_key, Actor(actor.subject, whose), f"of {name}"
            )
        return whose


def _offer(release: Release) -> Offer | None:
    """Its publisher's signature, if there is one and it is right.

    Raises: the refusals of a signature.
    """
    if release.signature is None or release.public_key is None:
        return None
    try:
        envelope = read_envelope(release.signature)
        subject = Subject(release.plugin, release.version, release.sha256)
        verify(envelope, release.public_key, subject)
    except ManifestError as error:
        raise refusal(error) from error
    return Offer(release.signature, envelope)


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data
