"""F42: everything is killed at random under load; nothing acknowledged is lost, nothing done twice.

`HEIMNETZ_CHAOS_KILLS` and `HEIMNETZ_CHAOS_SEED` make it longer, and the same again.
"""

import os
import random
import signal
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from ..conftest import PROJECT, Stack
from .conftest import CODE, VICTIMS, Load, Rows, check_all, settle

pytestmark = [pytest.mark.stack, pytest.mark.timeout(7200)]

KILLS = int(os.environ.get("HEIMNETZ_CHAOS_KILLS", "200"))
SEED = int(os.environ.get("HEIMNETZ_CHAOS_SEED", "20261125"))
# The engine waits twice as long before each restart of a container that did not live for 10 s.
LIFE_SECONDS = 11.5


def living(stack: Stack) -> dict[str, int]:
    """Process ids of the victims that have lived long enough to be killed again."""
    said = stack.call(
        *("docker", "inspect", "--format", "{{.State.StartedAt}} {{.State.Pid}} {{.Name}}"),
        *(f"{PROJECT}-{name}-1" for name in VICTIMS),
    ).out
    now = datetime.now(UTC)
    found = {}
    for line in said.splitlines():
        started, pid, name = line.split()
        age = now - datetime.fromisoformat(f"{started[:19]}+00:00")
        if int(pid) and age.total_seconds() > LIFE_SECONDS:
            found[name.removeprefix(f"/{PROJECT}-").removesuffix("-1")] = int(pid)
    return found


def kill_at_random(stack: Stack, count: int, seed: int) -> dict[str, int]:
    """`kill -9` from outside: the container goes on to exist, and the engine starts it again."""
    dice = random.Random(seed)
    done = dict.fromkeys(VICTIMS, 0)
    dead: set[int] = set()
    while sum(done.values()) < count:
        ready = {name: pid for name, pid in living(stack).items() if pid not in dead}
        if not ready:
            time.sleep(0.1)
            continue
        name = dice.choice(sorted(ready))
        try:
            os.kill(ready[name], signal.SIGKILL)
        except ProcessLookupError:
            continue
        dead.add(ready[name])
        done[name] += 1
    return done


def test_nothing_acknowledged_is_lost_and_nothing_done_twice(
    stack: Stack, owner: str, put_to_use: Callable[..., str]
) -> None:
    plugin = put_to_use("called", CODE)
    load, rows = Load(stack, owner, plugin), Rows(stack)

    with load.going_on():
        done = kill_at_random(stack, KILLS, SEED)
    settle(stack, rows)
    sys.stdout.write(f"{done}; {len(load.versions)} versions; {len(load.runs)} runs\n")

    assert sum(done.values()) == KILLS
    check_all(stack, owner, rows, load)
