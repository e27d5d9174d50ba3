"""Our own index: what others may mirror from here, and what we warn of."""

import asyncio
import hashlib
from datetime import UTC, datetime, timedelta

from heimnetz_common.database import Database
from heimnetz_manifest import ManifestError
from heimnetz_manifest.catalogue import (
    MAX_ENTRIES,
    REASON_CHARACTERS,
    TITLE_CHARACTERS,
    Index,
    Release,
    Revocation,
    encode,
    sign_index,
)
from heimnetz_manifest.signing import PrivateKey
from heimnetz_registry.catalogue_errors import CatalogueKeyMissing
from heimnetz_registry.errors import refusal
from heimnetz_registry.model import Offered
from heimnetz_registry.model import Release as Stored
from heimnetz_registry.store import catalogues

LIFETIME = timedelta(days=30)


class Offerer:
    """Without a key everything works but the index."""

    def __init__(self, database: Database, key: PrivateKey | None) -> None:
        self._database = database
        self._key = key

    async def get_index(self) -> bytes:
        """The index in its envelope; the same until something changes or half its life is over.

        Raises: CatalogueKeyMissing, and the refusal `catalogue-index-too-large`.
        """
        if self._key is None:
            raise CatalogueKeyMissing
        now = datetime.now(UTC)
        async with self._database.transaction() as connection:
            last = await catalogues.lock_offered(connection)
            releases = await catalogues.list_offered_releases(connection, MAX_ENTRIES)
            warned = await catalogues.list_offered_warnings(connection, MAX_ENTRIES)
            index = Index(
                # Higher than any before also where a backup brought an old database back.
                counter=max(int(now.timestamp()), last.counter + 1 if last is not None else 1),
                made_at=now,
                expires_at=now + LIFETIME,
                releases=tuple(_entry(one) for one in releases),
                revoked=tuple(
                    Revocation(
                        plugin=one["plugin"],
                        version=one["version"],
                        sha256=one["sha256"],
                        reason=_one_line(one["reason"], REASON_CHARACTERS),
                    )
                    for one in warned
                ),
            )
            content = hashlib.sha256(
                index.model_dump_json(include={"releases", "revoked"}).encode()
            ).hexdigest()
            is_same = last is not None and (content, self._key.id) == (
                last.content_sha256,
                last.key_id,
            )
            if last is not None and is_same and now < last.renew_at:
                return last.envelope
            envelope = await asyncio.to_thread(_sign, self._key, index)
            await catalogues.set_offered(
                connection,
                Offered(
                    counter=index.counter,
                    content_sha256=content,
                    key_id=self._key.id,
                    envelope=envelope,
                    renew_at=now + LIFETIME / 2,
                ),
            )
        return envelope


def _entry(one: Stored) -> Release:
    return Release(
        plugin=one.plugin,
        version=one.version,
        sha256=one.sha256,
        size_bytes=one.size_bytes,
        publisher=one.publisher,
        title=_one_line(one.title, TITLE_CHARACTERS),
        signature=None if one.signature is None else encode(one.signature),
        public_key=None if one.public_key is None else encode(one.public_key),
    )


def _sign(key: PrivateKey, index: Index) -> bytes:
    """Raises: the refusal `catalogue-index-too-large`."""
    try:
        return sign_index(key, index)
    except ManifestError as error:
        raise refusal(error) from error


def _one_line(text: str, most: int) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)[:most]
