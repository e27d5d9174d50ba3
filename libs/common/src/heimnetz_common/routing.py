"""Routes that read JSON strictly; the edge of every service is made of them."""

import re
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any

from fastapi import APIRouter, Request, Response, params
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict

from heimnetz_common import strictjson
from heimnetz_common.errors import NotAcceptable, TooLarge, UnsupportedMedia
from heimnetz_common.problems import MEDIA_TYPE

MAX_JSON_BYTES = 1024 * 1024 + 64 * 1024


class StrictRequest(Request):
    """A request whose JSON has no NaN, repeated key, lone surrogate or huge number."""

    async def json(self) -> Any:
        if not hasattr(self, "_strict_json"):
            body = await self.body()
            if len(body) > MAX_JSON_BYTES:
                raise TooLarge(f"the JSON document is larger than {MAX_JSON_BYTES} bytes")
            self._strict_json = strictjson.loads(body)
        return self._strict_json


class StrictRoute(APIRoute):
    def get_route_handler(self) -> Callable[[Request], Any]:
        handle = super().get_route_handler()
        takes_json = self.body_field is not None and not isinstance(
            self.body_field.field_info, params.Form
        )

        offered = _media_types(self)

        async def handle_strictly(request: Request) -> Response:
            kind = request.headers.get("content-type", "application/json").partition(";")[0]
            if offered and not _is_accepted(request, offered):
                raise NotAcceptable(f"this answers with {', '.join(sorted(offered))}")
            if takes_json and kind.strip().lower() != "application/json":
                raise UnsupportedMedia(f"send application/json, not {kind[:100]}")
            response: Response = await handle(StrictRequest(request.scope, request.receive))
            return response

        return handle_strictly


def _media_types(route: APIRoute) -> frozenset[str]:
    """What the route answers with; none where its code decides."""
    declared = {kind for answer in route.responses.values() for kind in answer.get("content", ())}
    if route.response_field is not None:
        declared.add("application/json")
    return frozenset(declared - {MEDIA_TYPE})


def _is_accepted(request: Request, offered: frozenset[str]) -> bool:
    """RFC 9110, 12.5.1, but for the order of preference."""
    accepted = request.headers.get("accept", "*/*")
    for part in accepted.split(","):
        wanted, _, parameters = part.strip().lower().partition(";")
        is_refused = re.fullmatch(r"\s*q\s*=\s*0(\.0*)?\s*", parameters) is not None
        if not is_refused and any(fnmatchcase(kind, wanted.strip()) for kind in offered):
            return True
    return False


class StrictBody(BaseModel):
    """Base of request bodies: an unknown key is a mistake, and nothing is converted silently."""

    model_config = ConfigDict(extra="forbid", strict=True)


def router(**options: Any) -> APIRouter:
    """A router whose routes read JSON strictly. Each route still needs its rule."""
    return APIRouter(route_class=StrictRoute, **options)
