"""Tells which versions are in use though nobody vouches for them any more.

A later audit, a revoked key or a person may take a version's approval away while it is installed:
what needs a review runs on, what is quarantined is stopped. Either way the owner has to know.
"""

import asyncio
from dataclasses import dataclass

from heimnetz_common.database import Database
from heimnetz_common.errors import HeimnetzError
from heimnetz_common.logs import get_logger
from heimnetz_registry.metrics import IN_DOUBT
from heimnetz_registry.model import State
from heimnetz_registry.store import installations

DOUBTFUL = (State.NEEDS_REVIEW, State.REJECTED, State.QUARANTINED)
PAUSE_SECONDS = 15.0

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Doubts:
    database: Database

    async def run(self) -> None:
        """Until cancelled; what was told stands while the database is away."""
        while True:
            try:
                await self.tell()
            except HeimnetzError as error:
                log.warning("doubts_wait", reason=error.detail)
            await asyncio.sleep(PAUSE_SECONDS)

    async def tell(self) -> None:
        """Raises: Unavailable."""
        async with self.database.connection() as connection:
            found = set(await installations.list_in_state(connection, DOUBTFUL))
        # No moment in between at which one that stays is not told.
        for labels in found:
            IN_DOUBT.labels(*labels).set(1)
        for labels in _told() - found:
            IN_DOUBT.remove(*labels)


def _told() -> set[tuple[str, str]]:
    [family] = IN_DOUBT.collect()
    return {(sample.labels["plugin"], sample.labels["state"]) for sample in family.samples}
