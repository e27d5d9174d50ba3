"""Waits for a run to end: at once when it ends here, by looking when it ends elsewhere."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from heimnetz_common.database import Database
from heimnetz_sandbox.model import Run, State
from heimnetz_sandbox.store import outputs, runs
from heimnetz_sandbox.store.outputs import FileFacts

LOOK_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Look:
    """A run as it is; result and files when it has ended."""

    run: Run
    result: bytes | None = None
    files: Sequence[FileFacts] = ()


class Watch:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: defaultdict[str, set[asyncio.Future[Look | None]]] = defaultdict(set)

    def finished(self, run_id: str, look: Look | None = None) -> None:
        """Who waits need not read what is told here."""
        for future in self._waiting.get(run_id, ()):
            if not future.done():
                future.set_result(look)

    async def wait(self, run_id: str, seconds: float, *, is_under_way: bool = False) -> Look:
        """The run, finished or as it is when the time is over. Raises: RunNotFound.

        One that is known to be under way here is first looked at when its end was told.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        ended: asyncio.Future[Look | None] = loop.create_future()
        self._waiting[run_id].add(ended)
        try:
            while True:
                if is_under_way and seconds > 0:
                    is_under_way = False
                else:
                    look = await self._look(run_id)
                    if look.run.state is State.FINISHED or loop.time() >= deadline:
                        return look
                pause = max(min(deadline - loop.time(), LOOK_SECONDS), 0)
                with contextlib.suppress(TimeoutError):
                    told = await asyncio.wait_for(asyncio.shield(ended), pause)
                    if told is not None:
                        return told
        finally:
            ended.cancel()
            self._waiting[run_id].discard(ended)
            if not self._waiting[run_id]:
                del self._waiting[run_id]

    async def _look(self, run_id: str) -> Look:
        async with self._database.connection() as connection:
            run = await runs.get(connection, run_id)
            if run.state is not State.FINISHED:
                return Look(run)
            result = await runs.get_result(connection, run_id)
            return Look(run, result, await outputs.list_outputs(connection, run_id))
