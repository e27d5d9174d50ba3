import asyncio
from collections.abc import AsyncIterator, MutableMapping
from typing import Annotated, Any

import pytest
from fastapi import Depends
from httpx import AsyncClient

from heimnetz_common import routing, web
from heimnetz_common.auth import EVERYONE, PUBLIC, require, require_service
from heimnetz_common.errors import Conflict, Full, TooMany, Unavailable
from heimnetz_common.service import Service
from heimnetz_common.testing import KeyRing, running
from heimnetz_common.tokens import Principal


class Lamp(routing.StrictBody):
    name: str
    watts: int = 1


class LampExists(Conflict):
    kind = "lamp-exists"
    title = "Lamp exists"


FAILURES = {
    "conflict": LampExists("the hall\nhas one"),
    "unavailable": Unavailable("later", retry_after_seconds=7),
    "many": TooMany("slower"),
    "full": Full(),
    "bug": RuntimeError("postgresql://user:password@host"),
}


def lamps() -> web.APIRouter:
    routes = routing.router(prefix="/v1/lamps")

    @routes.post("", dependencies=[Depends(PUBLIC)])
    async def add(lamp: Lamp) -> Lamp:
        return lamp

    @routes.get("/failures/{name}", dependencies=[Depends(PUBLIC)])
    async def fail(name: str) -> None:
        raise FAILURES[name]

    @routes.get("/mine")
    async def mine(who: Annotated[Principal, Depends(EVERYONE)]) -> str:
        return who.subject

    @routes.get("/owner", dependencies=[Depends(require())])
    async def owner() -> str:
        return "yes"

    @routes.get("/sibling", dependencies=[Depends(require_service("auditor"))])
    async def sibling() -> str:
        return "yes"

    return routes


@pytest.fixture
async def client(key_ring: KeyRing) -> AsyncIterator[AsyncClient]:
    service = Service("registry", keys=key_ring.keys("registry"))
    app = web.create_app(service, [lamps()], title="Lamps", max_body_bytes=10_000)
    async with running(app) as client:
        yield client


@pytest.mark.parametrize(
    "body",
    [
        b'{"name": "a", "watts": NaN}',
        b'{"name": "a", "name": "b"}',
        b'{"name": "a\\u0000"}',
        b'{"name": "\\ud800"}',
        b'{"name": "a", "watts": 1e400}',
        b'{"name": "a", "watts": 9223372036854775808}',
        b'{"name": "a", "watts": "1"}',
        b'{"name": "a", "colour": "red"}',
        b"[" * 5000,
        b"\xef\xbb\xbf{}",
        b"\xff\xfe{\x00}\x00",
        b"",
        b"null",
    ],
)
async def test_a_body_that_is_not_what_was_asked_for_is_422(
    client: AsyncClient, body: bytes
) -> None:
    answer = await client.post(
        "/v1/lamps", content=body, headers={"content-type": "application/json"}
    )

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


async def test_mistakes_are_pointed_at(client: AsyncClient) -> None:
    answer = await client.post("/v1/lamps", json={"name": 1, "colour": "red"})

    assert {item["pointer"] for item in answer.json()["errors"]} == {"/body/name", "/body/colour"}


@pytest.mark.parametrize(
    ("failure", "status", "kind"),
    [
        ("conflict", 409, "lamp-exists"),
        ("unavailable", 503, "unavailable"),
        ("many", 429, "too-many"),
        ("full", 507, "full"),
        ("bug", 500, "internal"),
    ],
)
async def test_every_failure_is_a_problem_document(
    client: AsyncClient, failure: str, status: int, kind: str
) -> None:
    answer = await client.get(f"/v1/lamps/failures/{failure}")

    assert answer.status_code == status
    assert answer.json()["type"] == f"https://heimnetz.example/problems/{kind}"


async def test_an_unexpected_failure_tells_nothing(client: AsyncClient) -> None:
    answer = await client.get("/v1/lamps/failures/bug")

    assert "password" not in answer.text


async def test_control_characters_in_a_detail_are_made_visible(client: AsyncClient) -> None:
    answer = await client.get("/v1/lamps/failures/conflict")

    assert answer.json()["detail"] == r"the hall\nhas one"


async def test_later_says_when(client: AsyncClient) -> None:
    answer = await client.get("/v1/lamps/failures/unavailable")

    assert answer.headers["retry-after"] == "7"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("PUT", "/healthz", 405),
        ("GET", "/v1/lamps/%ff", 404),
        ("GET", "/v1/lamps/a%00b", 404),
        ("GET", "/v1/lamps/failures/full?x=%00", 422),
        ("GET", "/v1/lamps?" + "x" * 9000, 414),
    ],
)
async def test_a_wrong_target_is_a_problem_document(
    client: AsyncClient, method: str, path: str, status: int
) -> None:
    answer = await client.request(method, path)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_body_over_the_cap_is_413(client: AsyncClient) -> None:
    answer = await client.post("/v1/lamps", content=b"x" * 10_001)

    assert answer.status_code == 413


