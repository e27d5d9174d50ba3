"""Calls to the sibling services. The only module of the services that knows the HTTP client."""

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import orjson

from heimnetz_common import strictjson
from heimnetz_common.errors import (
    Conflict,
    Forbidden,
    Full,
    HeimnetzError,
    InvalidInput,
    NotFound,
    TooLarge,
    TooMany,
    Unauthenticated,
    Unavailable,
    UnsupportedMedia,
)
from heimnetz_common.telemetry import current_trace
from heimnetz_common.tokens import Keys

MAX_ANSWER_BYTES = 8 * 1024 * 1024
_FAMILIES: Mapping[int, type[HeimnetzError]] = {
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    413: TooLarge,
    415: UnsupportedMedia,
    422: InvalidInput,
    429: TooMany,
    507: Full,
}


class ServiceClient:
    """One sibling service, called in our own name."""

    def __init__(
        self,
        base_url: str,
        *,
        audience: str,
        keys: Keys,
        tls: ssl.SSLContext | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._audience = audience
        self._keys = keys
        self._client = httpx.AsyncClient(
            base_url=base_url,
            verify=tls if tls is not None else False,
            timeout=httpx.Timeout(30, connect=5),
            transport=transport,
            follow_redirects=False,
            trust_env=False,
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def get(self, path: str, **params: str | int) -> Any:
        """The JSON document at `path`.

        Raises: NotFound, Unavailable and their siblings, by what the service answered.
        """
        return await self._json("GET", path, params=params)

    async def post(self, path: str, body: Any = None) -> Any:
        return await self._json("POST", path, content=orjson.dumps(body))

    async def put(self, path: str, body: Any = None) -> Any:
        return await self._json("PUT", path, content=orjson.dumps(body))

    async def delete(self, path: str) -> Any:
        return await self._json("DELETE", path)

    async def get_bytes(self, path: str, *, max_bytes: int) -> bytes:
        """Raises: TooLarge, and as `get`."""
        async with self.stream(path) as chunks:
            body = bytearray()
            async for chunk in chunks:
                body += chunk
                if len(body) > max_bytes:
                    raise TooLarge(f"{self._audience} sent more than {max_bytes} bytes")
            return bytes(body)

    @asynccontextmanager
    async def stream(self, path: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """The body at `path`, in pieces. Raises: as `get`."""
        try:
            async with self._client.stream("GET", path, headers=self._headers()) as response:
                if not response.is_success:
                    await response.aread()
                    raise _refusal(self._audience, response)
                yield response.aiter_bytes()
        except httpx.HTTPError as error:
            raise Unavailable(f"{self._audience} does not answer") from error

    async def check(self, path: str = "/readyz") -> None:
        """Raises: Unavailable."""
        await self._json("GET", path)

    async def _json(self, method: str, path: str, **options: Any) -> Any:
        headers = self._headers()
        if "content" in options:
            headers["content-type"] = "application/json"
        try:
            response = await self._client.request(method, path, headers=headers, **options)
        except httpx.HTTPError as error:
            raise Unavailable(f"{self._audience} does not answer") from error
        if not response.is_success:
            raise _refusal(self._audience, response)
        if not response.content:
            return None
        if len(response.content) > MAX_ANSWER_BYTES:
            raise TooLarge(f"{self._audience} sent more than {MAX_ANSWER_BYTES} bytes")
        return strictjson.loads(response.content)

    def _headers(self) -> dict[str, str]:
        headers = {"authorization": f"Bearer {self._keys.mint(self._audience)}"}
        trace = current_trace()
        if trace is not None:
            headers["traceparent"] = trace.traceparent
        return headers


def _refusal(audience: str, response: httpx.Response) -> HeimnetzError:
    try:
        problem = strictjson.loads(response.content[:65536])
        detail = str(problem.get("detail") or problem.get("title") or "")[:1000]
    except (InvalidInput, AttributeError):
        detail = ""
    family = _FAMILIES.get(response.status_code, Unavailable)
    return family(detail or f"{audience} answered {response.status_code}")
