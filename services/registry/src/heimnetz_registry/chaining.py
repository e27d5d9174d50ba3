"""The trail as a chain: what was altered, removed or put in another order is found, and named.

The links are kept twice, in the database and in a file of the registry's own volume, so that who
rules the database alone cannot forge both; now and then the chain's end is signed, so that who has
both volumes cannot either. An entry is linked within a second after its commit; until then nothing
protects it. Nobody waits for a link: a transaction that holds a place in the chain would hold up
every other decision.
"""

import asyncio
import os
import struct
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from heimnetz_common.database import Database
from heimnetz_common.errors import HeimnetzError, Unavailable
from heimnetz_common.logs import get_logger
from heimnetz_manifest.signing import PrivateKey
from heimnetz_manifest.trail import (
    ORIGIN,
    Checkpoint,
    Entry,
    Link,
    digest_of,
    link,
    sign_checkpoint,
)
from heimnetz_registry.errors import TrailAltered, TrailKeyMissing
from heimnetz_registry.metrics import TRAIL_INTACT, TRAIL_LENGTH
from heimnetz_registry.store import trail

PAUSE_SECONDS = 1.0
VERIFY_ROUNDS = 3600
BATCH = 1000
CHECKPOINT_ROUNDS = 600
MAX_PROBLEMS = 100
# So many entries may commit before one that began earlier, and is linked after them.
LATE_ENTRIES = 10_000
_RECORD = struct.Struct(">QQ32s")

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Problem:
    """`what`: `altered`, also for one in another's place; `removed`; `forged`: its link was."""

    entry: int
    what: str


@dataclass(slots=True)
class Verification:
    """`last` is the end of the chain, to be noted elsewhere; `checkpoints` are those that fit."""

    entries: int = 0
    checkpoints: int = 0
    last: Link = field(default_factory=lambda: Link(0, 0, ORIGIN))
    problems: list[Problem] = field(default_factory=list)

    def add(self, entry: int, what: str) -> None:
        if len(self.problems) < MAX_PROBLEMS and all(one.entry != entry for one in self.problems):
            self.problems.append(Problem(entry, what))


