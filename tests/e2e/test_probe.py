"""What a plugin finds itself in on the running stack, as it says itself."""

from typing import Any

import pytest

from ..conftest import ROOT, Stack

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

PLACES = {"/tmp", "/out"}
DEVICES = {
    *("console", "core", "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm"),
    *("stderr", "stdin", "stdout", "tty", "urandom", "zero"),
}


@pytest.fixture(scope="module")
def probe(stack: Stack) -> dict[str, Any]:
    stack.heimnetz("publish", ROOT / "tests" / "security" / "probe")
    stack.heimnetz("install", "probe", "--yes")
    run = stack.heimnetz("run", "probe", "--json").json()
    assert run["outcome"] == "ok", run["reason"]
    found: dict[str, Any] = run["result"]
    return found


def test_the_probe_has_no_interface_but_loopback_and_no_way_out(probe: dict[str, Any]) -> None:
    assert probe["interfaces"] == ["lo"]
    attempts = probe["attempts"]
    assert attempts["connect to the internet"] == "ENETUNREACH"
    assert attempts["connect to the home"] == "ENETUNREACH"


def test_the_probe_has_a_user_of_its_own_and_no_right(probe: dict[str, Any]) -> None:
    assert probe["uid"] == probe["gid"] >= 20_000
    assert probe["groups"] in ([], [probe["uid"]])
    assert set(probe["capabilities"].values()) == {"0" * 16}
    assert probe["no_new_privileges"]
    assert probe["seccomp"] == "filter"


def test_the_probe_writes_nowhere_but_in_its_own_bounded_places(probe: dict[str, Any]) -> None:
    assert probe["root"] == "read-only"
    assert set(probe["writable"]) == PLACES


def test_nothing_that_the_probe_tries_is_possible(probe: dict[str, Any]) -> None:
    assert "possible" not in probe["attempts"].values()
    assert set(probe["devices"]) <= DEVICES
    assert not {"HOME_ASSISTANT", "HEIMNETZ"} & set(probe["environment"])
