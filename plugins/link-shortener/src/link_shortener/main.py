"""Short names for long addresses, kept in the plugin's own storage."""

import json
import re
import secrets
import threading
from typing import Any
from urllib.parse import urlsplit

from heimnetz_sdk.plugin import Context, Input, Output, Storage
from heimnetz_sdk.serving import Request, Response
from link_shortener.page import PAGE

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
# Paths of our own.
RESERVED = {"links", "healthz"}
MAX_URL_CHARACTERS = 2000
LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"


def run(input: Input, context: Context) -> Output:  # noqa: A002, ARG001
    context.serve(Links(context.storage).answer)
    return {}


class Links:
    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._lock = threading.Lock()

    def answer(self, request: Request) -> Response:
        match request.method, request.path.strip("/").split("/"):
            case "GET" | "HEAD", [""]:
                return Response(PAGE, headers=PAGE_HEADERS)
            case "GET", ["healthz"]:
                return Response({"ok": True})
            case "GET", ["links"]:
                return Response({"links": self._list()})
            case "POST", ["links"]:
                return self._add(request)
            case "DELETE", ["links", name]:
                return self._remove(name)
            case "GET" | "HEAD", [name]:
                return self._follow(name)
        return problem(404, "there is nothing here")

    def _list(self) -> list[dict[str, Any]]:
        names = [key.removeprefix("link/") for key in self._storage.keys("link/")]
        found = [(name, self._get(name)) for name in names]
        return [{"name": name, **link} for name, link in found if link is not None]

    def _get(self, name: str) -> dict[str, Any] | None:
        kept = self._storage.get(f"link/{name}") if NAME.fullmatch(name) else None
        link: dict[str, Any] | None = None if kept is None else json.loads(kept)
        return link

    def _add(self, request: Request) -> Response:
        # A page of another site cannot send this type without asking us first.
        if request.headers.get("content-type", "").partition(";")[0] != "application/json":
            return problem(415, "send application/json")
        try:
            wish = request.json()
            url = check_url(wish["url"])
            name = check_name(wish.get("name") or made_up())
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            return problem(422, str(error) or "send an object with url, and name if you like")
        with self._lock:
            if self._get(name) is not None:
                return problem(409, f"{name} is in use")
            try:
                self._storage.put(f"link/{name}", json.dumps({"url": url, "visits": 0}))
            except OSError:
                return problem(507, "there is no room for more links")
        return Response({"name": name, "url": url, "visits": 0}, 201)

    def _remove(self, name: str) -> Response:
        with self._lock:
            if self._get(name) is None:
                return problem(404, f"there is no link {name[:40]}")
            self._storage.delete(f"link/{name}")
        return Response(b"", 204)

    def _follow(self, name: str) -> Response:
        with self._lock:
            link = self._get(name)
            if link is None:
                return problem(404, f"there is no link {name[:40]}")
            link["visits"] += 1
            self._storage.put(f"link/{name}", json.dumps(link))
        return Response(b"", 302, {"Location": link["url"], "Cache-Control": "no-store"})


PAGE_HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": "default-src 'none'; script-src 'unsafe-inline'; "
    "style-src 'unsafe-inline'; connect-src 'self'; frame-ancestors 'none'",
}


def check_url(url: str) -> str:
    """Raises: ValueError."""
    if len(url) > MAX_URL_CHARACTERS:
        raise ValueError(f"an address has at most {MAX_URL_CHARACTERS} characters")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or not url.isascii():
        raise ValueError("an address begins with http:// or https://")
    if not url.isprintable() or " " in url:
        raise ValueError("an address has no spaces")
    return url


def check_name(name: str) -> str:
    """Raises: ValueError."""
    if not NAME.fullmatch(name) or name in RESERVED:
        raise ValueError("a name has 1 to 40 of a-z, 0-9 and -, and is not one of ours")
    return name


def made_up() -> str:
    return "".join(secrets.choice(LETTERS) for _ in range(6))


def problem(status: int, detail: str) -> Response:
    return Response({"detail": detail}, status)
