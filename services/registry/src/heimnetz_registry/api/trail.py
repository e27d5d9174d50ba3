"""Who did what, and why."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from heimnetz_common.auth import Rule, require
from heimnetz_common.routing import router
from heimnetz_manifest import PluginName
from heimnetz_manifest.trail import write_checkpoint, write_link
from heimnetz_registry.api.dependencies import (
    Cursor,
    Limit,
    Rooms,
    answer,
    page,
    positive,
    read_cursor,
    write_cursor,
)
from heimnetz_registry.api.schemas import (
    ChainPage,
    CheckpointPage,
    CheckpointShown,
    TrailPage,
    VerificationShown,
)
from heimnetz_registry.store import trail

READERS: Rule = require("auditor", "operator")


def routes(rooms: Rooms) -> APIRouter:
    api = router(prefix="/v1/trail", tags=["trail"], dependencies=[Depends(READERS)])

    @api.get("", response_model=TrailPage)
    async def list_entries(
        request: Request,
        plugin: Annotated[PluginName | None, Query()] = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Response:
        before = read_cursor(cursor, positive)
        async with rooms.database.connection() as connection:
            found = await trail.list_entries(
                connection, plugin=plugin, limit=limit + 1, before=before
            )
        items = [asdict(item) for item in found]
        return answer(request, page(items, limit, lambda item: item["id"]))

    @api.get("/chain", response_model=ChainPage)
    async def list_chain(request: Request, limit: Limit = 50, cursor: Cursor = None) -> Response:
        """In the order of the chain, the oldest first, each with its link."""
        position = read_cursor(cursor, positive) or 1
        found, is_more = await rooms.chain.list_chain(position, limit)
        following = write_cursor(position + limit) if is_more else None
        items = [write_link(one, entry) for one, entry in found]
        return answer(request, {"items": items, "next_cursor": following})

    @api.get("/checkpoints", response_model=CheckpointPage)
    async def list_checkpoints(
        request: Request, limit: Limit = 50, cursor: Cursor = None
    ) -> Response:
        """The oldest first; those that were signed with the registry's present key."""
        position = read_cursor(cursor, positive) or 0
        found = await rooms.chain.list_checkpoints(position, limit + 1)
        following = write_cursor(found[limit].link.position) if len(found) > limit else None
        items = [write_checkpoint(one, rooms.chain.public_key) for one in found[:limit]]
        return answer(request, {"items": items, "next_cursor": following})

    @api.post(
        "/checkpoints",
        response_model=CheckpointShown,
        status_code=201,
        responses={200: {"description": "Nothing came since the last", "model": CheckpointShown}},
    )
    async def make_checkpoint(request: Request) -> Response:
        """Signs the end of the chain; note it elsewhere, and verify an export with it."""
        made, is_new = await rooms.chain.make_checkpoint()
        document = write_checkpoint(made, rooms.chain.public_key)
        return answer(request, document, status=201 if is_new else 200)

    @api.get("/verification", response_model=VerificationShown)
    async def verify() -> VerificationShown:
        """Looks at every entry; takes a second for about 20,000."""
        return VerificationShown.of(await rooms.chain.verify())

    return api
