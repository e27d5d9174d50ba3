"""Plugins and their versions, read."""

import re
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse

from heimnetz_common.auth import Rule, require
from heimnetz_common.routing import router
from heimnetz_manifest import PluginName
from heimnetz_registry.api.dependencies import (
    Cursor,
    Limit,
    Plugin,
    Rooms,
    VersionNumber,
    answer,
    has_etag,
    page,
    read_cursor,
)
from heimnetz_registry.api.schemas import (
    PluginPage,
    PluginShown,
    SearchQuery,
    VersionPage,
    VersionWhole,
)
from heimnetz_registry.errors import PackageDamaged, VersionNotFound
from heimnetz_registry.metrics import DAMAGED
from heimnetz_registry.model import Signature, State, Version
from heimnetz_registry.store import versions
from heimnetz_registry.store.listings import Search

READERS: Rule = require(
    "operator",
    "publisher",
    "auditor",
    "viewer",
    services=("auditor", "sandbox", "docs-gen", "monitor"),
)
IMMUTABLE = "private, max-age=31536000, immutable"
PACKAGE_TYPE = "application/gzip"


def show(version: Version) -> dict[str, Any]:
    return {
        "plugin": version.plugin,
        "version": version.version,
        "sha256": version.sha256,
        "size_bytes": version.size_bytes,
        "state": version.state,
        "reason": version.reason,
        "publisher": version.publisher,
        "published_at": version.published_at,
        "score": version.score,
        "grade": version.grade,
        "verdict": version.verdict,
        "signature": show_signature(version.signature),
        "manifest": version.manifest,
    }


def show_signature(signature: Signature | None) -> dict[str, Any] | None:
    if signature is None:
        return None
    return {
        "key_id": signature.key_id,
        "publisher": signature.publisher,
        "state": signature.state,
        "is_good": signature.is_good,
    }


def _sort_key(text: str) -> str:
    if len(text) > 300:
        raise ValueError(text)
    return text


def _rank(text: str) -> tuple[int, str]:
    rank, _, plugin = text.partition(" ")
    if not re.fullmatch(r"[0-9]{1,8}", rank):
        raise ValueError(text)
    return int(rank), str(PluginName(plugin))


def routes(rooms: Rooms) -> APIRouter:
    api = router(prefix="/v1/plugins", tags=["plugins"], dependencies=[Depends(READERS)])

    @api.get("", response_model=PluginPage)
    async def list_plugins(request: Request, query: Annotated[SearchQuery, Query()]) -> Response:
        """The best first; a word may be mistyped. Without words by name."""
        after = read_cursor(query.cursor, _rank)
        search = Search(
            words=query.q,
            category=query.category,
            asks=tuple(query.asks),
            asks_not=tuple(query.asks_not),
            min_score=query.min_score,
        )
        limit = query.limit
        found = await rooms.searcher.search(
            search, limit=limit + 1, after=after, has_facets=query.facets
        )
        document = page(found.plugins, limit, lambda item: f"{item['rank']} {item['plugin']}")
        for item in document["items"]:
            del item["rank"]
        return answer(request, {**document, "facets": found.facets})

    @api.get("/{plugin}", response_model=PluginShown)
    async def get_plugin(request: Request, plugin: Plugin) -> Response:
        async with rooms.database.connection() as connection:
            return answer(request, await versions.get_plugin(connection, plugin))

    @api.get("/{plugin}/versions", response_model=VersionPage)
    async def list_versions(
        request: Request, plugin: Plugin, limit: Limit = 50, cursor: Cursor = None
    ) -> Response:
        before = read_cursor(cursor, _sort_key)
        async with rooms.database.connection() as connection:
            found = await versions.list_versions(connection, plugin, limit=limit + 1, before=before)
        document = page(found, limit, lambda item: item["sort_key"])
        for item in document["items"]:
            del item["sort_key"]
            item["signature"] = show_signature(item["signature"])
        return answer(request, document)

    @api.get("/{plugin}/versions/{version}", response_model=VersionWhole)
    async def get_version(request: Request, plugin: Plugin, version: VersionNumber) -> Response:
        async with rooms.database.connection() as connection:
            found = await versions.get_version(connection, plugin, version)
        return answer(request, show(found))

    @api.get(
        "/{plugin}/versions/{version}/package",
        response_class=Response,
        responses={200: {"content": {PACKAGE_TYPE: {}}}, 304: {"description": "Not modified"}},
    )
    async def get_package(request: Request, plugin: Plugin, version: VersionNumber) -> Response:
        async with rooms.database.connection() as connection:
            found = await versions.get_version(connection, plugin, version)
        if found.state is State.DELETED:
            raise VersionNotFound(plugin, version)
        headers = {
            "etag": f'"{found.sha256}"',
            "cache-control": IMMUTABLE,
            "content-disposition": f'attachment; filename="{plugin}-{version}.tar.gz"',
            "x-content-type-options": "nosniff",
        }
        if has_etag(request, headers["etag"]):
            return Response(status_code=304, headers=headers)
        try:
            opened = await rooms.artifacts.open(found.sha256)
        except PackageDamaged:
            DAMAGED.inc()
            raise
        headers["content-length"] = str(opened.size_bytes)
        return StreamingResponse(aiter(opened), media_type=PACKAGE_TYPE, headers=headers)

    return api
