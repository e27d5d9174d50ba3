"""What installed plugins were granted, and which of them can reach something."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from heimnetz_common.auth import Rule, require
from heimnetz_common.errors import InvalidInput
from heimnetz_common.routing import router
from heimnetz_manifest import Destination
from heimnetz_registry.api.dependencies import Rooms
from heimnetz_registry.api.schemas import GrantList, GrantShown
from heimnetz_registry.store import installations

READERS: Rule = require("operator", "auditor", "viewer")

Reach = Annotated[
    str | None,
    Query(max_length=300, description="host:port or address:port; who was granted to reach it"),
]


def routes(rooms: Rooms) -> APIRouter:
    api = router(prefix="/v1/grants", tags=["installations"], dependencies=[Depends(READERS)])

    @api.get("", response_model=GrantList)
    async def list_grants(reach: Reach = None) -> GrantList:
        wanted = None if reach is None else _destination(reach)
        async with rooms.database.connection() as connection:
            found = await installations.list_grants(connection)
        return GrantList(
            items=[
                GrantShown(plugin=plugin, version=version, grant=grant)
                for plugin, version, grant in found
                if wanted is None or _reaches(grant, wanted)
            ]
        )

    return api


def _destination(text: str) -> Destination:
    try:
        return Destination.parse(text)
    except ValueError as error:
        raise InvalidInput(str(error)) from error


def _reaches(grant: str, wanted: Destination) -> bool:
    kind, _, value = grant.partition(":")
    return kind == "network" and Destination.parse(value).reaches(wanted)
