"""Publishers' keys, and the signatures of versions."""

import base64
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi import Path as PathParameter

from heimnetz_common.auth import EVERYONE, Rule, require
from heimnetz_common.routing import router
from heimnetz_common.tokens import Principal
from heimnetz_registry.api.dependencies import (
    Cursor,
    Limit,
    Plugin,
    Rooms,
    VersionNumber,
    actor_of,
    answer,
    page,
    read_cursor,
)
from heimnetz_registry.api.schemas import (
    KEY_ID,
    KeyBody,
    PersonName,
    RevocationBody,
    RotationBody,
    SigningKeyPage,
    SigningKeyShown,
    key_id_of,
)
from heimnetz_registry.enrolling import NewKey
from heimnetz_registry.errors import SignatureNotFound
from heimnetz_registry.model import SigningKey
from heimnetz_registry.store import keys

PUBLISHERS: Rule = require("publisher")
REVOKERS: Rule = require("publisher", "auditor")
ENVELOPE_TYPE = "application/vnd.dsse.envelope.v1+json"

KeyId = Annotated[str, PathParameter(pattern=KEY_ID, description="SHA-256 of the public key")]


def _show(key: SigningKey) -> dict[str, Any]:
    return {**asdict(key), "public_key": base64.b64encode(key.public_key).decode()}


def _new(body: KeyBody) -> NewKey:
    return NewKey(body.name, base64.b64decode(body.public_key), base64.b64decode(body.proof))


def routes(rooms: Rooms) -> APIRouter:
    api = router(prefix="/v1", tags=["keys"])

    @api.get("/keys", response_model=SigningKeyPage, dependencies=[Depends(EVERYONE)])
    async def list_keys(
        request: Request,
        publisher: Annotated[PersonName | None, Query()] = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Response:
        after = read_cursor(cursor, key_id_of)
        async with rooms.database.connection() as connection:
            found = await keys.list_keys(
                connection, publisher=publisher, limit=limit + 1, after=after
            )
        items = [_show(item) for item in found]
        return answer(request, page(items, limit, lambda item: item["id"]))

    @api.get("/keys/{key_id}", response_model=SigningKeyShown, dependencies=[Depends(EVERYONE)])
    async def get_key(request: Request, key_id: KeyId) -> Response:
        async with rooms.database.connection() as connection:
            found = await keys.get_key(connection, key_id)
        return answer(request, _show(found))

    @api.post(
        "/keys",
        response_model=SigningKeyShown,
        status_code=201,
        responses={200: {"description": "It is registered already", "model": SigningKeyShown}},
    )
    async def register_key(
        request: Request, body: KeyBody, principal: Principal = Depends(PUBLISHERS)
    ) -> Response:
        key, is_new = await rooms.enroller.register(_new(body), actor_of(principal))
        return answer(request, _show(key), status=201 if is_new else 200)

    @api.post("/keys/{key_id}/rotation", response_model=SigningKeyShown)
    async def rotate_key(
        request: Request,
        key_id: KeyId,
        body: RotationBody,
        principal: Principal = Depends(PUBLISHERS),
    ) -> Response:
        handed_over = base64.b64decode(body.handed_over)
        key = await rooms.enroller.rotate(key_id, _new(body), handed_over, actor_of(principal))
        return answer(request, _show(key))

    @api.post("/keys/{key_id}/revocation", response_model=SigningKeyShown)
    async def revoke_key(
        request: Request,
        key_id: KeyId,
        body: RevocationBody,
        principal: Principal = Depends(REVOKERS),
    ) -> Response:
        key = await rooms.enroller.revoke(key_id, body.reason, actor_of(principal))
        return answer(request, _show(key))

    @api.get(
        "/plugins/{plugin}/versions/{version}/signature",
        response_class=Response,
        responses={200: {"content": {ENVELOPE_TYPE: {}}}},
        dependencies=[Depends(EVERYONE)],
    )
    async def get_signature(plugin: Plugin, version: VersionNumber) -> Response:
        async with rooms.database.connection() as connection:
            envelope = await keys.find_envelope(connection, plugin, version)
        if envelope is None:
            raise SignatureNotFound(plugin, version)
        return Response(
            envelope,
            media_type=ENVELOPE_TYPE,
            headers={"cache-control": "private, no-cache", "x-content-type-options": "nosniff"},
        )

    return api
