"""Files from a server that nobody here answers for: bounded, over HTTPS, never inside the house.

A name may lead to any address, and a server may send anywhere else (server-side request forgery).
Every address is looked at before it is connected to, and it is that address that is connected to,
so that a name cannot lead elsewhere a moment later.
"""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import httpx

from heimnetz_registry.catalogue_errors import (
    CatalogueAddressRefused,
    CatalogueAnswer,
    CatalogueCertificate,
    CatalogueRedirect,
    CatalogueTooMuch,
    CatalogueTooSlow,
    CatalogueUnreachable,
)

MAX_REDIRECTS = 3
_MAX_ADDRESSES = 4
_CONNECT_SECONDS = 5.0
_SILENCE_SECONDS = 10.0
_AT_ONCE = 2
_OK, _NOT_MODIFIED = 200, 304
_PORT = 443
# Behind each of these may be an address of the home: RFC 6052, 3056, 4380.
_TRANSLATED = tuple(
    ipaddress.ip_network(text) for text in ("64:ff9b::/96", "2002::/16", "2001::/32")
)

Resolve = Callable[[str, int], Awaitable[list[str]]]


@dataclass(frozen=True, slots=True)
class Source:
    """Where a catalogue is, as its owner says.

    `address` is where the host of `url` is to be found, instead of what its name leads to; `ca` is
    the PEM of the authority to trust, instead of the public ones; `token` goes to that host alone.
    """

    url: str
    address: str | None = None
    ca: str | None = None
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Fetched:
    data: bytes
    etag: str | None


class Fetcher:
    def __init__(self, resolve: Resolve | None = None) -> None:
        self._resolve = resolve or _look_up
        # What comes is held in memory.
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def get(
        self, source: Source, url: str, *, max_bytes: int, seconds: float, etag: str | None = None
    ) -> Fetched | None:
        """The file at `url`, which is the source's or beside it; None if it is that of `etag`.

        Raises: CatalogueUnreachable, CatalogueCertificate, CatalogueTooSlow, CatalogueTooMuch,
        CatalogueAddressRefused, CatalogueRedirect, CatalogueAnswer.
        """
        async with self._places:
            try:
                async with asyncio.timeout(seconds):
                    return await self._follow(source, httpx.URL(url), max_bytes, etag)
            except TimeoutError as error:
                raise CatalogueTooSlow(f"not all of it came within {seconds:.0f} s") from error

    async def _follow(
        self, source: Source, target: httpx.URL, max_bytes: int, etag: str | None
    ) -> Fetched | None:
        for _ in range(MAX_REDIRECTS + 1):
            found = await self._ask(source, target, max_bytes, etag)
            if not isinstance(found, httpx.URL):
                return found
            target = found
        raise CatalogueRedirect(f"it was sent on more than {MAX_REDIRECTS} times")

    async def _ask(
        self, source: Source, target: httpx.URL, max_bytes: int, etag: str | None
    ) -> Fetched | httpx.URL | None:
        """The file, where it sends instead, or None when it is the one that is known."""
        is_own = _origin(target) == _origin(httpx.URL(source.url))
        last: Exception | None = None
        for address in await self._addresses(source if is_own else None, target):
            try:
                return await _exchange(source, target, address, max_bytes, etag, is_own=is_own)
            except httpx.ConnectError as error:
                last = error
        if last is not None and _is_about_certificate(last):
            raise CatalogueCertificate(f"{target.host}: {last}"[:500]) from last
        raise CatalogueUnreachable(target.host) from last

    async def _addresses(self, own: Source | None, target: httpx.URL) -> list[str]:
        """Where to connect to. Raises: CatalogueAddressRefused, CatalogueUnreachable."""
        if own is not None and own.address is not None:
            return [own.address]
        literal = _literal(target.host)
        if literal is not None:
            # Whoever wrote the address meant it; where it only leads to, nobody said so.
            if own is None and not is_public(literal):
                raise CatalogueAddressRefused(target.host, target.host)
            return [target.host]
        try:
            found = await self._resolve(target.host, target.port or _PORT)
        except OSError as error:
            raise CatalogueUnreachable(target.host) from error
        for text in found:
            if not is_public(ipaddress.ip_address(text)):
                raise CatalogueAddressRefused(target.host, text)
        return found[:_MAX_ADDRESSES]


async def _exchange(
    source: Source,
    target: httpx.URL,
    address: str,
    max_bytes: int,
    etag: str | None,
    *,
    is_own: bool,
) -> Fetched | httpx.URL | None:
    headers = {
        "host": target.netloc.decode("ascii"),
        "accept-encoding": "identity",
        "user-agent": "heimnetz",
    }
    if etag is not None:
        headers["if-none-match"] = etag
    if is_own and source.token is not None:
        headers["authorization"] = f"Bearer {source.token}"
    timeout = httpx.Timeout(_SILENCE_SECONDS, connect=_CONNECT_SECONDS)
    try:
        async with (
            httpx.AsyncClient(verify=_trust(source), timeout=timeout, trust_env=False) as client,
            client.stream(
                "GET",
                target.copy_with(host=address),
                headers=headers,
                # The certificate is to be the name's, not the address's.
                extensions={"sni_hostname": target.host},
            ) as response,
        ):
            if response.status_code == _NOT_MODIFIED and etag is not None:
                return None
            if response.has_redirect_location:
                return _next(target, response.headers["location"])
            if response.status_code != _OK:
                raise CatalogueAnswer(f"{target.host} answered {response.status_code}")
            return Fetched(await _read(response, max_bytes), _etag(response))
    except httpx.ConnectError:
        raise
    except httpx.TimeoutException as error:
        raise CatalogueTooSlow(f"{target.host} said nothing for too long") from error
    except httpx.HTTPError as error:
        raise CatalogueUnreachable(target.host) from error


async def _read(response: httpx.Response, max_bytes: int) -> bytes:
    """As it came: nothing is decompressed. Raises: CatalogueTooMuch."""
    data = bytearray()
    async for piece in response.aiter_raw():
        data += piece
        if len(data) > max_bytes:
            raise CatalogueTooMuch(f"it sent more than {max_bytes} bytes")
    return bytes(data)


def _etag(response: httpx.Response) -> str | None:
    found = response.headers.get("etag")
    return found if found is not None and len(found) <= 200 and found.isascii() else None


def _next(target: httpx.URL, location: str) -> httpx.URL:
    """Raises: CatalogueRedirect."""
    try:
        found = target.join(location)
    except httpx.InvalidURL as error:
        raise CatalogueRedirect("it was sent on to what is no address") from error
    if found.scheme != "https" or not found.host or found.userinfo:
        raise CatalogueRedirect("it was sent on to what is no plain https address")
    return found


def _origin(url: httpx.URL) -> tuple[str, str, int]:
    return url.scheme, url.host, url.port or _PORT


def _trust(source: Source) -> ssl.SSLContext:
    if source.ca is None:
        return httpx.create_ssl_context(trust_env=False)
    context = ssl.create_default_context(cadata=source.ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether it is one host's on the internet, and no other way to one of the home."""
    plain = getattr(address, "ipv4_mapped", None) or address
    is_translated = any(plain.version == one.version and plain in one for one in _TRANSLATED)
    return plain.is_global and not (plain.is_multicast or plain.is_reserved or is_translated)


def _literal(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


async def _look_up(host: str, port: int) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def _is_about_certificate(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return True
        error = error.__cause__ or error.__context__
    return False