class Copy:
    """The links in a file; only ever longer."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self, position: int, count: int) -> list[Link]:
        """From `position` on, which begins at 1. Raises: Unavailable."""
        try:
            with self._path.open("rb") as file:
                file.seek((position - 1) * _RECORD.size)
                data = file.read(count * _RECORD.size)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise Unavailable(f"the copy of the trail cannot be read: {error.strerror}") from error
        whole = len(data) - len(data) % _RECORD.size
        return [Link(*fields) for fields in _RECORD.iter_unpack(data[:whole])]

    @property
    def length(self) -> int:
        with suppress(FileNotFoundError):
            return self._path.stat().st_size // _RECORD.size
        return 0

    def append(self, links: Sequence[Link]) -> None:
        """Raises: OSError."""
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            # What a crash left of a record is written over.
            os.lseek(descriptor, (links[0].position - 1) * _RECORD.size, os.SEEK_SET)
            data = b"".join(_RECORD.pack(one.position, one.entry, one.digest) for one in links)
            os.write(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class Chain:
    """Without a key everything works but checkpoints."""

    def __init__(self, database: Database, folder: Path, key: PrivateKey | None) -> None:
        self._database = database
        self._key = key
        self._copy = Copy(folder / "trail")
        self._is_verified = True

    async def run(self) -> None:
        """Links what is new, in the database and then in the copy; verifies all once an hour."""
        if self._key is None:
            log.error("trail_key_missing", remedy=TrailKeyMissing().detail)
        rounds = 0
        while True:
            try:
                while await self.extend():
                    pass
                if rounds % VERIFY_ROUNDS == 0:
                    await self.verify()
                if rounds % CHECKPOINT_ROUNDS == 0 and self._key is not None:
                    await self.make_checkpoint()
                rounds += 1
            except (HeimnetzError, OSError) as error:
                log.warning("trail_waits", reason=str(error))
            await asyncio.sleep(PAUSE_SECONDS)

    async def extend(self) -> int:
        """How many entries were linked or copied. Raises: HeimnetzError, OSError."""
        async with self._database.transaction() as connection:
            await trail.lock_links(connection)
            before = await trail.get_last_link(connection) or Link(0, 0, ORIGIN)
            after = before.entry - LATE_ENTRIES
            new = list(link(before, await trail.list_unlinked(connection, after, BATCH)))
            await trail.add_links(connection, new)
        return max(await self._copy_links(), len(new))

    async def _copy_links(self) -> int:
        end = await asyncio.to_thread(lambda: self._copy.length)
        known = (await asyncio.to_thread(self._copy.read, end, 1)) if end else []
        async with self._database.connection() as connection:
            found = await trail.list_links(connection, max(end, 1), BATCH)
        if known and (not found or found[0] != known[0]):
            # The copy stays as it is: it is what proves that something was done.
            self._show(is_intact=False)
            return 0
        new = found[1:] if known else found
        if new:
            await asyncio.to_thread(self._copy.append, new)
        self._show(is_intact=self._is_verified)
        TRAIL_LENGTH.set(end + len(new))
        return len(new)

    @property
    def public_key(self) -> bytes:
        """Raises: TrailKeyMissing."""
        return self._get_key().public

    def _get_key(self) -> PrivateKey:
        if self._key is None:
            raise TrailKeyMissing
        return self._key

    async def make_checkpoint(self) -> tuple[Checkpoint, bool]:
        """The chain's end, signed, and whether it was not before.

        Only what the copy says as well is signed, and only after what was signed before: a chain
        that somebody made anew never gets a signature. A crash at any moment leaves a checkpoint
        that holds, or none.

        Raises: TrailKeyMissing, TrailAltered, Unavailable, OSError.
        """
        key = self._get_key()
        while await self.extend() >= BATCH:
            pass
        length = await asyncio.to_thread(lambda: self._copy.length)
        copied = await asyncio.to_thread(self._copy.read, length, 1) if length else []
        end = copied[0] if copied else Link(0, 0, ORIGIN)
        async with self._database.transaction() as connection:
            await trail.lock_links(connection)
            last = await trail.find_last_checkpoint(connection, key.id)
            for known in [end] if last is None else [end, last.link]:
                found = await trail.list_links(connection, known.position, 1)
                if known.position and found != [known]:
                    raise TrailAltered(known.position)
            if last is not None and last.link.position >= end.position:
                return last, False
            made = sign_checkpoint(key, end, datetime.now(UTC))
            await trail.add_checkpoint(connection, made)
        return made, True

    async def list_chain(
        self, position: int, limit: int
    ) -> tuple[list[tuple[Link, Entry | None]], bool]:
        """From `position` on, an entry that is gone as None; and whether there is more."""
        async with self._database.connection() as connection:
            links = await trail.list_links(connection, position, limit)
            entries = await trail.map_entries(connection, [one.entry for one in links])
            last = await trail.get_last_link(connection)
        is_more = last is not None and last.position >= position + limit
        return [(one, entries.get(one.entry)) for one in links], is_more

    async def list_checkpoints(self, position: int, limit: int) -> list[Checkpoint]:
        """From `position` on. Raises: TrailKeyMissing, Unavailable."""
        key = self._get_key()
        async with self._database.connection() as connection:
            return await trail.list_checkpoints(connection, key.id, position=position, limit=limit)

    async def verify(self) -> Verification:
        """Every link and entry against each other, the copy and the checkpoints.

        Raises: HeimnetzError.
        """
        found = Verification()
        # What is signed from here on may be of entries after those that are walked through.
        signed_to = await self._find_signed()
        before = ORIGIN
        checkpoints: dict[int, Checkpoint] = {}
        position = 1
        async for ours, theirs, entry in self._walk():
            told = theirs or ours
            assert told is not None
            found.entries += 1
            if ours is None or entry is None:
                found.add(told.entry, "removed")
            elif digest_of(before, entry) != told.digest:
                found.add(told.entry, "altered")
            elif ours != told:
                found.add(told.entry, "forged")
            before = told.digest
            found.last = told
            if told.position >= position:
                _miss(found, checkpoints)
                until = min(told.position + BATCH, signed_to + 1)
                checkpoints = await self._map_checkpoints(position, until)
                position = told.position + BATCH
            signed = checkpoints.pop(told.position, None)
            if signed is not None:
                self._judge(found, signed, told)
        _miss(found, checkpoints)
        _miss(found, await self._map_checkpoints(found.last.position + 1, signed_to + 1))
        self._is_verified = not found.problems
        self._show(is_intact=self._is_verified)
        if found.problems:
            entries = [one.entry for one in found.problems]
            log.error("trail_altered", entries=entries, remedy="docs/runbooks/TrailAltered.md")
        return found

    def _judge(self, found: Verification, signed: Checkpoint, told: Link) -> None:
        if signed.link == told and signed.is_signed_by(self.public_key):
            found.checkpoints += 1
        else:
            found.add(told.entry, "forged")

    async def _find_signed(self) -> int:
        """The last position that is signed; -1 without one."""
        if self._key is None:
            return -1
        async with self._database.connection() as connection:
            last = await trail.find_last_checkpoint(connection, self._key.id)
        return -1 if last is None else last.link.position

    async def _map_checkpoints(self, position: int, until: int) -> dict[int, Checkpoint]:
        """Those of this registry's key, by position; another's prove nothing."""
        if self._key is None:
            return {}
        async with self._database.connection() as connection:
            found = await trail.list_checkpoints(
                connection, self._key.id, position=position, until=until, limit=BATCH
            )
        return {one.link.position: one for one in found}

    def _show(self, *, is_intact: bool) -> None:
        TRAIL_INTACT.set(is_intact)

    async def _walk(self) -> AsyncIterator[tuple[Link | None, Link | None, Entry | None]]:
        """By position: the database's link, the copy's, and the entry of either."""
        position, until = 1, await self._end()
        while position <= until:
            copied = await asyncio.to_thread(self._copy.read, position, BATCH)
            async with self._database.connection() as connection:
                kept = await trail.list_links(connection, position, BATCH)
                ids = {one.entry for one in (*copied, *kept)}
                entries = await trail.map_entries(connection, list(ids))
            ours = {one.position: one for one in kept}
            theirs = {one.position: one for one in copied}
            for at in range(position, min(position + BATCH, until + 1)):
                mine, other = ours.get(at), theirs.get(at)
                told = other or mine
                if told is not None:
                    yield mine, other, entries.get(told.entry)
            position += BATCH

    async def _end(self) -> int:
        async with self._database.connection() as connection:
            last = await trail.get_last_link(connection)
        return max(last.position if last else 0, await asyncio.to_thread(lambda: self._copy.length))


def _miss(found: Verification, checkpoints: Mapping[int, Checkpoint]) -> None:
    """What was signed, and is neither in the database nor in the copy."""
    for signed in checkpoints.values():
        found.add(signed.link.entry, "removed")
