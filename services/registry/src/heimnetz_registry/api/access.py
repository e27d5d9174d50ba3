"""Set-up, log-in, tokens, and the gateway's question who is calling."""

import base64
import binascii
from dataclasses import asdict
from datetime import timedelta

from fastapi import APIRouter, Depends, Request, Response

from heimnetz_common import problems
from heimnetz_common.auth import EVERYONE, PUBLIC, Rule, require
from heimnetz_common.errors import Unauthenticated
from heimnetz_common.routing import router
from heimnetz_common.tokens import Keys, Principal
from heimnetz_registry.api.dependencies import (
    Cursor,
    Limit,
    Rooms,
    actor_of,
    address_of,
    answer,
    page,
    read_cursor,
)
from heimnetz_registry.api.schemas import (
    Me,
    SessionBody,
    SessionMade,
    SetupBody,
    SetupDone,
    TokenBody,
    TokenMade,
    TokenPage,
)
from heimnetz_registry.errors import TokenNotFound, WrongCredentials
from heimnetz_registry.model import Actor
from heimnetz_registry.store import access

OWNER: Rule = require("owner")
UI = "ui"

_NO_STORE = {"cache-control": "no-store"}
_TOKEN_ID_CHARACTERS = 64


def routes(rooms: Rooms) -> APIRouter:
    api = router(prefix="/v1", tags=["access"])

    @api.post("/setup", status_code=201, dependencies=[Depends(PUBLIC)])
    async def set_up(request: Request, response: Response, body: SetupBody) -> SetupDone:
        response.headers.update(_NO_STORE)
        token = await rooms.doorkeeper.set_up(
            body.setup_token, body.name, body.password, address_of(request)
        )
        return SetupDone(name=body.name, token=token)

    @api.post("/sessions", status_code=201, dependencies=[Depends(PUBLIC)])
    async def log_in(request: Request, response: Response, body: SessionBody) -> SessionMade:
        response.headers.update(_NO_STORE)
        session, token = await rooms.doorkeeper.log_in(
            body.name, body.password, address_of(request)
        )
        assert session.expires_at is not None  # every session ends
        return SessionMade(id=session.id, token=token, expires_at=session.expires_at)

    @api.get("/me")
    async def me(principal: Principal = Depends(EVERYONE)) -> Me:
        return Me(subject=principal.subject, name=principal.name, role=str(principal.role))

    @api.get("/tokens", response_model=TokenPage, dependencies=[Depends(OWNER)])
    async def list_tokens(request: Request, limit: Limit = 50, cursor: Cursor = None) -> Response:
        async with rooms.database.connection() as connection:
            found = await access.list_tokens(
                connection, limit=limit + 1, after=read_cursor(cursor, str)
            )
        items = [asdict(item) for item in found]
        return answer(request, page(items, limit, lambda item: item["id"]))

    @api.post("/tokens", status_code=201)
    async def make_token(
        response: Response, body: TokenBody, principal: Principal = Depends(OWNER)
    ) -> TokenMade:
        response.headers.update(_NO_STORE)
        days = body.expires_in_days
        made, token = await rooms.doorkeeper.issue(
            kind="token",
            name=body.name,
            role=body.role,
            lifetime=timedelta(days=days) if days is not None else None,
            by=actor_of(principal),
        )
        return TokenMade(id=made.id, token=token)

    @api.delete("/tokens/{token_id}", status_code=204, response_class=Response)
    async def revoke(token_id: str, principal: Principal = Depends(OWNER)) -> Response:
        if len(token_id) > _TOKEN_ID_CHARACTERS:
            raise TokenNotFound(token_id[:_TOKEN_ID_CHARACTERS])
        await rooms.doorkeeper.revoke(token_id, actor_of(principal))
        return Response(status_code=204)

    @api.get(
        "/auth/{audience}",
        response_class=Response,
        dependencies=[Depends(PUBLIC)],
        responses={200: {"description": "Authorization holds the word for the sibling"}},
    )
    async def authenticate(request: Request, audience: str) -> Response:
        if audience != UI and audience not in rooms.services:
            return _refuse(request, "there is no such service", challenge="Bearer")
        try:
            actor = await _recognise(rooms, request, audience)
        except Unauthenticated as error:
            challenge = 'Basic realm="Heimnetz", charset="UTF-8"' if audience == UI else "Bearer"
            return _refuse(request, error.detail, challenge=challenge)
        keys: Keys = request.app.state.keys
        word = keys.mint(audience, subject=actor.subject, name=actor.name, role=actor.role)
        headers = {
            "authorization": f"Bearer {word}",
            "x-heimnetz-user": actor.name,
            "x-heimnetz-role": str(actor.role),
            **_NO_STORE,
        }
        return Response(status_code=200, headers=headers)

    return api


async def _recognise(rooms: Rooms, request: Request, audience: str) -> Actor:
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    address = address_of(request)
    if scheme.lower() == "bearer" and 0 < len(value) <= 200:
        return await rooms.doorkeeper.recognise(value.strip(), address)
    if scheme.lower() == "basic" and audience == UI:
        name, secret = _basic(value)
        return await rooms.doorkeeper.recognise_basic(name, secret, address)
    raise WrongCredentials("send a token: Authorization: Bearer …")


def _basic(value: str) -> tuple[str, str]:
    """Name and secret; RFC 7617."""
    try:
        text = base64.b64decode(value[:1024], validate=True).decode("utf-8")
    except (binascii.Error, ValueError) as error:
        raise WrongCredentials("the credentials are not Basic as in RFC 7617") from error
    name, colon, secret = text.partition(":")
    if not colon or "\0" in text or len(name) > 63:
        raise WrongCredentials("the credentials are not Basic as in RFC 7617")
    return name, secret


def _refuse(request: Request, detail: str, *, challenge: str) -> Response:
    return problems.problem(
        request,
        status=401,
        kind=WrongCredentials.kind,
        title=WrongCredentials.title,
        detail=detail,
        headers={"www-authenticate": challenge, **_NO_STORE},
    )
