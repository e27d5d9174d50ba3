"""Catalogues of others: their indexes are read, now and again and again, and believed or not."""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from heimnetz_common.database import Connection, Database
from heimnetz_common.errors import HeimnetzError, Unavailable
from heimnetz_common.logs import get_logger
from heimnetz_common.sealing import Sealer
from heimnetz_manifest import ManifestError
from heimnetz_manifest.catalogue import INDEX_BYTES, Index, decode, find_signer, read_index
from heimnetz_manifest.catalogue import Release as Entry
from heimnetz_registry import deciding, policy
from heimnetz_registry.catalogue_errors import TooManyCatalogues
from heimnetz_registry.errors import KeyMissing, refusal
from heimnetz_registry.fetching import Fetched, Fetcher, Source
from heimnetz_registry.metrics import CATALOGUES_READ, TRANSITIONS
from heimnetz_registry.model import Actor, Catalogue, NewCatalogue, Reading, Release, State
from heimnetz_registry.store import catalogues, trail

MAX_CATALOGUES = 20
INDEX_SECONDS = 30.0
_LOOK_SECONDS = 10.0
# Longer than a reading may take; who dies over it leaves it to the next.
_LEASE = timedelta(minutes=5)
_SHORTEST_PAUSE = timedelta(minutes=1)
_LONGEST_PAUSE = timedelta(hours=6)

log = get_logger(__name__)


