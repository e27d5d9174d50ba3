"""The advisories that the owner imported: checked, kept compressed, and handed to each audit."""

import asyncio
import zlib
from dataclasses import dataclass, field
from datetime import datetime

from heimnetz_audit.model.advisories import CONTENT_BYTES, Advisories, InvalidAdvisories
from heimnetz_auditor import store
from heimnetz_auditor.model import ImportedAdvisories
from heimnetz_common.database import Database
from heimnetz_common.errors import InvalidInput
from heimnetz_common.logs import get_logger

#: What the gateway lets through is a little more.
UPLOAD_BYTES = 20 * 1024 * 1024
#: zlib's number for a gzip frame (RFC 1952).
_GZIP = 16 + zlib.MAX_WBITS

log = get_logger(__name__)


@dataclass(slots=True)
class Advising:
    database: Database
    _latest: tuple[str, bytes] = field(default=("", b""), init=False)

    async def put(self, body: bytes, principal: str) -> ImportedAdvisories:
        """Replace the advisories by others, compressed by gzip.

        Raises: InvalidInput.
        """
        found = await asyncio.to_thread(read, body)
        async with self.database.transaction() as connection:
            imported = await store.put_advisories(
                connection,
                sha256=found.sha256,
                as_of=datetime.fromisoformat(found.as_of),
                count=found.count,
                content=body,
                imported_by=principal,
            )
        log.info("advisories_imported", as_of=found.as_of, count=found.count)
        return imported

    async def latest(self) -> tuple[str, bytes]:
        """Digest of the advisories, and they themselves, compressed; both empty without any."""
        async with self.database.connection() as connection:
            imported = await store.find_advisories(connection)
            if imported is None:
                self._latest = ("", b"")
            elif imported.sha256 != self._latest[0]:
                self._latest = await store.load_advisories(connection)
        return self._latest


def read(body: bytes) -> Advisories:
    """Whoever sends them is not trusted with the memory of the auditor. Raises: InvalidInput."""
    if len(body) > UPLOAD_BYTES:
        raise InvalidInput(f"the advisories have more than {UPLOAD_BYTES} bytes")
    unpacking = zlib.decompressobj(wbits=_GZIP)
    try:
        content = unpacking.decompress(body, CONTENT_BYTES + 1)
        if len(content) <= CONTENT_BYTES and (not unpacking.eof or unpacking.unused_data):
            raise InvalidInput("the advisories are not one whole gzip frame")
        return Advisories.parse(content)
    except (zlib.error, InvalidAdvisories) as error:
        raise InvalidInput(f"no advisories that `heimnetz osv import` sends: {error}") from error
