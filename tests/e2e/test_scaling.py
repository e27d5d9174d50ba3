"""Two sandboxes share the work."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from ..conftest import PROJECT, Stack

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

RUNS = 12


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


def test_two_sandboxes_share_runs_and_each_run_is_done_once(
    stack: Stack, put_to_use: Callable[..., str], two_sandboxes: list[str]
) -> None:
    plugin = put_to_use(
        "shared",
        """
        import time

        def run(input, context):
            time.sleep(1)
            return context.run_id
        """,
    )

    with ThreadPoolExecutor(RUNS) as callers:
        ended = list(
            callers.map(lambda _: stack.heimnetz("run", plugin, "--json").json(), range(RUNS))
        )

    assert {run["outcome"] for run in ended} == {"ok"}
    assert [run["result"] for run in ended] == [run["id"] for run in ended]
    done = {
        name: {
            line["run"]
            for line in stack.lines(name)
            if line.get("event") == "run_finished" and line["plugin"] == plugin
        }
        for name in two_sandboxes
    }
    first, second = done.values()
    assert first
    assert second
    assert not first & second
    assert first | second == {run["id"] for run in ended}