async def test_a_body_of_unknown_length_is_cut_off_at_the_cap(client: AsyncClient) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" " * 1000

    answer = await client.post(
        "/v1/lamps", content=endless(), headers={"content-type": "application/json"}
    )

    assert answer.status_code == 413


async def test_another_content_type_is_415(client: AsyncClient) -> None:
    answer = await client.post(
        "/v1/lamps", content=b"{}", headers={"content-type": "application/xml"}
    )

    assert answer.status_code == 415


async def test_without_a_token_a_route_is_closed(client: AsyncClient) -> None:
    answer = await client.get("/v1/lamps/mine")

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("path", "role", "status"),
    [
        ("/v1/lamps/mine", "viewer", 200),
        ("/v1/lamps/owner", "operator", 403),
        ("/v1/lamps/owner", "owner", 200),
        ("/v1/lamps/sibling", "owner", 403),
    ],
)
async def test_a_role_opens_what_its_rule_says(
    client: AsyncClient, key_ring: KeyRing, path: str, role: str, status: int
) -> None:
    answer = await client.get(path, headers=key_ring.user("registry", role))

    assert answer.status_code == status


@pytest.mark.parametrize(("caller", "status"), [("auditor", 200), ("monitor", 403)])
async def test_a_service_opens_what_names_it(
    client: AsyncClient, key_ring: KeyRing, caller: str, status: int
) -> None:
    answer = await client.get("/v1/lamps/sibling", headers=key_ring.service("registry", caller))

    assert answer.status_code == status


async def test_a_trace_goes_on(client: AsyncClient) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"

    answer = await client.get(
        "/healthz", headers={"traceparent": f"00-{trace}-b7ad6b7169203331-01"}
    )

    assert answer.headers["traceparent"].split("-")[1] == trace


async def test_an_unknown_path_makes_no_new_series(client: AsyncClient) -> None:
    await client.get("/made-up-by-an-attacker")

    metrics = (await client.get("/metrics")).text

    assert 'route="unmatched"' in metrics
    assert "made-up" not in metrics


async def test_a_service_that_cannot_serve_says_why(key_ring: KeyRing) -> None:
    async def broken() -> None:
        raise Unavailable("the lamp is dark")

    service = Service("registry", keys=key_ring.keys("registry"))
    service.checks["lamp"] = broken
    async with running(web.create_app(service, [], title="Lamps")) as client:
        answer = await client.get("/readyz")

    assert answer.status_code == 503
    assert answer.json()["detail"] == "lamp: the lamp is dark"


async def test_a_header_that_is_too_large_is_431(client: AsyncClient) -> None:
    answer = await client.get("/healthz", headers={"x-padding": "x" * 33_000})

    assert answer.status_code == 431
    assert answer.json()["type"].endswith("/header-too-large")


@pytest.mark.parametrize("accept", ["text/html", "application/json;q=0", "image/*, text/plain"])
async def test_a_client_that_takes_no_json_is_told_406(client: AsyncClient, accept: str) -> None:
    answer = await client.get("/healthz", headers={"accept": accept})

    assert answer.status_code == 406


@pytest.mark.parametrize("accept", ["*/*", "application/*;q=0.1", "text/html, application/json"])
async def test_a_client_that_takes_json_gets_it(client: AsyncClient, accept: str) -> None:
    assert (await client.get("/healthz", headers={"accept": accept})).status_code == 200


async def test_a_body_that_never_comes_is_408(key_ring: KeyRing) -> None:
    """Row 68: the sender announces a body and stays silent."""
    service = Service("registry", keys=key_ring.keys("registry"))
    app = web.create_app(service, [lamps()], title="Lamps")
    sent: list[dict[str, Any]] = []

    async def silence() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    async def keep(message: MutableMapping[str, Any]) -> None:
        sent.append(dict(message))

    guard = web.Guard(app, max_body_bytes=1000, patience_seconds=0.05)
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/lamps",
        "raw_path": b"/v1/lamps",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json"), (b"content-length", b"10")],
        "http_version": "1.1",
        "scheme": "http",
        "server": ("test", 80),
        "app": app,
    }

    await guard(scope, silence, keep)

    assert [m["status"] for m in sent if m["type"] == "http.response.start"] == [408]
