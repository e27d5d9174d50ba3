"""Catalogues of others, what is mirrored from them, and the index that is offered to others."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi import Path as PathParameter
from fastapi.responses import StreamingResponse

from heimnetz_common.auth import EVERYONE, Rule, require
from heimnetz_common.routing import router
from heimnetz_common.tokens import Principal
from heimnetz_manifest import PluginName, Version
from heimnetz_manifest.signing import key_id
from heimnetz_registry.api.catalogue_schemas import (
    CATALOGUE_NAME,
    CatalogueBody,
    CatalogueList,
    CatalogueShown,
    MirrorBody,
    PreviewShown,
    ReleasePage,
    SourceBody,
)
from heimnetz_registry.api.dependencies import (
    Cursor,
    Limit,
    Rooms,
    actor_of,
    answer,
    answer_bytes,
    page,
    read_cursor,
)
from heimnetz_registry.api.plugins import IMMUTABLE, PACKAGE_TYPE, show
from heimnetz_registry.api.schemas import VersionWhole
from heimnetz_registry.catalogue_errors import PackageNotOffered
from heimnetz_registry.fetching import Source
from heimnetz_registry.model import Catalogue, Release
from heimnetz_registry.store import catalogues

OWNER: Rule = require("owner")
Owner = Annotated[Principal, Depends(OWNER)]

Name = Annotated[str, PathParameter(pattern=CATALOGUE_NAME, max_length=31)]
Digest = Annotated[str, PathParameter(pattern=r"^[0-9a-f]{64}$", max_length=64)]


def _source(body: SourceBody) -> Source:
    return Source(body.url, body.address, body.ca, body.token)


def _shown(one: Catalogue) -> dict[str, Any]:
    return {
        "name": one.name,
        "url": one.url,
        "address": one.address,
        "has_ca": one.ca is not None,
        "has_token": one.token is not None,
        "key_id": one.key_id,
        "counter": one.counter,
        "expires_at": one.expires_at,
        "added_at": one.added_at,
        "added_by": one.added_by,
        "read_at": one.read_at,
        "next_at": one.next_at,
        "failures": one.failures,
        "problem": one.problem,
        "detail": one.detail,
    }


def _release(one: Release) -> dict[str, Any]:
    return {
        "plugin": one.plugin,
        "version": one.version,
        "sha256": one.sha256,
        "size_bytes": one.size_bytes,
        "publisher": one.publisher,
        "title": one.title,
        "key_id": None if one.public_key is None else key_id(one.public_key),
    }


def _release_key(text: str) -> tuple[str, str]:
    plugin, _, version = text.partition(" ")
    return str(PluginName(plugin)), str(Version(version))


def routes(rooms: Rooms) -> APIRouter:
    api = router(prefix="/v1", tags=["catalogues"])
    _add_reading(api, rooms)
    _add_changing(api, rooms)
    _add_offering(api, rooms)
    return api


def _add_reading(api: APIRouter, rooms: Rooms) -> None:
    @api.get("/catalogues", response_model=CatalogueList, dependencies=[Depends(OWNER)])
    async def list_catalogues(request: Request) -> Response:
        async with rooms.database.connection() as connection:
            found = await catalogues.list_catalogues(connection)
        return answer(request, {"items": [_shown(one) for one in found]})

    @api.get("/catalogues/{name}", response_model=CatalogueShown, dependencies=[Depends(OWNER)])
    async def get_catalogue(request: Request, name: Name) -> Response:
        async with rooms.database.connection() as connection:
            return answer(request, _shown(await catalogues.get_catalogue(connection, name)))

    @api.get(
        "/catalogues/{name}/releases", response_model=ReleasePage, dependencies=[Depends(OWNER)]
    )
    async def list_releases(
        request: Request, name: Name, limit: Limit = 50, cursor: Cursor = None
    ) -> Response:
        """What it has, by plugin and version."""
        after = read_cursor(cursor, _release_key)
        async with rooms.database.connection() as connection:
            await catalogues.get_catalogue(connection, name)
            found = await catalogues.list_releases(connection, name, limit=limit + 1, after=after)
        items = [_release(one) for one in found]
        return answer(
            request, page(items, limit, lambda item: f"{item['plugin']} {item['version']}")
        )


def _add_changing(api: APIRouter, rooms: Rooms) -> None:
    @api.post("/catalogues/preview", response_model=PreviewShown, dependencies=[Depends(OWNER)])
    async def preview(request: Request, body: SourceBody) -> Response:
        """Its index is read and nothing kept: by which key is it signed?"""
        signer, index = await rooms.cataloguer.preview(_source(body))
        return answer(
            request,
            {
                "key_id": signer,
                "counter": index.counter,
                "expires_at": index.expires_at,
                "releases": len(index.releases),
                "warnings": len(index.revoked),
            },
        )

    @api.post("/catalogues", response_model=CatalogueShown, status_code=201)
    async def add(request: Request, body: CatalogueBody, owner: Owner) -> Response:
        added = await rooms.cataloguer.add(body.name, _source(body), body.key_id, actor_of(owner))
        return answer(request, _shown(added), status=201)

    @api.delete("/catalogues/{name}", status_code=204, response_class=Response)
    async def remove(name: Name, owner: Owner) -> Response:
        await rooms.cataloguer.remove(name, actor_of(owner))
        return Response(status_code=204)

    @api.post(
        "/catalogues/{name}/refresh", response_model=CatalogueShown, dependencies=[Depends(OWNER)]
    )
    async def refresh(request: Request, name: Name) -> Response:
        return answer(request, _shown(await rooms.cataloguer.refresh(name)))

    @api.post(
        "/catalogues/{name}/mirror",
        response_model=VersionWhole,
        status_code=201,
        responses={200: {"description": "These bytes are published already"}},
    )
    async def mirror(request: Request, name: Name, body: MirrorBody, owner: Owner) -> Response:
        """Bring a version here, where it is submitted to the audit like any other."""
        made, is_new = await rooms.mirrorer.mirror(
            name, str(body.plugin), str(body.version), actor_of(owner)
        )
        return answer(request, show(made), status=201 if is_new else 200)


def _add_offering(api: APIRouter, rooms: Rooms) -> None:
    @api.get(
        "/catalogue/index.json",
        response_model=dict[str, Any],
        dependencies=[Depends(EVERYONE)],
    )
    async def get_index(request: Request) -> Response:
        """The signed index of what is approved here, and of what is quarantined."""
        return answer_bytes(request, await rooms.offerer.get_index())

    @api.get(
        "/catalogue/packages/{sha256}.tar.gz",
        response_class=Response,
        responses={200: {"content": {PACKAGE_TYPE: {}}}},
        dependencies=[Depends(EVERYONE)],
    )
    async def get_offered_package(sha256: Digest) -> Response:
        async with rooms.database.connection() as connection:
            if not await catalogues.is_offered(connection, sha256):
                raise PackageNotOffered(sha256)
        opened = await rooms.artifacts.open(sha256)
        headers = {
            "etag": f'"{sha256}"',
            "cache-control": IMMUTABLE,
            "content-length": str(opened.size_bytes),
            "x-content-type-options": "nosniff",
        }
        return StreamingResponse(aiter(opened), media_type=PACKAGE_TYPE, headers=headers)
