"""Waits for a run to end: at once when it ends here, by looking when it ends elsewhere."""

import asyncio
import contextlib
from collections import defaultdict

from heimnetz_common.database import Database
from heimnetz_sandbox.model import Run, State
from heimnetz_sandbox.store import runs

LOOK_SECONDS = 0.5


class Watch:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._events: defaultdict[str, set[asyncio.Event]] = defaultdict(set)

    def finished(self, run_id: str) -> None:
        for event in self._events.get(run_id, ()):
            event.set()

    async def wait(self, run_id: str, seconds: float) -> Run:
        """The run, finished or as it is when the time is over. Raises: RunNotFound."""
        event = asyncio.Event()
        self._events[run_id].add(event)
        deadline = asyncio.get_running_loop().time() + seconds
        try:
            while True:
                run = await self._get(run_id)
                left = deadline - asyncio.get_running_loop().time()
                if run.state is State.FINISHED or left <= 0:
                    return run
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(event.wait(), min(left, LOOK_SECONDS))
        finally:
            self._events[run_id].discard(event)
            if not self._events[run_id]:
                del self._events[run_id]

    async def _get(self, run_id: str) -> Run:
        async with self._database.connection() as connection:
            return await runs.get(connection, run_id)
