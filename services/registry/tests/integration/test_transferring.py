"""An installation goes out as a file and comes in again; its secrets only under a passphrase."""

from typing import Any

import pytest
from httpx import AsyncClient, Response

INSTALLATION = "/v1/installations/energy-report"
NETWORK, STORAGE = "network:api.example.org:443", "storage:1048576"
PASSPHRASE = "correct horse battery"
CONFIGURATION = {"price": 0.1, "password": "sesame", "mail": {"token": "deep"}}


def kind(response: Any) -> str:
    return str(response.json()["type"]).rpartition("/")[2]


@pytest.fixture
def install(client: AsyncClient, role: Any) -> Any:
    async def put(**more: Any) -> Response:
        wish = {"version": "1.0.0", "grants": [NETWORK], "configuration": CONFIGURATION, **more}
        return await client.put(INSTALLATION, json=wish, headers=role("operator"))

    return put


@pytest.fixture
async def installed(client: AsyncClient, role: Any, publish: Any, audit: Any, install: Any) -> None:
    sha256 = (await publish()).json()["sha256"]
    await audit("approve", sha256=sha256)
    assert (await install()).status_code == 201
    policy = {"update_policy": "safe"}
    await client.put(f"{INSTALLATION}/update-policy", json=policy, headers=role("operator"))


@pytest.fixture
def export(client: AsyncClient, role: Any) -> Any:
    async def post(by: str = "owner", **body: Any) -> Response:
        return await client.post(f"{INSTALLATION}/export", json=body, headers=role(by))

    return post


@pytest.fixture
def bring(client: AsyncClient, role: Any) -> Any:
    async def post(file: Any, plugin: str = "energy-report", **more: Any) -> Response:
        path = f"/v1/installations/{plugin}/import"
        return await client.post(path, json={"file": file, **more}, headers=role("operator"))

    return post


@pytest.fixture
def remove(client: AsyncClient, role: Any) -> Any:
    return lambda: client.delete(INSTALLATION, headers=role("operator"))


@pytest.mark.usefixtures("installed")
async def test_what_was_exported_comes_back_whole_with_its_passphrase(
    client: AsyncClient, role: Any, sibling: Any, export: Any, bring: Any, remove: Any
) -> None:
    made = await export(passphrase=PASSPHRASE)
    await remove()

    done = await bring(made.json(), passphrase=PASSPHRASE)

    assert done.status_code == 201, done.text
    found = await client.get(f"{INSTALLATION}/configuration", headers=sibling("sandbox"))
    assert found.json()["configuration"] == CONFIGURATION
    assert (done.json()["grants"], done.json()["update_policy"]) == ([NETWORK], "safe")
    entries = (await client.get("/v1/trail", headers=role("owner"))).json()["items"]
    actions = [entry["action"] for entry in entries[:4]]
    assert actions == [
        "installation.policy_changed",
        "installation.created",
        "installation.removed",
        "installation.exported",
    ]


@pytest.mark.usefixtures("installed")
async def test_no_secret_is_in_a_file_in_clear(export: Any, client: AsyncClient, role: Any) -> None:
    for body in ({}, {"passphrase": PASSPHRASE}):
        made = await export(**body)

        assert made.status_code == 200, made.text
        assert not {"sesame", "deep"} & set(made.text.split('"'))
        assert made.json()["configuration"]["password"] == "***"
        assert (made.json()["sealed"] is None) == (body == {})
        assert made.headers["cache-control"] == "no-store"
    assert (await export(by="operator")).status_code == 403
    assert (await export(passphrase="short")).status_code == 422


@pytest.mark.usefixtures("installed")
async def test_a_file_without_secrets_keeps_those_that_are_stored_and_says_which_are_missing(
    client: AsyncClient, sibling: Any, export: Any, bring: Any, remove: Any
) -> None:
    file = (await export()).json()

    kept = await bring(file, configuration={"price": 0.9})
    stored = await client.get(f"{INSTALLATION}/configuration", headers=sibling("sandbox"))
    await remove()
    missing = await bring(file)
    given = await bring(file, configuration={"password": "new", "mail": {"token": "new"}})

    assert kept.status_code == 200, kept.text
    assert stored.json()["configuration"] == {**CONFIGURATION, "price": 0.9}
    assert (missing.status_code, kind(missing)) == (422, "configuration-invalid")
    assert {item["pointer"] for item in missing.json()["errors"]} == {"/password", "/mail/token"}
    assert given.status_code == 201, given.text


@pytest.mark.usefixtures("installed")
async def test_a_file_that_was_altered_does_not_open(
    client: AsyncClient, role: Any, export: Any, bring: Any
) -> None:
    file = (await export(passphrase=PASSPHRASE)).json()
    changes = [
        {"grants": [NETWORK, STORAGE]},
        {"salt": "A" * 22 + "=="},
        {"salt": None},
        {"sealed": file["sealed"][:-8]},
        {"sealed": "é"},
    ]

    for altered in changes:
        refused = await bring({**file, **altered}, passphrase=PASSPHRASE)
        assert (refused.status_code, kind(refused)) == (422, "passphrase-wrong"), altered
    guessed = await bring(file, passphrase="wrong horse battery")
    assert (guessed.status_code, kind(guessed)) == (422, "passphrase-wrong")
    entries = (await client.get("/v1/trail", headers=role("owner"))).json()["items"]
    assert entries[0]["action"] == "installation.exported"


@pytest.mark.usefixtures("installed")
async def test_a_file_is_for_its_own_plugin_version_and_bytes_and_is_read_strictly(
    export: Any, bring: Any, publish: Any
) -> None:
    await publish("other-report")
    file = (await export()).json()

    for altered, plugin, status, what in (
        ({}, "other-report", 409, "export-of-another"),
        ({"sha256": "0" * 64}, "energy-report", 409, "export-of-another"),
        ({"version": "9.0.0"}, "energy-report", 404, "version-not-found"),
        ({"version": "nine"}, "energy-report", 422, "manifest-invalid-version"),
        ({"format": "heimnetz-installation/2"}, "energy-report", 422, "invalid-input"),
        ({"more": 1}, "energy-report", 422, "invalid-input"),
        ({"update_policy": "never"}, "energy-report", 422, "invalid-input"),
        ({"grants": [f"network:h{n}:1" for n in range(300)]}, "energy-report", 422, None),
        ({"grants": ["network:evil.example.org:443"]}, "energy-report", 422, "grant-not-asked"),
        ({"plugin": "../../x"}, "energy-report", 422, None),
    ):
        refused = await bring({**file, **altered}, plugin)
        assert refused.status_code == status, (altered, refused.text)
        assert what is None or kind(refused) == what, refused.text
