"""Which requests exist at all: method, path and query, matched whole and built anew."""

import json
import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

OWNER = "heimnetz.owner"
OWNER_VALUE = "sandbox"


class Refused(Exception):
    """What the rules do not allow; `rule` is from a small closed set and labels the counter."""

    def __init__(self, rule: str, detail: str, status: int = 403) -> None:
        super().__init__(detail)
        self.rule, self.detail, self.status = rule, detail, status


_FLAG = r"0|1|true|false|True|False"
_ONE = r"/containers/(?P<container>[0-9a-f]{64})"
_FILTERS = "filters"

# Method and path, and the query parameters with what each may be.
ALL: dict[str, tuple[str, str, dict[str, str]]] = {
    "ping": ("GET", "/_ping", {}),
    "version": ("GET", "/version", {}),
    "info": ("GET", "/info", {}),
    "image": ("GET", r"/images/(?P<image>[a-z0-9][a-z0-9._:/-]{0,200})/json", {}),
    "list": (
        "GET",
        "/containers/json",
        {"all": _FLAG, "limit": r"-?\d{1,4}", "size": "0", "trunc_cmd": "0", "filters": _FILTERS},
    ),
    "create": ("POST", "/containers/create", {"name": r"heimnetz-[a-z0-9][a-z0-9-]{0,80}"}),
    "inspect": ("GET", f"{_ONE}/json", {}),
    "start": ("POST", f"{_ONE}/start", {}),
    "stop": ("POST", f"{_ONE}/stop", {"t": r"\d{1,3}"}),
    "kill": ("POST", f"{_ONE}/kill", {"signal": "(SIG)?(KILL|TERM)|9|15"}),
    "wait": ("POST", f"{_ONE}/wait", {"condition": "not-running|next-exit|removed"}),
    "remove": ("DELETE", _ONE, {"v": _FLAG, "link": "0|false|False", "force": _FLAG}),
}


@dataclass(frozen=True)
class Request:
    name: str
    method: str
    target: str
    container: str | None
    image: str | None


def match(method: str, target: str) -> Request:
    """Raises: Refused."""
    path, _, query = target.partition("?")
    # Percent signs never occur in the paths we serve, so nothing is decoded, twice or at all.
    if not target.isascii() or re.search(r"[%\\#;]|//|/\.", path):
        raise Refused("path", "the path is not a plain one")
    for name, (wanted, pattern, parameters) in ALL.items():
        found = re.fullmatch(rf"(?:/v1\.\d{{1,2}})?{pattern}", path)
        if found is not None and wanted == method:
            asked = _query(name, parameters, query)
            whole = f"{path}?{urlencode(asked)}" if asked else path
            groups = found.groupdict()
            return Request(name, method, whole, groups.get("container"), groups.get("image"))
    raise Refused("path", "no plugin container needs this request")


def _query(name: str, parameters: dict[str, str], text: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(text, strict_parsing=bool(text), keep_blank_values=True, max_num_fields=8)
        query = dict(pairs)
        if len(query) != len(pairs):
            raise ValueError("repeated")
        if name == "list":
            query[_FILTERS] = _filters(json.loads(query.get(_FILTERS, "{}")))
    except (ValueError, RecursionError) as error:
        raise Refused("query", "the query cannot be read") from error
    for key, value in query.items():
        if key != _FILTERS and not re.fullmatch(parameters.get(key, ""), value):
            raise Refused("query", f"query parameter {key!r} is not known or has a wrong value")
    return query


def _filters(filters: object) -> str:
    labels = filters.get("label") if isinstance(filters, dict) else None
    if not isinstance(labels, list) or f"{OWNER}={OWNER_VALUE}" not in labels:
        raise Refused("foreign-container", "only containers of the sandbox may be listed")
    # Labels alone are passed on; the engine joins them with "and".
    return json.dumps({"label": [str(label) for label in labels]})
