"""`heimnetz apply` against a running registry; the wire stands in for the gateway between them."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from httpx import AsyncClient

from heimnetz_cli.__main__ import main

NETWORK, STORAGE = "network:api.example.org:443", "storage:1048576"
STATE = """\
state: 1
tokens:
  phone: {role: viewer, file: phone.token, expires_in_days: 30}
installations:
  energy-report:
    version: 1.0.0
    grants: [network:api.example.org:443]
    updates: safe
    configuration:
      price: 0.1
      password: {file: password}
      mail: {token: {environment: MAIL_TOKEN}}
"""
SECRETS = {"password": "sesame", "mail": {"token": "deep"}}


class Said(NamedTuple):
    code: int
    out: str
    err: str


Apply = Callable[..., Awaitable[Said]]


@pytest.fixture
async def apply(
    client: AsyncClient,
    role: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Apply:
    """The command in a thread, as the owner; what it asks goes to the registry of this test."""
    loop = asyncio.get_running_loop()

    def pass_on(_self: object, request: httpx.Request) -> httpx.Response:
        answer = asyncio.run_coroutine_threadsafe(
            client.request(
                request.method,
                request.url.path.removeprefix("/api/registry"),
                params=request.url.params,
                content=request.read(),
                headers={**role("owner"), "content-type": "application/json"},
            ),
            loop,
        ).result(30)
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", pass_on)
    monkeypatch.setenv("HEIMNETZ_URL", "http://heimnetz.test")
    monkeypatch.setenv("HEIMNETZ_TOKEN", "hnz_t")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("MAIL_TOKEN", "deep")
    (tmp_path / "password").write_text("sesame\n")
    file = tmp_path / "state.yaml"

    async def call(text: str = STATE, *options: str) -> Said:
        file.write_text(text)
        capsys.readouterr()
        code = await asyncio.to_thread(main, ["apply", "-f", str(file), *options])
        captured = capsys.readouterr()
        return Said(code, captured.out, captured.err)

    return call


@pytest.fixture
async def approved(publish: Any, audit: Any) -> None:
    for version in ("1.0.0", "1.1.0"):
        sha256 = (await publish(version=version)).json()["sha256"]
        await audit("approve", sha256=sha256, version=version)


@pytest.fixture
def found(client: AsyncClient, role: Any) -> Callable[[], Awaitable[Any]]:
    async def get() -> Any:
        answer = await client.get("/v1/installations/energy-report", headers=role("owner"))
        return answer.json() if answer.status_code == 200 else None

    return get


@pytest.mark.usefixtures("approved")
async def test_what_is_declared_is_there_and_a_second_time_nothing_is_to_do(
    apply: Apply, found: Any, client: AsyncClient, sibling: Any, role: Any, tmp_path: Path
) -> None:
    first = await apply(STATE, "--yes")
    there = await found()
    second = await apply(STATE)

    assert first.code == 0, first.err
    assert (there["grants"], there["update_policy"]) == ([NETWORK], "safe")
    path = "/v1/installations/energy-report/configuration"
    revealed = (await client.get(path, headers=sibling("sandbox"))).json()
    assert revealed["configuration"] == {"price": 0.1, **SECRETS}
    token = (tmp_path / "phone.token").read_text().strip()
    answer = await client.get("/v1/auth/registry", headers={"authorization": f"Bearer {token}"})
    assert answer.headers["x-heimnetz-role"] == "viewer"
    assert second.code == 0
    assert "nothing to do" in second.out
    assert await found() == there


@pytest.mark.usefixtures("approved")
@pytest.mark.parametrize(("option", "code"), [("--dry-run", 0), ("--prune", 1)])
async def test_the_difference_is_shown_and_nothing_is_done_without_a_yes(
    apply: Apply, found: Any, tmp_path: Path, option: str, code: int
) -> None:
    said = await apply(STATE, option)

    assert said.code == code
    assert "install energy-report" in said.err
    assert "connect to api.example.org:443" in said.err
    assert not any(secret in said.out + said.err for secret in ("sesame", "deep"))
    assert await found() is None
    assert not (tmp_path / "phone.token").exists()


@pytest.mark.usefixtures("approved")
async def test_only_what_differs_is_changed(apply: Apply, found: Any) -> None:
    await apply(STATE, "--yes")
    other = STATE.replace("0.1", "0.2").replace("[network:api.example.org:443]", f"[{STORAGE}]")

    said = await apply(other.replace("version: 1.0.0", "version: 1.1.0"), "--yes")

    assert said.err.splitlines() == [
        "change energy-report",
        "  version 1.0.0 -> 1.1.0",
        "  may from now on: keep up to 1,048,576 bytes of its own data",
        "  may no longer: connect to api.example.org:443",
        "  configuration /price: 0.1 -> 0.2",
        "done: change energy-report",
    ]
    there = await found()
    assert (there["version"], there["grants"]) == ("1.1.0", [STORAGE])


@pytest.mark.usefixtures("approved")
async def test_a_secret_that_is_stored_is_sent_again_only_when_asked(
    apply: Apply, client: AsyncClient, sibling: Any, tmp_path: Path
) -> None:
    await apply(STATE, "--yes")
    (tmp_path / "password").write_text("changed")
    path = "/v1/installations/energy-report/configuration"

    await apply(STATE, "--yes")
    await apply("\n".join(STATE.splitlines()[:-2]), "--yes")
    kept = (await client.get(path, headers=sibling("sandbox"))).json()["configuration"]
    said = await apply(STATE, "--yes", "--renew-secrets")

    renewed = (await client.get(path, headers=sibling("sandbox"))).json()["configuration"]
    assert kept == {"price": 0.1, **SECRETS}
    assert renewed["password"] == "changed"
    assert "configuration /password: a secret that is given now" in said.err


@pytest.mark.usefixtures("approved")
async def test_a_token_of_another_role_is_replaced(
    apply: Apply, client: AsyncClient, role: Any, tmp_path: Path
) -> None:
    await apply(STATE, "--yes")
    other = STATE.replace("role: viewer, file: phone.token", "role: operator, file: new.token")

    said = await apply(other, "--yes")

    assert said.code == 0, said.err
    listed = (await client.get("/v1/tokens", headers=role("owner"))).json()["items"]
    assert [one["role"] for one in listed if one["name"] == "phone"] == ["operator"]
    assert (tmp_path / "new.token").stat().st_mode & 0o777 == 0o600


@pytest.mark.usefixtures("approved")
async def test_what_the_file_does_not_have_goes_only_when_pruned(apply: Apply, found: Any) -> None:
    await apply(STATE, "--yes")

    kept = await apply("state: 1\n", "--yes")
    still = await found()
    pruned = await apply("state: 1\n", "--yes", "--prune")

    assert "nothing to do" in kept.out
    assert still is not None
    assert "uninstall energy-report" in pruned.err
    assert await found() is None


MISTAKES = [
    (
        STATE.replace("tokens:", "tokens:\n  other: {role: viewer, file: phone.token}"),
        ":4:31:",
        "taken by another",
    ),
    (STATE.replace("    version:", "    verzion:"), ":6:5:", "did you mean version?"),
    (STATE.replace("1.0.0", "9.0.0"), ":6:14:", "9.0.0 is not published"),
    (STATE.replace("[network:api", "[network:evil"), ":7:14:", "asks for: network:api.example"),
    (STATE.replace("{file: password}", "in-clear"), ":11:17:", "say where it is"),
    (STATE.replace("{file: password}", "{file: missing}"), ":11:17:", "No such file"),
    (STATE.replace("MAIL_TOKEN", "NOT_THERE"), ":12:21:", "the environment has no NOT_THERE"),
    (STATE.replace("price: 0.1", "price: much"), ":10:14:", "/configuration/price"),
    (STATE.replace("state: 1", "state: 2"), ":1:8:", "/state"),
    ("state: [\n", ":2:1:", "expected"),
]


@pytest.mark.usefixtures("approved")
async def test_a_mistake_has_its_line_and_column_and_nothing_is_done(
    apply: Apply, found: Any, tmp_path: Path
) -> None:
    for text, place, detail in MISTAKES:
        said = await apply(text, "--yes")

        assert said.code == 7, said.err
        assert f"state.yaml{place}" in said.err, said.err
        assert detail in said.err, said.err
    assert await found() is None
    assert not (tmp_path / "phone.token").exists()
