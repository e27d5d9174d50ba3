"""The only module that imports httpx, so that another HTTP library would be one change."""

import json
import random
import re
import secrets
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import httpx

from heimnetz_sdk.errors import (
    HeimnetzError,
    Unavailable,
    UnexpectedAnswer,
    error_from,
)

IDEMPOTENT_METHODS = frozenset({"GET", "HEAD", "PUT", "DELETE"})  # RFC 9110, 9.2.2
CHUNK_BYTES = 64 * 1024
MAX_RETRY_AFTER_SECONDS = 10.0
MAX_PROBLEM_BYTES = 1024 * 1024

SentT = TypeVar("SentT")
Query = Mapping[str, str | int | Sequence[str] | None]


class Answer:
    """A finished HTTP exchange that was a success."""

    def __init__(self, response: httpx.Response) -> None:
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers
        self._response = response

    @property
    def text(self) -> str:
        return self._response.text

    @property
    def content(self) -> bytes:
        return self._response.content

    def json(self) -> Any:
        """Raises: UnexpectedAnswer."""
        try:
            return self._response.json()
        except ValueError:
            raise UnexpectedAnswer(
                f"{self._response.url} did not answer with JSON; is this Heimnetz's address?",
                status=self.status,
            ) from None


class Transport:
    """Authenticated requests below one base URL, with a trace of their own.

    Every request of one transport belongs to the same trace and is a span of it.
    """

    def __init__(
        self,
        base_url: str,
        *,
        token: str | None = None,
        ca_file: Path | None = None,
        timeout_seconds: float = 30.0,
        attempts: int = 4,
        sleep: Callable[[float], None] = time.sleep,
        wire: httpx.BaseTransport | None = None,
    ) -> None:
        if not re.match(r"https?://[^/\s]", base_url):
            raise UnexpectedAnswer(f"{base_url!r} is no address; try https://localhost:8443")
        self.trace_id = secrets.token_hex(16)
        self._attempts = attempts
        self._sleep = sleep
        headers = {"User-Agent": "heimnetz-sdk/0.1", "Accept": "application/json, */*;q=0.5"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        self._client = httpx.Client(
            base_url=base_url.rstrip("/"),
            headers=headers,
            timeout=httpx.Timeout(timeout_seconds, connect=10.0),
            verify=_trust(base_url, ca_file),
            transport=wire,
            trust_env=False,
        )

    def close(self) -> None:
        self._client.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        document: object = None,
        content: Callable[[], Iterable[bytes]] | None = None,
        form: Mapping[str, str] | None = None,
        uploads: Sequence[tuple[str, Path | bytes]] = (),
        headers: Mapping[str, str] | None = None,
        is_idempotent: bool | None = None,
        timeout_seconds: float | None = None,
    ) -> Answer:
        """Send and read the whole answer. A request that may be sent twice is retried.

        Raises: HeimnetzError, by the problem's type; Unavailable after the last attempt.
        """
        if is_idempotent is None:
            is_idempotent = method in IDEMPOTENT_METHODS

        def send() -> Answer:
            with ExitStack() as stack:
                request = self._build(
                    method,
                    path,
                    query=query,
                    document=document,
                    content=content,
                    form=form,
                    uploads=[(name, stack.enter_context(_opened(file))) for name, file in uploads],
                    headers=headers,
                    timeout_seconds=timeout_seconds,
                )
                response = self._send(request, stream=False)
                self._check(response)
                return Answer(response)

        return self._attempt(send, self._attempts if is_idempotent else 1)

    @contextmanager
    def stream(
        self,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        query: Query | None = None,
        timeout_seconds: float | None = None,
    ) -> Iterator["Stream"]:
        """GET whose answer is read piece by piece; only its beginning is retried."""

        def send() -> httpx.Response:
            request = self._build(
                "GET", path, headers=headers, query=query, timeout_seconds=timeout_seconds
            )
            response = self._send(request, stream=True)
            try:
                self._check(response)
            except HeimnetzError:
                response.close()
                raise
            return response

        response = self._attempt(send, self._attempts)
        try:
            yield Stream(response)
        finally:
            response.close()

    def _build(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        document: object = None,
        content: Callable[[], Iterable[bytes]] | None = None,
        form: Mapping[str, str] | None = None,
        uploads: Sequence[tuple[str, BinaryIO]] = (),
        headers: Mapping[str, str] | None = None,
        timeout_seconds: float | None = None,
    ) -> httpx.Request:
        span_id = secrets.token_hex(8)
        parts: list[tuple[str, Any]] = [
            (name, (None, value.encode(), "application/json"))
            for name, value in (form or {}).items()
        ]
        parts += [("file", (name, stream, "application/octet-stream")) for name, stream in uploads]
        return self._client.build_request(
            method,
            path,
            params={k: v for k, v in (query or {}).items() if v is not None} or None,
            json=document,
            content=content() if content is not None else None,
            files=parts or None,
            headers={"traceparent": f"00-{self.trace_id}-{span_id}-01", **(headers or {})},
            timeout=(
                httpx.USE_CLIENT_DEFAULT
                if timeout_seconds is None
                else httpx.Timeout(timeout_seconds, connect=10.0)
            ),
        )

    def _send(self, request: httpx.Request, *, stream: bool) -> httpx.Response:
        try:
            return self._client.send(request, stream=stream)
        except httpx.TransportError as error:
            raise _unreachable(request, error, self.trace_id) from error

    def _check(self, response: httpx.Response) -> None:
        if response.is_success:
            return
        if response.is_redirect:
            raise UnexpectedAnswer(
                f"{response.url} points to another place; is this Heimnetz's address?",
                status=response.status_code,
            )
        raise error_from(
            response.status_code,
            _problem(response),
            retry_after_seconds=_retry_after(response),
            trace_id=self.trace_id,
        )

    def _attempt(self, send: Callable[[], SentT], attempts: int) -> SentT:
        for attempt in range(attempts):
            try:
                return send()
            except Unavailable as error:
                if attempt + 1 == attempts:
                    raise
                # Full jitter keeps clients that failed together from coming back together.
                wait = random.uniform(0.1, 0.4 * 2**attempt)  # noqa: S311 - no secret
                if error.retry_after_seconds is not None:
                    wait = min(error.retry_after_seconds, MAX_RETRY_AFTER_SECONDS)
                self._sleep(wait)
        raise AssertionError("unreachable: the last attempt returns or raises")


