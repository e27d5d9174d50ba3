"""`heimnetz top`: what plugins use."""

import json
import time
from typing import Any

import httpx
import pytest

from heimnetz_cli.commands import watching
from heimnetz_cli.output import span

from .conftest import MONITOR, SANDBOX, Heimnetz

LEAKER = {
    "plugin": "leaker",
    "memory_bytes": 50 * 1024**2,
    "last_peak_memory_bytes": 60 * 1024**2,
    "memory_limit_bytes": 128 * 1024**2,
    "cpu_cores": 0.25,
    "runs": 12,
    "leak": {
        "kind": "gradual",
        "slope_bytes_per_hour": 3 * 1024**2,
        "out_of_memory_seconds": 7200.0,
    },
}
QUIET = {"plugin": "quiet\x1b[2J", "runs": 0, "leak": None, "memory_bytes": None}
TOP = {"at": "2026-03-01T12:00:00Z", "items": [LEAKER, QUIET]}


def test_top_tells_use_and_leak_in_a_line_a_plugin(platform: Any, heimnetz: Heimnetz) -> None:
    platform.on(f"GET {MONITOR}/top", TOP)

    said = heimnetz("top", "--once")

    assert said.code == 0, said.err
    lines = said.out.splitlines()
    assert lines[1] == ("leaker\t50.0 MiB\t60.0 MiB\t128.0 MiB\t25.0 %\t12\tgradual\t+3.0 MiB\t2 h")
    assert lines[2].startswith("quiet\\x1b[2J\t\t\t\t\t0")


def test_top_as_json_is_the_monitors_answer(platform: Any, heimnetz: Heimnetz) -> None:
    platform.on(f"GET {MONITOR}/top", TOP)

    said = heimnetz("top", "--json")

    assert json.loads(said.out) == TOP


def test_top_on_a_terminal_looks_again_until_it_is_interrupted(
    platform: Any, heimnetz: Heimnetz, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.on(f"GET {MONITOR}/top", TOP)
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", pause)
    monkeypatch.setattr(watching, "is_terminal", lambda: True)

    said = heimnetz("top", "--every", "2")

    assert said.code == 130
    assert pauses == [2.0, 2.0, 2.0]
    assert len(platform.requests) == 3


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, ""), (59, "0 min"), (7200, "2 h"), (200_000, "2 d")]
)
def test_a_span_is_told_roughly(seconds: float | None, text: str) -> None:
    assert span(seconds) == text


def test_leaks_tell_whose_memory_grows_and_how_that_is_known(
    platform: Any, heimnetz: Heimnetz
) -> None:
    leak = {
        "service": "sandbox",
        "plugin": "leaker",
        "kind": "gradual",
        "slope_bytes_per_hour": 3 * 1024**2,
        "out_of_memory_at": None,
        "evidence": {
            "reason": "floors rose by 40% of the limit in 9.0 h",
            "confidence": 0.93,
            "floor_bytes": 20 * 1024**2,
            "points": [{"held_bytes": 50 * 1024**2, "line_bytes": 49 * 1024**2}],
        },
    }
    platform.on(f"GET {MONITOR}/leaks", {"items": [leak, {"service": "auditor", "evidence": None}]})

    said = heimnetz("leaks")

    assert said.code == 1
    lines = said.out.splitlines()
    assert lines[1] == (
        "leaker\tgradual\t\t20.0 MiB\t50.0 MiB\t3.0 MiB\t\t93 %"
        "\tfloors rose by 40% of the limit in 9.0 h"
    )
    assert lines[2].startswith("auditor\t")


def test_where_nothing_leaks_the_answer_says_so(platform: Any, heimnetz: Heimnetz) -> None:
    platform.on(f"GET {MONITOR}/leaks", {"items": []})

    said = heimnetz("leaks")

    assert (said.code, said.out) == (0, "nothing leaks\n")


def test_what_holds_memory_is_asked_of_the_next_container_of_a_service(
    platform: Any, heimnetz: Heimnetz
) -> None:
    old, new = ({"items": [{"id": name, "plugin": "leaker"}]} for name in ("r1", "r2"))
    platform.on(f"GET {SANDBOX}/runs", old, new)
    platform.on(f"POST {SANDBOX}/plugins/leaker/memory-traces", {"is_service": True})
    log = "".join(
        f"log memory: {size} bytes are held that were allocated\nlog memory: {size} bytes by a.py:3\n"
        for size in (10, 20)
    )
    platform.on(f"GET {SANDBOX}/runs/r2/logs", httpx.Response(200, text=log))

    said = heimnetz("memory", "leaker")

    assert said.code == 0, said.err
    assert said.out == "20 bytes are held that were allocated\n20 bytes by a.py:3\n"


def test_of_a_job_the_next_run_s_log_tells_what_holds_memory(
    platform: Any, heimnetz: Heimnetz
) -> None:
    platform.on(f"GET {SANDBOX}/runs", {"items": []})
    platform.on(f"POST {SANDBOX}/plugins/leaker-job/memory-traces", {"is_service": False})

    said = heimnetz("memory", "leaker-job")

    assert said.code == 0
    assert "next run of leaker-job" in said.err
