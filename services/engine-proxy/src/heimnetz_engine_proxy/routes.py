"""Which requests exist at all: method, path and query, matched whole and built anew."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

from heimnetz_engine_proxy.errors import Refused

OWNER = "heimnetz.owner"
OWNER_VALUE = "sandbox"

_VERSION = r"(?:/v1\.\d{1,2})?"
_ID = r"(?P<container>[0-9a-f]{64})"
_SIGNAL = re.compile(r"SIGKILL|SIGTERM|KILL|TERM|9|15")
_NAME = re.compile(r"heimnetz-[a-z0-9][a-z0-9-]{0,80}")
_SECONDS = re.compile(r"\d{1,3}")
_FLAG = re.compile(r"0|1|true|false|True|False")
_CONDITION = re.compile(r"not-running|next-exit|removed")


@dataclass(frozen=True)
class Route:
    name: str
    method: str
    path: re.Pattern[str]
    query: Mapping[str, re.Pattern[str] | None]
    has_body: bool = False


def _route(
    name: str,
    method: str,
    path: str,
    query: Mapping[str, re.Pattern[str] | None] | None = None,
    *,
    has_body: bool = False,
) -> Route:
    return Route(name, method, re.compile(_VERSION + path), query or {}, has_body)


# A query value of None is judged by a function of its own below.
ALL = (
    _route("ping", "GET", "/_ping"),
    _route("version", "GET", "/version"),
    _route("image", "GET", r"/images/(?P<image>[a-z0-9][a-z0-9._:/-]{0,200})/json"),
    _route(
        "list",
        "GET",
        "/containers/json",
        {"all": _FLAG, "filters": None, "limit": re.compile(r"-?\d{1,4}"), "size": _FLAG}
        | {"trunc_cmd": _FLAG},
    ),
    _route("create", "POST", "/containers/create", {"name": _NAME}, has_body=True),
    _route("inspect", "GET", f"/containers/{_ID}/json"),
    _route("start", "POST", f"/containers/{_ID}/start"),
    _route("stop", "POST", f"/containers/{_ID}/stop", {"t": _SECONDS}),
    _route("kill", "POST", f"/containers/{_ID}/kill", {"signal": _SIGNAL}),
    _route("wait", "POST", f"/containers/{_ID}/wait", {"condition": _CONDITION}),
    _route("remove", "DELETE", f"/containers/{_ID}", {"v": _FLAG, "link": None, "force": _FLAG}),
)


@dataclass(frozen=True)
class Request:
    route: Route
    path: str
    query: dict[str, str]
    container: str | None
    image: str | None

    @property
    def target(self) -> str:
        return self.path + ("?" + urlencode(self.query) if self.query else "")


def match(method: str, target: str) -> Request:
    """Raises: Refused."""
    path, _, query = target.partition("?")
    # Percent signs never occur in the paths we serve, so nothing is decoded, twice or at all.
    if not target.isascii() or re.search(r"[%\\#;]|//|/\.", path) or not path.startswith("/"):
        raise Refused("path", "the path is not a plain one")
    for route in ALL:
        found = route.path.fullmatch(path)
        if found is not None and route.method == method:
            groups = found.groupdict()
            return Request(
                route, path, _query(route, query), groups.get("container"), groups.get("image")
            )
    raise Refused("path", "no plugin container needs this request")


def _query(route: Route, text: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(text, strict_parsing=bool(text), keep_blank_values=True, max_num_fields=8)
    except ValueError as error:
        raise Refused("query", "the query cannot be read") from error
    query: dict[str, str] = {}
    for key, value in pairs:
        if key in query or key not in route.query:
            raise Refused("query", f"query parameter {key!r} is repeated or not known")
        query[key] = _value(key, value, route.query[key])
    if route.name == "list" and "filters" not in query:
        raise Refused("foreign-container", "only containers of the sandbox may be listed")
    return query


def _value(key: str, value: str, pattern: re.Pattern[str] | None) -> str:
    if key == "filters":
        return _filters(value)
    if key == "link" and value in ("0", "False", "false"):
        return value
    if pattern is None or not pattern.fullmatch(value):
        raise Refused("query", f"query parameter {key!r} has a value that is not allowed")
    return value


def _filters(text: str) -> str:
    try:
        filters = json.loads(text)
        labels = filters["label"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Refused("query", "the filters cannot be read") from error
    known = set(filters) <= {"label", "status"}
    if not known or not isinstance(labels, list) or f"{OWNER}={OWNER_VALUE}" not in labels:
        raise Refused("foreign-container", "only containers of the sandbox may be listed")
    return json.dumps(filters)
