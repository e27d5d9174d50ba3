"""Every caller at every route: who gets in is what docs/reference/access.md says, cell by cell."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import generate
import pytest
from fastapi import FastAPI, Request
from fastapi.routing import APIRoute, iter_route_contexts
from httpx import ASGITransport, AsyncClient

from heimnetz_common.auth import ROLES, Rule
from heimnetz_common.errors import Forbidden, Unauthenticated
from heimnetz_common.testing import SERVICES, KeyRing

TABLE = generate.ROOT / "docs" / "reference" / "access.md"
NOBODY = "nobody"
CALLERS = (*ROLES, NOBODY, *(f"service {name}" for name in SERVICES))

# Said a second time, by hand: whoever opens one of these has to come here as well.
OPEN_TO_NOBODY = {
    "GET /healthz",
    "GET /readyz",
    "GET /metrics",
    "POST /v1/setup",  # asks for the set-up token
    "POST /v1/sessions",  # asks for a password
    "GET /v1/auth/{audience}",  # the gateway's question: whose token is this?
    "POST /v1/alertmanager",  # asks for the webhook's token
}
SERVICES_THAT_CHANGE_SOMETHING = {
    ("POST /v1/trials", "service auditor"),
    ("POST /v1/services/{plugin}/recycles", "service monitor"),
    ("POST /v1/services/{plugin}/restarts", "service monitor"),
    ("POST /v1/services/{plugin}/cache-drops", "service monitor"),
    ("PUT /v1/plugins/{plugin}/memory-limit", "service monitor"),
    ("POST /v1/installations/{plugin}/rollback", "service monitor"),
    ("POST /v1/plugins/{plugin}/versions/{version}/state", "service monitor"),
}
IN_CLEAR = "GET /v1/installations/{plugin}/configuration"


class Cell(NamedTuple):
    service: str
    route: str
    caller: str


def committed() -> dict[Cell, bool]:
    cells: dict[Cell, bool] = {}
    service, header = "", [""]
    for line in TABLE.read_text("utf-8").splitlines():
        if line.startswith("## "):
            service = line.removeprefix("## ")
        elif line.startswith("| route"):
            header = [cell.strip() for cell in line.strip("|").split("|")]
        elif line.startswith("| `"):
            route, *marks = [cell.strip() for cell in line.strip("|").split("|")]
            for caller, mark in zip(header[1:], marks, strict=True):
                cells[Cell(service, route.strip("`"), caller)] = {"yes": True, "-": False}[mark]
    return cells


EXPECTED = committed()


@pytest.fixture
def ring(tmp_path: Path) -> KeyRing:
    return KeyRing(tmp_path)


def headers(ring: KeyRing, service: str) -> dict[str, dict[str, str]]:
    """What each caller shows at the service's door."""
    people = {role: ring.user(service, role) for role in ROLES}
    siblings = {f"service {name}": ring.service(service, name) for name in SERVICES}
    return {**people, NOBODY: {}, **siblings}


def doors(app: FastAPI) -> Iterator[tuple[str, str, Rule]]:
    """Method, path and rule of each route."""
    for route, (rule, *_) in generate.routes(app):
        for method in sorted(route.methods or ()):
            yield method, str(route.path), rule


async def lets_in(app: FastAPI, rule: Rule, given: Mapping[str, str]) -> bool:
    """What the route's own dependency says to a request with these headers."""
    raw = [(name.encode(), value.encode()) for name, value in given.items()]
    try:
        await rule(Request({"type": "http", "headers": raw, "app": app}))
    except (Forbidden, Unauthenticated):
        return False
    return True


def test_the_table_has_every_route_and_every_caller(ring: KeyRing, tmp_path: Path) -> None:
    wanted = {
        Cell(service, f"{method} {path}", caller)
        for service in SERVICES
        for method, path, _ in doors(generate.application(service, tmp_path, ring))
        for caller in CALLERS
    }

    assert EXPECTED.keys() == wanted


@pytest.mark.parametrize("service", SERVICES)
async def test_each_caller_passes_the_doors_that_the_table_says_and_no_other(
    service: str, ring: KeyRing, tmp_path: Path
) -> None:
    app = generate.application(service, tmp_path, ring)

    found = {
        Cell(service, f"{method} {path}", caller): await lets_in(app, rule, shown)
        for caller, shown in headers(ring, service).items()
        for method, path, rule in doors(app)
    }

    assert {cell for cell in found if found[cell] != EXPECTED[cell]} == set()


@pytest.mark.parametrize("service", SERVICES)
async def test_a_refused_caller_gets_a_refusal_from_the_whole_application(
    service: str, ring: KeyRing, tmp_path: Path
) -> None:
    app = generate.application(service, tmp_path, ring)
    refusals = {}

    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        for caller, shown in headers(ring, service).items():
            for method, path, _ in doors(app):
                cell = Cell(service, f"{method} {path}", caller)
                if not EXPECTED[cell]:
                    target = re.sub(r"\{[^}]*\}", "x", path)
                    answer = await client.request(method, target, headers=shown)
                    refusals[cell] = answer.status_code

    assert refusals
    assert {
        cell: status
        for cell, status in refusals.items()
        if status != (401 if cell.caller == NOBODY else 403)
    } == {}


@pytest.mark.parametrize("service", SERVICES)
def test_nothing_answers_that_has_no_rule(service: str, ring: KeyRing, tmp_path: Path) -> None:
    app = generate.application(service, tmp_path, ring)
    without_rules = {
        (type(route.original_route).__name__, str(route.path))
        for route in iter_route_contexts(app.routes)
        if not isinstance(route.original_route, APIRoute)
    }

    assert without_rules == {("Route", "/openapi.json")}


async def test_a_word_for_one_service_opens_no_door_of_another(
    ring: KeyRing, tmp_path: Path
) -> None:
    app = generate.application("registry", tmp_path, ring)
    elsewhere = headers(ring, "sandbox")

    passed = [
        (caller, method, path)
        for caller, shown in elsewhere.items()
        for method, path, rule in doors(app)
        if not rule.is_public and await lets_in(app, rule, shown)
    ]

    assert passed == []


def allowed(**wanted: Any) -> set[Cell]:
    return {
        cell
        for cell, is_allowed in EXPECTED.items()
        if is_allowed and all(getattr(cell, name) == value for name, value in wanted.items())
    }


def test_nobody_gets_in_but_where_a_token_cannot_be_had_yet() -> None:
    assert {cell.route for cell in allowed(caller=NOBODY)} == OPEN_TO_NOBODY


def test_a_viewer_changes_nothing() -> None:
    routes = {cell.route for cell in allowed(caller="viewer")} - OPEN_TO_NOBODY

    assert {route for route in routes if not route.startswith("GET ")} == set()


def test_services_read_and_change_nothing_but_by_name() -> None:
    changing = {
        (cell.route, cell.caller)
        for cell in allowed()
        if cell.caller.startswith("service ")
        and not cell.route.startswith("GET ")
        and cell.route not in OPEN_TO_NOBODY
    }

    assert changing == SERVICES_THAT_CHANGE_SOMETHING


def test_secrets_in_clear_are_for_the_sandbox_alone() -> None:
    assert {cell.caller for cell in allowed(route=IN_CLEAR)} == {"service sandbox"}


def test_the_owner_may_do_what_any_role_may() -> None:
    by_roles = {(cell.service, cell.route) for cell in allowed() if cell.caller in ROLES}

    assert {(cell.service, cell.route) for cell in allowed(caller="owner")} == by_roles
