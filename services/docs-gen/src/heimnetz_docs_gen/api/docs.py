"""The list of pages, and asking for them anew."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from heimnetz_common import routing
from heimnetz_common.auth import EVERYONE, require
from heimnetz_common.database import Database
from heimnetz_common.errors import InvalidInput, NotFound
from heimnetz_common.http import ServiceClient
from heimnetz_common.telemetry import current_trace
from heimnetz_docs_gen import store
from heimnetz_docs_gen.api.schemas import Asked, DocumentList, DocumentView
from heimnetz_docs_gen.errors import VersionNotFound

_NAME = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
_VERSION = r"^[0-9A-Za-z.+-]{1,200}$"

PluginPath = Annotated[str, Path(pattern=_NAME)]
VersionPath = Annotated[str, Path(pattern=_VERSION)]


def routes(database: Database, registry: ServiceClient) -> APIRouter:
    router = routing.router(prefix="/v1/docs", tags=["docs"])

    @router.get("", dependencies=[Depends(EVERYONE)])
    async def list_docs(
        plugin: Annotated[str | None, Query(pattern=_NAME)] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
        cursor: Annotated[str | None, Query(max_length=300)] = None,
    ) -> DocumentList:
        async with database.connection() as connection:
            found = await store.list_documents(
                connection, plugin=plugin, after=_after(cursor), limit=limit + 1
            )
        items = [DocumentView.of(item) for item in found[:limit]]
        more = len(found) > limit
        last = f"{items[-1].plugin}/{items[-1].version}" if more else None
        return DocumentList(items=items, next_cursor=last)

    @router.post(
        "/{plugin}/{version}",
        status_code=202,
        dependencies=[Depends(require("operator", "publisher", "auditor"))],
    )
    async def ask_again(plugin: PluginPath, version: VersionPath) -> Asked:
        try:
            await registry.get(f"/v1/plugins/{plugin}/versions/{version}")
        except NotFound as error:
            raise VersionNotFound(plugin, version) from error
        trace = current_trace()
        async with database.transaction() as connection:
            await store.ask(connection, plugin, version, trace.traceparent if trace else None)
        return Asked(plugin=plugin, version=version, url=f"/docs/{plugin}/{version}/")

    return router


def _after(cursor: str | None) -> tuple[str, str]:
    if cursor is None:
        return "", ""
    plugin, slash, version = cursor.partition("/")
    if not slash or not cursor.isprintable():
        raise InvalidInput("this is no cursor that a list of pages gave")
    return plugin, version
