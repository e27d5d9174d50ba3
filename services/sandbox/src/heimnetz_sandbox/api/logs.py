"""What runs wrote: of one, followed while it is under way, and searched over all of a plugin."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Response
from fastapi import Request as HttpRequest
from sse_starlette import EventSourceResponse, ServerSentEvent

from heimnetz_common.auth import EVERYONE
from heimnetz_common.database import Database
from heimnetz_common.routing import router
from heimnetz_sandbox.api.runs import PluginInPath, RunInPath
from heimnetz_sandbox.api.schemas import FoundLine, LogPage
from heimnetz_sandbox.model import LogLine, State
from heimnetz_sandbox.store import outputs, runs

FOLLOW_SECONDS = 0.3
_LINES_AT_ONCE = 1000
_CURSOR = r"^[0-9a-f-]{36}\.[0-9]{1,9}$"


def routes(database: Database) -> APIRouter:
    api = router(tags=["runs"])

    @api.get("/v1/runs/{run_id}/logs", dependencies=[Depends(EVERYONE)])
    async def get_logs(run_id: RunInPath, request: HttpRequest) -> Response:
        async with database.connection() as connection:
            await runs.get(connection, run_id)
        if "text/event-stream" in request.headers.get("accept", ""):
            return EventSourceResponse(_follow(database, run_id), ping=15)
        lines = [_shown(line) async for _, line in _lines(database, run_id, -1)]
        return Response(
            "".join(f"{line}\n" for line in lines),
            media_type="text/plain; charset=utf-8",
            headers={"x-content-type-options": "nosniff"},
        )

    @api.get("/v1/plugins/{plugin}/logs", dependencies=[Depends(EVERYONE)])
    async def find_lines(
        plugin: PluginInPath,
        contains: Annotated[str | None, Query(max_length=200, pattern=r"^[^\x00]+$")] = None,
        stream: Literal["stdout", "stderr", "log", "sandbox"] | None = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 200,
        cursor: Annotated[str | None, Query(pattern=_CURSOR)] = None,
    ) -> LogPage:
        """Lines of all runs that are kept, newest first."""
        run_id, _, number = (cursor or "").partition(".")
        async with database.connection() as connection:
            found = await outputs.find_lines(
                connection,
                plugin,
                contains=contains,
                stream=stream,
                before=(run_id, int(number)) if cursor else None,
                limit=limit + 1,
            )
        page = [
            FoundLine(run_id=run, number=number, at=line.at, stream=line.stream, text=line.text)
            for run, number, line in found[:limit]
        ]
        has_more = len(found) > limit
        return LogPage(
            items=page, next_cursor=f"{page[-1].run_id}.{page[-1].number}" if has_more else None
        )

    return api


def _shown(line: LogLine) -> str:
    return f"{line.at.isoformat(timespec='milliseconds')} {line.stream} {line.text}"


async def _lines(database: Database, run_id: str, after: int) -> AsyncIterator[tuple[int, LogLine]]:
    while True:
        async with database.connection() as connection:
            found = await outputs.list_lines(connection, run_id, after, _LINES_AT_ONCE)
        for number, line in found:
            after = number
            yield number, line
        if len(found) < _LINES_AT_ONCE:
            return


async def _follow(database: Database, run_id: str) -> AsyncIterator[ServerSentEvent]:
    """Each line as it comes, then one event `end` with the outcome."""
    after = -1
    while True:
        # Looked at before the lines: what is written until the run ends is then sent, too.
        async with database.connection() as connection:
            run = await runs.get(connection, run_id)
        async for number, line in _lines(database, run_id, after):
            after = number
            yield ServerSentEvent(_shown(line), event="log", id=str(number))
        if run.state is State.FINISHED:
            yield ServerSentEvent(json.dumps({"outcome": str(run.outcome)}), event="end")
            return
        await asyncio.sleep(FOLLOW_SECONDS)