class Stream:
    """An answer under way."""

    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        self.headers: Mapping[str, str] = response.headers

    def chunks(self) -> Iterator[bytes]:
        """Raises: Unavailable when the connection breaks."""
        try:
            yield from self._response.iter_bytes(CHUNK_BYTES)
        except httpx.TransportError as error:
            raise Unavailable("the connection broke in the middle of the answer") from error

    def lines(self) -> Iterator[str]:
        """Raises: Unavailable when the connection breaks."""
        try:
            yield from self._response.iter_lines()
        except httpx.TransportError as error:
            raise Unavailable("the connection broke in the middle of the answer") from error


def _opened(file: Path | bytes) -> BinaryIO:
    return BytesIO(file) if isinstance(file, bytes) else file.open("rb")


def read_chunks(file: Path) -> Callable[[], Iterator[bytes]]:
    """A body that can be sent again, read piece by piece."""

    def chunks() -> Iterator[bytes]:
        with file.open("rb") as stream:
            while chunk := stream.read(CHUNK_BYTES):
                yield chunk

    return chunks


def _trust(base_url: str, ca_file: Path | None) -> ssl.SSLContext | bool:
    if not base_url.startswith("https:"):
        return False
    try:
        context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except (OSError, ssl.SSLError) as error:
        raise UnexpectedAnswer(f"{ca_file} is no readable CA certificate: {error}") from error
    return context


def _unreachable(request: httpx.Request, error: httpx.TransportError, trace_id: str) -> Unavailable:
    address = f"{request.url.scheme}://{request.url.netloc.decode('ascii', 'replace')}"
    if isinstance(error, httpx.ConnectTimeout | httpx.ConnectError):
        why = f"cannot reach {address}: {error}"
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            why = (
                f"{address} shows a certificate that is not trusted ({error}); "
                "pass the gateway's CA with --ca-file or HEIMNETZ_CA_FILE"
            )
    elif isinstance(error, httpx.TimeoutException):
        why = f"{address} did not answer in time"
    else:
        why = f"the connection to {address} broke: {error or type(error).__name__}"
    return Unavailable(why, title="Not reachable", trace_id=trace_id)


def _problem(response: httpx.Response) -> Mapping[str, Any] | None:
    try:
        body = response.read()[:MAX_PROBLEM_BYTES]
        document = json.loads(body)
    except (ValueError, httpx.TransportError):
        return None
    return document if isinstance(document, dict) else None


def _retry_after(response: httpx.Response) -> float | None:
    value = response.headers.get("Retry-After", "")
    return float(value) if value.isdigit() else None
