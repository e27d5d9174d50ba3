"""Runs over HTTP."""

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, Path, Query, Response
from fastapi import Request as HttpRequest

from heimnetz_common.auth import EVERYONE, Rule, require
from heimnetz_common.database import Database
from heimnetz_common.routing import router
from heimnetz_common.telemetry import current_trace
from heimnetz_common.tokens import Principal
from heimnetz_sandbox.api import requests
from heimnetz_sandbox.api.schemas import PLUGIN_PATTERN, Behaviour, RunPage, RunRequest, RunView
from heimnetz_sandbox.asking import Queue
from heimnetz_sandbox.errors import RunFinished
from heimnetz_sandbox.model import Outcome, Request, State, Trigger
from heimnetz_sandbox.projecting import Cancelling
from heimnetz_sandbox.store import observed, outputs, runs
from heimnetz_sandbox.watching import Look, Watch

MAY_RUN: Rule = require("operator")

PluginInPath = Annotated[str, Path(pattern=PLUGIN_PATTERN)]
RunInPath = Annotated[str, Path(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f-]{17}$")]

_BODY = {
    "requestBody": {
        "content": {
            "application/json": {"schema": RunRequest.model_json_schema()},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "input": {"type": "string", "contentMediaType": "application/json"},
                        "file": {"type": "array", "items": {"type": "string", "format": "binary"}},
                    },
                }
            },
        }
    }
}


def routes(database: Database, queue: Queue, watch: Watch, cancelling: Cancelling) -> APIRouter:
    api = router(tags=["runs"])

    @api.post(
        "/v1/plugins/{plugin}/runs",
        openapi_extra=_BODY,
        responses={202: {"model": RunView, "description": "Queued or running"}},
    )
    async def ask(
        plugin: PluginInPath,
        request: HttpRequest,
        response: Response,
        caller: Annotated[Principal, Depends(MAY_RUN)],
    ) -> RunView:
        text, files = await requests.read(request)
        trace = current_trace()
        asked = await queue.ask_patiently(
            Request(
                plugin=plugin,
                trigger=Trigger.HTTP,
                input=text,
                files=files,
                requested_by=caller.subject,
                idempotency_key=requests.idempotency_key(request),
                traceparent=trace.traceparent if trace else None,
            )
        )
        look = await watch.wait(
            asked.run_id, requests.wait_seconds(request), is_under_way=asked.is_direct
        )
        if look.run.state is not State.FINISHED:
            response.status_code = 202
        response.headers["location"] = f"/v1/runs/{look.run.id}"
        return RunView.of(look)

    @api.get("/v1/plugins/{plugin}/behaviour", dependencies=[Depends(EVERYONE)])
    async def get_behaviour(plugin: PluginInPath) -> Behaviour:
        """What the plugin did or tried at least once, newest first."""
        async with database.connection() as connection:
            return Behaviour.of(await observed.list_of(connection, plugin))

    @api.get("/v1/runs", dependencies=[Depends(EVERYONE)])
    async def list_runs(
        plugin: Annotated[str | None, Query(max_length=63)] = None,
        outcome: Outcome | None = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        cursor: Annotated[str | None, Query(pattern=r"^[0-9a-f-]{36}$")] = None,
    ) -> RunPage:
        async with database.connection() as connection:
            found = await runs.list_runs(
                connection,
                plugin=plugin,
                outcome=None if outcome is None else str(outcome),
                before=cursor,
                limit=limit + 1,
            )
        page = found[:limit]
        has_more = len(found) > limit
        return RunPage(
            items=[RunView.of(Look(run)) for run in page],
            next_cursor=page[-1].id if has_more else None,
        )

    @api.get("/v1/runs/{run_id}", dependencies=[Depends(EVERYONE)])
    async def get(run_id: RunInPath, request: HttpRequest) -> RunView:
        return RunView.of(await watch.wait(run_id, requests.wait_seconds(request)))

    @api.delete("/v1/runs/{run_id}", status_code=202, dependencies=[Depends(MAY_RUN)])
    async def cancel(run_id: RunInPath) -> RunView:
        if not await cancelling.cancel(run_id):
            raise RunFinished(run_id)
        return RunView.of(await watch.wait(run_id, 0))

    @api.get("/v1/runs/{run_id}/files/{name}", dependencies=[Depends(EVERYONE)])
    async def get_file(run_id: RunInPath, name: Annotated[str, Path(max_length=255)]) -> Response:
        async with database.connection() as connection:
            await runs.get(connection, run_id)
            data, sha256 = await outputs.get_output(connection, run_id, name)
        return Response(
            data,
            # What a plugin made is never shown by a browser as ours: no type, no sniffing.
            media_type="application/octet-stream",
            headers={
                "etag": f'"{sha256}"',
                "content-disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}",
                "x-content-type-options": "nosniff",
                "content-security-policy": "sandbox; default-src 'none'",
            },
        )

    return api
