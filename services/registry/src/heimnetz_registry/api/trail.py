"""Who did what, and why."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from heimnetz_common.auth import Rule, require
from heimnetz_common.routing import router
from heimnetz_manifest import PluginName
from heimnetz_registry.api.dependencies import (
    Cursor,
    Limit,
    Rooms,
    answer,
    page,
    positive,
    read_cursor,
)
from heimnetz_registry.api.schemas import TrailPage, VerificationShown
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

    @api.get("/verification", response_model=VerificationShown)
    async def verify() -> VerificationShown:
        """Looks at every entry; takes a second for about 20,000."""
        return VerificationShown.of(await rooms.chain.verify())

    return api
