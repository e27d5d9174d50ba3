"""Versions, published and decided on."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from starlette.requests import ClientDisconnect

from heimnetz_common.auth import Rule, require
from heimnetz_common.errors import UnsupportedMedia
from heimnetz_common.routing import router
from heimnetz_common.tokens import Principal
from heimnetz_registry.api.dependencies import Plugin, Rooms, VersionNumber, actor_of, answer
from heimnetz_registry.api.plugins import PACKAGE_TYPE, show
from heimnetz_registry.api.schemas import Reason, StateBody, VersionWhole
from heimnetz_registry.errors import UploadCut
from heimnetz_registry.model import State
from heimnetz_registry.verifying import read_offer

PUBLISHERS: Rule = require("publisher")
DECIDERS: Rule = require("auditor", "publisher", services=("monitor",))

_ACCEPTED_TYPES = frozenset({PACKAGE_TYPE, "application/x-gzip", "application/x-tar+gzip"})


async def _pieces(request: Request) -> AsyncIterator[bytes]:
    try:
        async for piece in request.stream():
            yield piece
    except ClientDisconnect as error:
        raise UploadCut("the client went away") from error


def _check_type(request: Request) -> None:
    """Raises: UnsupportedMedia."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in _ACCEPTED_TYPES:
        raise UnsupportedMedia(f"send the package as {PACKAGE_TYPE}, not {kind[:100] or 'nothing'}")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedMedia("send the package without a content encoding")


def _only_one(request: Request) -> str:
    """Several headers of a name are one with commas (RFC 9110, 5.3), which is no base64."""
    return ",".join(request.headers.getlist("heimnetz-signature"))


def routes(rooms: Rooms) -> APIRouter:
    api = router(prefix="/v1/plugins", tags=["plugins"])

    @api.post(
        "/{plugin}/versions",
        response_model=VersionWhole,
        status_code=201,
        responses={200: {"description": "These bytes are published already"}},
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {PACKAGE_TYPE: {"schema": {"type": "string", "format": "binary"}}},
            }
        },
    )
    async def publish(
        request: Request,
        plugin: Plugin,
        allow_lower: Annotated[bool, Query(description="Lower than the latest is meant")] = False,
        heimnetz_signature: Annotated[
            str | None, Header(description="Base64 of the DSSE envelope, at most 4 KiB of it")
        ] = None,
        principal: Principal = Depends(PUBLISHERS),
    ) -> Response:
        _check_type(request)
        offer = None if heimnetz_signature is None else read_offer(_only_one(request))
        version, is_new = await rooms.publisher.publish(
            plugin,
            _pieces(request),
            actor_of(principal),
            allow_lower=allow_lower,
            offer=offer,
        )
        location = f"/v1/plugins/{plugin}/versions/{version.version}"
        return answer(
            request,
            show(version),
            status=201 if is_new else 200,
            headers={"location": location},
        )

    @api.post("/{plugin}/versions/{version}/state", response_model=VersionWhole)
    async def decide(
        request: Request,
        plugin: Plugin,
        version: VersionNumber,
        body: StateBody,
        principal: Principal = Depends(DECIDERS),
    ) -> Response:
        changed = await rooms.decider.decide(
            plugin, version, body.state, body.reason, actor_of(principal)
        )
        return answer(request, show(changed))

    @api.delete("/{plugin}/versions/{version}", response_model=VersionWhole)
    async def delete(
        request: Request,
        plugin: Plugin,
        version: VersionNumber,
        reason: Annotated[Reason, Query()] = "deleted by its publisher or the owner",
        principal: Principal = Depends(PUBLISHERS),
    ) -> Response:
        changed = await rooms.decider.decide(
            plugin, version, State.DELETED, reason, actor_of(principal)
        )
        return answer(request, show(changed))

    return api
