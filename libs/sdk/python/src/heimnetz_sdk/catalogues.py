"""Where else plugins come from, and the index that is offered to others."""

from collections.abc import Iterable, Iterator
from urllib.parse import quote

from heimnetz_sdk._transport import Transport
from heimnetz_sdk.models import (
    Catalogue,
    CataloguePreview,
    Page,
    Release,
    Version,
    decode,
    decode_page,
)

BASE = "/api/registry/v1"
# The registry gives another one's server up to 30 s for an index, 120 s for a package.
INDEX_TIMEOUT_SECONDS = 45.0
MIRROR_TIMEOUT_SECONDS = 150.0


class Catalogues:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def preview(
        self,
        url: str,
        *,
        address: str | None = None,
        ca: str | None = None,
        token: str | None = None,
    ) -> CataloguePreview:
        """By which key the index at `url` is signed now; nothing is kept. Raises: Conflict."""
        answer = self._transport.request(
            "POST",
            f"{BASE}/catalogues/preview",
            document=_source(url, address, ca, token),
            timeout_seconds=INDEX_TIMEOUT_SECONDS,
        )
        return decode(CataloguePreview, answer.json())

    def add(
        self,
        name: str,
        url: str,
        key_id: str,
        *,
        address: str | None = None,
        ca: str | None = None,
        token: str | None = None,
    ) -> Catalogue:
        """Its index has to be signed by `key_id`, now and ever. Raises: Conflict, InvalidInput."""
        document = {"name": name, "key_id": key_id, **_source(url, address, ca, token)}
        answer = self._transport.request(
            "POST",
            f"{BASE}/catalogues",
            document=document,
            timeout_seconds=INDEX_TIMEOUT_SECONDS,
        )
        return decode(Catalogue, answer.json())

    def list_all(self) -> Page[Catalogue]:
        return decode_page(Catalogue, self._transport.request("GET", f"{BASE}/catalogues").json())

    def remove(self, name: str) -> None:
        self._transport.request("DELETE", _catalogue(name))

    def refresh(self, name: str) -> Catalogue:
        """Read its index now. Raises: Conflict, when it is not to be believed."""
        answer = self._transport.request(
            "POST", f"{_catalogue(name)}/refresh", timeout_seconds=INDEX_TIMEOUT_SECONDS
        )
        return decode(Catalogue, answer.json())

    def iterate_releases(self, name: str) -> Iterator[Release]:
        """All that it has, by plugin."""
        cursor: str | None = None
        while True:
            query = {"limit": 200, "cursor": cursor}
            answer = self._transport.request("GET", f"{_catalogue(name)}/releases", query=query)
            page = decode_page(Release, answer.json())
            yield from page.items
            cursor = page.next_cursor
            if cursor is None:
                return

    def mirror(self, name: str, plugin: str, version: str) -> tuple[Version, bool]:
        """Bring a version here, to be audited; True with it if it was not there before.

        Asking again changes nothing, so a lost connection is retried.
        Raises: NotFound, Conflict, Forbidden.
        """
        answer = self._transport.request(
            "POST",
            f"{_catalogue(name)}/mirror",
            document={"plugin": plugin, "version": version},
            is_idempotent=True,
            timeout_seconds=MIRROR_TIMEOUT_SECONDS,
        )
        return decode(Version, answer.json()), answer.status == 201

    def get_own_index(self) -> bytes:
        """What this registry offers to others, in its envelope."""
        with self._transport.stream(f"{BASE}/catalogue/index.json") as stream:
            return b"".join(stream.chunks())

    def download_own(self, sha256: str) -> Iterable[bytes]:
        """A package of that index."""
        with self._transport.stream(f"{BASE}/catalogue/packages/{sha256}.tar.gz") as stream:
            yield from stream.chunks()


def _source(
    url: str, address: str | None, ca: str | None, token: str | None
) -> dict[str, str | None]:
    return {"url": url, "address": address, "ca": ca, "token": token}


def _catalogue(name: str) -> str:
    return f"{BASE}/catalogues/{quote(name, safe='')}"
