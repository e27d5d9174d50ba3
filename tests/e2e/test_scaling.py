"""Two sandboxes share the work."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ..conftest import PROJECT, Stack

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

# Twice as many runs as one sandbox takes at a time; a plugin has two at a time.
PLUGINS, EACH = 4, 2


@pytest.fixture
def two_sandboxes(stack: Stack) -> Iterator[list[str]]:
    def scale(count: int) -> None:
        stack.call(
            *("docker", "compose", "up", "--detach", "--wait", "--no-recreate"),
            *("--scale", f"sandbox={count}", "sandbox"),
        )

    scale(2)
    yield [f"{PROJECT}-sandbox-1", f"{PROJECT}-sandbox-2"]
    scale(1)


def lines(stack: Stack, container: str) -> list[dict[str, Any]]:
    said = stack.call("docker", "logs", container)
    return [json.loads(line) for line in (said.out + said.err).splitlines() if line[:1] == "{"]


def test_two_sandboxes_share_runs_and_each_run_is_done_once(
    stack: Stack, put_to_use: Callable[..., str], two_sandboxes: list[str]
) -> None:
    code = """
        import time

        def run(input, context):
            time.sleep(3)
            return context.run_id
        """
    plugins = [put_to_use(f"shared-{number}", code) for number in range(PLUGINS)]

    with ThreadPoolExecutor(PLUGINS * EACH) as callers:
        ended = list(
            callers.map(
                lambda plugin: stack.heimnetz("run", plugin, "--json").json(), plugins * EACH
            )
        )

    assert {run["outcome"] for run in ended} == {"ok"}
    assert [run["result"] for run in ended] == [run["id"] for run in ended]
    done = {
        name: {
            line["run"]
            for line in lines(stack, name)
            if line.get("event") == "run_finished" and line["plugin"] in plugins
        }
        for name in two_sandboxes
    }
    first, second = done.values()
    assert first
    assert second
    assert not first & second
    assert first | second == {run["id"] for run in ended}
