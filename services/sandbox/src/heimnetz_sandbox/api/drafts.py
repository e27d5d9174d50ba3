"""Working copies, run once over HTTP."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi import Request as HttpRequest

from heimnetz_common.auth import Rule, require
from heimnetz_common.errors import Unavailable
from heimnetz_common.routing import router
from heimnetz_common.tokens import Principal
from heimnetz_sandbox.api import requests
from heimnetz_sandbox.api.schemas import DraftRequest, DraftView
from heimnetz_sandbox.drafting import Drafts

MAY_DRAFT: Rule = require("publisher")
LOOK_SECONDS = 0.25

_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {"type": "string", "format": "binary"},
                        "draft": DraftRequest.model_json_schema(),
                    },
                }
            }
        },
    }
}


def routes(drafts: Callable[[], Drafts | None]) -> APIRouter:
    api = router(tags=["drafts"])

    @api.post("/v1/drafts", openapi_extra=_BODY)
    async def run(
        request: HttpRequest, caller: Annotated[Principal, Depends(MAY_DRAFT)]
    ) -> DraftView:
        """Runs a working copy once, and keeps nothing; it ends when the caller hangs up.

        The owner's has what its manifest asks for, anybody else's nothing. Events and calls of
        other plugins lead nowhere; storage is empty and forgotten.
        """
        place = drafts()
        if place is None:
            raise Unavailable("the sandbox is starting")
        package, asked = await requests.read_draft(request)
        report = await _while_connected(
            request,
            place.run(
                package,
                example=asked.example,
                given=asked.input,
                configuration=asked.configuration,
                is_granted=caller.role == "owner",
            ),
        )
        return DraftView.model_validate(report)

    return api


async def _while_connected(
    request: HttpRequest, work: Coroutine[Any, Any, dict[str, Any]]
) -> dict[str, Any]:
    """Raises: Unavailable, which nobody hears, when the caller is gone."""
    task = asyncio.create_task(work)
    try:
        while not task.done():
            await asyncio.wait({task}, timeout=LOOK_SECONDS)
            if not task.done() and await request.is_disconnected():
                raise Unavailable("the caller has hung up")
        return task.result()
    finally:
        task.cancel()
        await asyncio.wait({task})
