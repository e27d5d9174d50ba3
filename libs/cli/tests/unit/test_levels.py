"""`heimnetz levels`: what is promised, kept and left."""

import json
from typing import Any

import pytest

from .conftest import MONITOR, Heimnetz

KEPT = {
    "kind": "service",
    "subject": "registry",
    "objective": "latency",
    "target": 0.99,
    "limit_seconds": 1.0,
    "achieved": 0.9975,
    "budget_left": 0.75,
    "burn_rate": 0.25,
    "since": "2026-03-01T12:00:00Z",
}
SPENT = {
    **KEPT,
    "kind": "plugin",
    "subject": "p\x1b[2J",
    "objective": "availability",
    "limit_seconds": None,
    "achieved": 0.9,
    "budget_left": -9.0,
    "burn_rate": 20.0,
}


def answer(*items: dict[str, Any], missing: str | None = None) -> dict[str, Any]:
    at = "2026-03-02T12:00:00Z"
    return {"at": at, "period_days": 30, "items": list(items), "missing": missing}


def test_a_line_an_objective_says_what_is_promised_kept_and_left(
    platform: Any, heimnetz: Heimnetz
) -> None:
    platform.on(f"GET {MONITOR}/service-levels", answer(KEPT))

    said = heimnetz("levels")

    assert said.code == 0, said.err
    line = said.out.splitlines()[1]
    assert line.startswith(
        "service\tregistry\tlatency within 1 s\t99.00 %\t99.75 %\t75 %\t0.2\t2026-03-01"
    )


def test_a_budget_that_is_spent_is_a_bad_outcome(platform: Any, heimnetz: Heimnetz) -> None:
    platform.on(f"GET {MONITOR}/service-levels", answer(KEPT, SPENT))

    said = heimnetz("levels")

    assert said.code == 1
    assert "p\\x1b[2J\tavailability\t99.00 %\t90.00 %\t-900 %\t20.0" in said.out


@pytest.mark.parametrize("items", [(), (KEPT,)])
def test_services_of_which_nothing_is_known_are_not_called_well(
    platform: Any, heimnetz: Heimnetz, items: tuple[dict[str, Any], ...]
) -> None:
    platform.on(f"GET {MONITOR}/service-levels", answer(*items, missing="it does not answer"))

    said = heimnetz("levels")

    assert said.code == 1
    assert "of the services nothing is known: it does not answer" in said.out


def test_levels_as_json_are_the_monitors_answer(platform: Any, heimnetz: Heimnetz) -> None:
    platform.on(f"GET {MONITOR}/service-levels", answer(KEPT))

    assert json.loads(heimnetz("levels", "--json").out) == answer(KEPT)
