"""A run that exceeds something ends with the outcome's name, and is heard of."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from ..conftest import Stack, eventually

pytestmark = [pytest.mark.stack, pytest.mark.timeout(1200)]

EXCESSES = {
    "out_of_memory": (
        """
        def run(input, context):
            kept = []
            while True:
                kept.append(bytearray(8 * 1024 * 1024))
        """,
        {},
    ),
    "timeout": (
        """
        import time

        def run(input, context):
            time.sleep(600)
        """,
        {"limits": "{wall: 2 s}"},
    ),
    "cpu_limit": (
        """
        def run(input, context):
            while True:
                pass
        """,
        {"limits": "{cpu_time: 1 s, wall: 30 s}"},
    ),
    "pids_limit": (
        """
        import threading
        import time

        def run(input, context):
            for _ in range(1000):
                threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
        """,
        {"limits": "{processes: 16}"},
    ),
    "disk_limit": (
        """
        def run(input, context):
            with open("/tmp/large", "wb") as stream:
                for _ in range(1000):
                    stream.write(b"x" * 1024 * 1024)
        """,
        {},
    ),
    "output_limit": (
        """
        def run(input, context):
            return {"large": "x" * (2 * 1024 * 1024)}
        """,
        {},
    ),
    "error": (
        """
        def run(input, context):
            raise ValueError("the input is not to my taste")
        """,
        {},
    ),
}


@pytest.mark.parametrize("outcome", sorted(EXCESSES))
def test_an_excess_ends_with_its_name_and_a_reason(
    stack: Stack, put_to_use: Callable[..., str], outcome: str
) -> None:
    code, manifest = EXCESSES[outcome]
    plugin = put_to_use(outcome.replace("_", "-"), code, **manifest)

    said = stack.heimnetz("run", plugin, "--json", check=False)

    run = said.json()
    assert said.code == 1
    assert (run["outcome"], run["state"]) == (outcome, "finished")
    assert run["reason"]


def test_an_excess_is_an_answer_of_http_and_never_a_500(
    http: httpx.Client, put_to_use: Callable[..., str]
) -> None:
    code, manifest = EXCESSES["error"]
    plugin = put_to_use("answered", code, **manifest)

    answer = http.post(
        f"/api/sandbox/v1/plugins/{plugin}/runs", json={}, headers={"Prefer": "wait=30"}
    )

    assert answer.status_code == 200
    assert answer.json()["outcome"] == "error"
    assert "not to my taste" in answer.json()["reason"]


def test_a_plugin_reaches_no_network(stack: Stack, put_to_use: Callable[..., str]) -> None:
    plugin = put_to_use(
        "offline",
        """
        import socket

        def run(input, context):
            found = {}
            for host, port in (("registry", 8000), ("192.0.2.1", 443), ("172.17.0.1", 22)):
                try:
                    socket.create_connection((host, port), 2).close()
                    found[host] = "reached"
                except OSError as error:
                    found[host] = type(error).__name__
            return found
        """,
    )

    run = stack.heimnetz("run", plugin, "--json").json()

    assert "reached" not in run["result"].values()


def test_no_container_outlives_its_run(stack: Stack, put_to_use: Callable[..., str]) -> None:
    code, manifest = EXCESSES["timeout"]
    plugin = put_to_use("gone", code, **manifest)
    run = stack.heimnetz("run", plugin, "--json", check=False).json()

    def names() -> bool:
        shown = stack.call(
            *("docker", "ps", "--all", "--no-trunc", "--format", "{{.Names}} {{.Labels}}"),
            *("--filter", "label=heimnetz.kind=run"),
        )
        return run["id"] not in shown.out and plugin not in shown.out

    eventually(names, within_seconds=20, what="the container is removed")


@pytest.fixture(scope="module")
def sick(stack: Stack, put_to_use: Callable[..., str]) -> dict[str, str]:
    """Plugins by the alert that is owed for what they did."""
    greedy, _ = EXCESSES["out_of_memory"]
    failing, _ = EXCESSES["error"]
    plugins = {
        "PluginOutOfMemory": put_to_use("greedy", greedy),
        "PluginRunFailing": put_to_use("failing", failing),
    }
    for plugin in (plugins["PluginOutOfMemory"], *[plugins["PluginRunFailing"]] * 3):
        stack.heimnetz("run", plugin, check=False)
    return plugins


@pytest.mark.parametrize("name", ["PluginOutOfMemory", "PluginRunFailing"])
def test_a_plugin_that_fares_badly_is_alerted_and_the_alert_comes_back(
    stack: Stack, sick: dict[str, str], name: str
) -> None:
    def find() -> list[Any]:
        alerts = stack.heimnetz("alerts", "--state", "firing", "--json").json()
        return [alert for alert in alerts if alert["labels"].get("plugin") == sick[name]]

    found = eventually(find, within_seconds=120, what=name)

    assert found[0]["alert"] == name
