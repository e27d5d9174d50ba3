"""Load for as long as it takes: nothing fails, nothing is lost, no container keeps growing.

Half a minute among the other tests; `HEIMNETZ_SOAK_MINUTES`, which `make soak` sets, makes it worth its
name.
"""

import json
import os
import statistics
import sys
import time
from collections.abc import Callable

import pytest

from ..conftest import PROJECT, Stack
from .conftest import CODE, Load, Rows, check_all, settle

MINUTES = float(os.environ.get("HEIMNETZ_SOAK_MINUTES", "0.5"))
SAMPLE_SECONDS = min(30.0, MINUTES * 60 / 12)
# What caches and pools may still take after the first half; in a short time also what a child
# takes that is at work when one looks.
SPARE_BYTES, SPARE_SHARE = (16 if MINUTES >= 10 else 96) << 20, 0.15

pytestmark = [pytest.mark.stack, pytest.mark.timeout(int(MINUTES * 60) + 900)]
_UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


def memory(stack: Stack) -> dict[str, float]:
    """Bytes of each container of the stack, without what the page cache can give back."""
    said = stack.call("docker", "stats", "--no-stream", "--format", "{{json .}}").out
    found = {}
    for line in said.splitlines():
        row = json.loads(line)
        number = row["MemUsage"].partition("/")[0].strip()
        unit = number.lstrip("0123456789.")
        if row["Name"].startswith(f"{PROJECT}-"):
            found[row["Name"].removeprefix(f"{PROJECT}-")] = (
                float(number.removesuffix(unit)) * _UNITS[unit]
            )
    return found


def growing(samples: list[dict[str, float]]) -> dict[str, str]:
    """Containers whose last quarter needs clearly more than their second."""
    quarter = max(len(samples) // 4, 1)
    found = {}
    for name in sorted(set.intersection(*(set(sample) for sample in samples))):
        series = [sample[name] for sample in samples]
        before = statistics.median(series[quarter : 2 * quarter])
        after = statistics.median(series[-quarter:])
        if after > before * (1 + SPARE_SHARE) + SPARE_BYTES:
            found[name] = f"{before / (1 << 20):.0f} MiB became {after / (1 << 20):.0f} MiB"
    return found


def test_under_lasting_load_nothing_fails_and_nothing_grows(
    stack: Stack, owner: str, put_to_use: Callable[..., str]
) -> None:
    load, rows = Load(stack, owner, put_to_use("soaked", CODE)), Rows(stack)
    samples = []

    with load.going_on():
        end = time.monotonic() + MINUTES * 60
        while time.monotonic() < end:
            samples.append(memory(stack))
            load.stop.wait(SAMPLE_SECONDS)

    settle(stack, rows)
    sys.stdout.write(f"{len(load.versions)} versions, {len(load.runs)} runs, {samples[-1]}\n")
    assert {status for status, _ in load.answers} <= {200, 201, 202, 429}
    assert growing(samples) == {}
    check_all(stack, owner, rows, load)