class Cataloguer:
    """Without a sealer everything works but catalogues that ask for a token."""

    def __init__(
        self, database: Database, fetcher: Fetcher, sealer: Sealer | None, pause: timedelta
    ) -> None:
        self._database = database
        self._fetcher = fetcher
        self._sealer = sealer
        self._pause = pause

    async def preview(self, source: Source) -> tuple[str, Index]:
        """By which key the index is signed now, and what it says; nothing is kept.

        Raises: what fetching refuses, and the refusals of an index.
        """
        fetched = await self._fetch(source, None)
        assert fetched is not None  # only asked for with an ETag
        try:
            signer = await asyncio.to_thread(find_signer, fetched.data)
        except ManifestError as error:
            raise refusal(error) from error
        return signer, await _read(fetched.data, signer)

    async def add(self, name: str, source: Source, key_id: str, actor: Actor) -> Catalogue:
        """A catalogue whose index is signed by this key, and by no other from now on.

        Raises: CatalogueExists, TooManyCatalogues, KeyMissing, CatalogueExpired, what fetching
        refuses, and the refusals of an index.
        """
        token = self._seal(name, source.token)
        fetched = await self._fetch(source, None)
        assert fetched is not None  # only asked for with an ETag
        index = await _read(fetched.data, key_id)
        policy.check_index_expiry(index.expires_at, datetime.now(UTC))
        new = NewCatalogue(
            name=name,
            url=source.url,
            address=source.address,
            ca=source.ca,
            token=token,
            key_id=key_id,
            added_by=actor.name,
        )
        async with self._database.transaction() as connection:
            await catalogues.lock_catalogues(connection)
            if await catalogues.count_catalogues(connection) >= MAX_CATALOGUES:
                raise TooManyCatalogues(MAX_CATALOGUES)
            await catalogues.add_catalogue(connection, new, self._reading(fetched, index))
            await trail.add_entry(
                connection,
                actor=actor.subject,
                action="catalogue.added",
                reason=f"{name}: {source.url}, key {key_id}",
            )
            taken = await _keep(connection, name, index)
            added = await catalogues.get_catalogue(connection, name)
        _count(taken)
        return added

    async def remove(self, name: str, actor: Actor) -> None:
        """What was mirrored from it stays, and so does what it stopped.

        Raises: CatalogueNotFound.
        """
        async with self._database.transaction() as connection:
            await catalogues.remove_catalogue(connection, name)
            await trail.add_entry(
                connection, actor=actor.subject, action="catalogue.removed", reason=name
            )

    async def refresh(self, name: str) -> Catalogue:
        """Read it now.

        Raises: CatalogueNotFound, CatalogueReplayed, CatalogueExpired, what fetching refuses, and
        the refusals of an index.
        """
        async with self._database.connection() as connection:
            catalogue = await catalogues.get_catalogue(connection, name)
        await self._refresh(catalogue)
        async with self._database.connection() as connection:
            return await catalogues.get_catalogue(connection, name)

    async def run(self) -> None:
        """Read each when it is due, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            try:
                while await self._refresh_due():
                    pass
            except Unavailable as error:
                log.warning("catalogues_wait", reason=error.detail)

    def source_of(self, catalogue: Catalogue) -> Source:
        """Raises: KeyMissing, CannotOpen."""
        token = None
        if catalogue.token is not None:
            if self._sealer is None:
                raise KeyMissing
            token = self._sealer.open(catalogue.token, _context(catalogue.name)).decode()
        return Source(catalogue.url, catalogue.address, catalogue.ca, token)

    async def _refresh_due(self) -> bool:
        """Whether one was due. Raises: Unavailable, when the database is."""
        async with self._database.connection() as connection:
            catalogue = await catalogues.claim_due(connection, _LEASE)
        if catalogue is None:
            return False
        try:
            await self._refresh(catalogue)
        except Unavailable:
            raise
        except HeimnetzError as error:
            log.warning(
                "catalogue_refused", catalogue=catalogue.name, kind=error.kind, reason=error.detail
            )
        return True

    async def _refresh(self, catalogue: Catalogue) -> None:
        try:
            taken = await self._take(catalogue)
        except HeimnetzError as error:
            CATALOGUES_READ.labels("refused").inc()
            await self._note_failure(catalogue, error)
            raise
        CATALOGUES_READ.labels("unchanged" if taken is None else "changed").inc()
        _count(taken or [])

    async def _take(self, catalogue: Catalogue) -> list[State] | None:
        """The states that versions took for it; None when the index is the one that is known."""
        fetched = await self._fetch(self.source_of(catalogue), catalogue.etag)
        now = datetime.now(UTC)
        if fetched is None:
            policy.check_index_expiry(catalogue.expires_at, now)
            async with self._database.transaction() as connection:
                current = await catalogues.lock_catalogue(connection, catalogue.name)
                await catalogues.set_reading(connection, current.name, self._again(current))
            return None
        index = await _read(fetched.data, catalogue.key_id)
        policy.check_index_expiry(index.expires_at, now)
        reading = self._reading(fetched, index)
        async with self._database.transaction() as connection:
            current = await catalogues.lock_catalogue(connection, catalogue.name)
            policy.check_index_order(
                (current.counter, current.index_sha256), (reading.counter, reading.index_sha256)
            )
            await catalogues.set_reading(connection, current.name, reading)
            if reading.index_sha256 == current.index_sha256:
                return None
            await trail.add_entry(
                connection,
                actor=deciding.ITSELF.subject,
                action="catalogue.read",
                reason=f"{current.name}: index {index.counter}, {len(index.releases)} releases, "
                f"{len(index.revoked)} warnings",
            )
            return await _keep(connection, current.name, index)

    async def _note_failure(self, catalogue: Catalogue, error: HeimnetzError) -> None:
        doubled = _SHORTEST_PAUSE * 2 ** min(catalogue.failures, 10)
        async with self._database.transaction() as connection:
            current = await catalogues.lock_catalogue(connection, catalogue.name)
            await catalogues.set_failure(
                connection,
                current.name,
                problem=error.kind,
                detail=error.detail[:500],
                pause=_about(min(doubled, _LONGEST_PAUSE)),
            )
            # Once for each time that something else is wrong.
            if current.problem != error.kind:
                await trail.add_entry(
                    connection,
                    actor=deciding.ITSELF.subject,
                    action="catalogue.refused",
                    reason=f"{current.name}: {error.kind}: {error.detail}"[:1000],
                )

    async def _fetch(self, source: Source, etag: str | None) -> Fetched | None:
        return await self._fetcher.get(
            source, source.url, max_bytes=INDEX_BYTES, seconds=INDEX_SECONDS, etag=etag
        )

    def _seal(self, name: str, token: str | None) -> bytes | None:
        """Raises: KeyMissing."""
        if token is None:
            return None
        if self._sealer is None:
            raise KeyMissing
        return self._sealer.seal(token.encode(), _context(name))

    def _reading(self, fetched: Fetched, index: Index) -> Reading:
        return Reading(
            counter=index.counter,
            index_sha256=sha256(fetched.data).hexdigest(),
            etag=fetched.etag,
            expires_at=index.expires_at,
            pause=_about(self._pause),
        )

    def _again(self, current: Catalogue) -> Reading:
        return Reading(
            counter=current.counter,
            index_sha256=current.index_sha256,
            etag=current.etag,
            expires_at=current.expires_at,
            pause=_about(self._pause),
        )


async def _read(data: bytes, pinned: str) -> Index:
    """Raises: the refusals of an index."""
    try:
        return await asyncio.to_thread(read_index, data, pinned=pinned)
    except ManifestError as error:
        raise refusal(error) from error


async def _keep(connection: Connection, name: str, index: Index) -> list[State]:
    """What the catalogue has, and what it warns of now; the states that versions took."""
    await catalogues.clear_releases(connection, name)
    await catalogues.add_releases(connection, name, [_release(one) for one in index.releases])
    await catalogues.drop_warnings(connection, name, [one.sha256 for one in index.revoked])
    taken: list[State] = []
    for one in index.revoked:
        if await catalogues.add_warning(connection, name, one.sha256, one.reason):
            reason = f"the catalogue {name} warns of it: {one.reason}"
            taken += await deciding.stop_package(connection, one.sha256, reason)
    return taken


def _release(one: Entry) -> Release:
    return Release(
        plugin=one.plugin,
        version=one.version,
        sha256=one.sha256,
        size_bytes=one.size_bytes,
        publisher=one.publisher,
        title=one.title,
        signature=None if one.signature is None else decode(one.signature),
        public_key=None if one.public_key is None else decode(one.public_key),
    )


def _count(taken: list[State]) -> None:
    for state in taken:
        TRANSITIONS.labels(state.value).inc()


def _context(name: str) -> str:
    return f"catalogue {name} token"


def _about(pause: timedelta) -> timedelta:
    """So that many who began together do not stay together."""
    return pause * random.uniform(0.9, 1.1)  # noqa: S311 - no secret
