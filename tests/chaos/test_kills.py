"""F42: everything is killed at random under load; nothing acknowledged is lost, nothing done twice.

Nor is a run that is due by schedule.

`HEIMNETZ_CHAOS_KILLS` and `HEIMNETZ_CHAOS_SEED` make it longer, and the same again;
`HEIMNETZ_CHAOS_PLUGINS` is how many are due four times every minute.
"""

import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from itertools import product
from typing import Any

import pytest

from ..conftest import PROJECT, Stack, eventually
from .conftest import CODE, VICTIMS, Load, Rows, check_all, settle

pytestmark = [pytest.mark.stack, pytest.mark.timeout(7200)]

KILLS = int(os.environ.get("HEIMNETZ_CHAOS_KILLS", "200"))
SEED = int(os.environ.get("HEIMNETZ_CHAOS_SEED", "20261125"))
# The engine waits twice as long before each restart of a container that did not live for 10 s.
LIFE_SECONDS = 11.5
# Every minute is a slot of each; in the time that so many kills take, at least KILLS / 2 are owed.
# A plugin has few: what a dead sandbox ran counts as running until its lease ends.
PLUGINS = int(os.environ.get("HEIMNETZ_CHAOS_PLUGINS", "12"))
ZONES = ("UTC", "Europe/Berlin", "Asia/Kolkata", "America/Lima")
EVERY_MINUTE = ", ".join(f"{{schedule: '* * * * *', time_zone: {zone}}}" for zone in ZONES)
# Each time it is executed leaves a mark of its own.
DUE = """
    import uuid

    def run(input, context):
        try:
            context.storage.put(f"{context.run_id}/{uuid.uuid4()}", "")
        except (OSError, ValueError):
            pass
        return {}
"""


class Schedules:
    """Plugins that are due every minute, and what became of each slot."""

    def __init__(self, rows: Callable[[str], Any], plugins: tuple[str, ...]) -> None:
        self._rows = rows
        self._plugins = plugins
        self._all = tuple(product(plugins, (f"* * * * * {zone}" for zone in ZONES)))
        self._names = ", ".join(f"'{plugin}'" for plugin in plugins)
        # What was due before they were installed is not owed.
        self._first = int(time.time() // 60) + 1

    def find(self) -> dict[tuple[str, str, int], str | None]:
        """The outcome by plugin, schedule and minute; None while there is none."""
        found = self._rows(
            "SELECT slot.plugin, schedule, outcome,"
            " extract(epoch FROM slot_at)::bigint / 60 AS minute"
            " FROM sandbox.cron_slots AS slot LEFT JOIN sandbox.runs ON runs.id = run_id"
            f" WHERE slot.plugin IN ({self._names})"
        )
        return {(one["plugin"], one["schedule"], one["minute"]): one["outcome"] for one in found}

    def check(self, last: int) -> str:
        """None of them is lost up to the minute `last`, and none was executed twice."""
        minutes = range(self._first, last + 1)
        owed = {(*one, minute) for one, minute in product(self._all, minutes)}
        with suppress(AssertionError):
            eventually(
                lambda: self._have_ended(owed), within_seconds=120, what="an end of every run"
            )
        found = self.find()
        assert [slot for slot in sorted(owed) if found.get(slot) is None] == []
        outcomes = Counter(found[slot] for slot in owed)
        assert set(outcomes) <= {"ok", "interrupted", "engine_error"}
        assert outcomes["ok"] > len(owed) / 2
        assert len(owed) >= KILLS // 2
        self._check_executions(len(owed))
        return f"{len(owed)} slots: {dict(outcomes)}"

    def _have_ended(self, slots: set[tuple[str, str, int]]) -> bool:
        found = self.find()
        return all(found.get(slot) for slot in slots)

    def _check_executions(self, owed: int) -> None:
        without_slot = self._rows(
            f"SELECT id FROM sandbox.runs WHERE plugin IN ({self._names}) AND NOT EXISTS"
            " (SELECT FROM sandbox.cron_slots WHERE run_id = runs.id)"
        )
        executed = self._rows(
            "SELECT split_part(key, '/', 1) AS run_id, count(*) AS times FROM sandbox.storage"
            f" WHERE plugin IN ({self._names}) GROUP BY 1"
        )
        assert without_slot == []
        assert [one for one in executed if one["times"] > 1] == []
        assert len(executed) > owed / 3

    def end(self, stack: Stack, owner: str) -> None:
        with stack.http(owner) as client:
            for plugin in self._plugins:
                client.delete(f"/api/registry/v1/installations/{plugin}").raise_for_status()
        installed = (
            "SELECT plugin FROM sandbox.installations"
            f" WHERE is_installed AND plugin IN ({self._names})"
        )
        eventually(
            lambda: self._rows(installed) == [], within_seconds=30, what="the end of the schedules"
        )


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
    grants = "{storage: {size: 4 MiB, reason: Marks}}"
    triggers = f"{{cron: [{EVERY_MINUTE}]}}"
    with ThreadPoolExecutor(4) as pool:
        due = pool.map(
            lambda stem: put_to_use(stem, DUE, triggers=triggers, permissions=grants),
            (f"due-{number}" for number in range(PLUGINS)),
        )
    schedules = Schedules(rows, tuple(due))

    with load.going_on():
        done = kill_at_random(stack, KILLS, SEED)
    last = int(time.time() // 60)
    settle(stack, rows)
    told = schedules.check(last)
    schedules.end(stack, owner)
    settle(stack, rows)
    sys.stdout.write(f"{done}; {len(load.versions)} versions; {len(load.runs)} runs; {told}\n")

    assert sum(done.values()) == KILLS
    check_all(stack, owner, rows, load)
