"""Whether the stream still holds what was sent to it; a store that was wiped does not say so."""

import asyncio
from datetime import timedelta

from heimnetz_common.bus import MAX_AGE, Bus
from heimnetz_common.database import Database
from heimnetz_common.errors import HeimnetzError
from heimnetz_common.logs import get_logger
from heimnetz_common.telemetry import STREAM_MISSING

PAUSE = timedelta(days=1)
RETRY = timedelta(minutes=5)
# What is about to leave the stream by age may have left it.
SPAN = MAX_AGE - timedelta(days=1)

log = get_logger(__name__)


class Comparison:
    """Compares numbers by event type: those sent by this service, and those in the stream."""

    def __init__(self, database: Database, bus: Bus) -> None:
        self._database = database
        self._bus = bus

    async def run(self) -> None:
        """Once a day, and soon after the start, until cancelled."""
        while True:
            try:
                await self.compare()
                pause = PAUSE
            except HeimnetzError as error:
                log.info("comparison_waits", reason=error.detail)
                pause = RETRY
            await asyncio.sleep(pause.total_seconds())

    async def compare(self) -> int:
        """How many events the stream lacks. Raises: Unavailable."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(
                """
                SELECT event_type, count(*) AS sent
                  FROM outbox
                 WHERE sent_at > now() - $1::interval
                 GROUP BY event_type
                """,
                SPAN,
            )
        held = await self._bus.count()
        missing = {row["event_type"]: row["sent"] - held.get(row["event_type"], 0) for row in rows}
        lacking = {name: number for name, number in missing.items() if number > 0}
        total: int = sum(lacking.values())
        STREAM_MISSING.set(total)
        if total:
            log.error("stream_lacks_events", events=lacking, remedy="heimnetz admin replay")
        return total
