"""Error budgets and burn rates."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from heimnetz_monitor import leveling
from heimnetz_monitor.levels import (
    PLATFORM_LATENCY_SECONDS,
    WINDOWS,
    Aim,
    Level,
    PluginTallies,
    Promise,
    Tally,
    burn_rate,
    levels_of,
)

NOW = datetime(2026, 3, 31, tzinfo=UTC)
RULES = Path(__file__).parents[4] / "deploy" / "prometheus" / "rules" / "levels.yml"


def level(aim: Aim, since: datetime = NOW - timedelta(days=1), **by_window: Tally) -> Level:
    tallies = PluginTallies(
        plugin="p",
        promise=Promise(availability=0.99, latency_seconds=2.0, since=since),
        by_window={name.removeprefix("in_"): tally for name, tally in by_window.items()},
    )
    return next(found for found in levels_of(tallies, NOW) if found.aim is aim)


def test_a_budget_that_goes_just_as_fast_as_allowed_burns_at_one() -> None:
    assert burn_rate(1, 100, 0.99) == pytest.approx(1)


def test_half_of_what_may_fail_leaves_half_of_the_budget() -> None:
    found = level(Aim.AVAILABILITY, in_30d=Tally(good=995, failed=5))

    assert found.achieved == pytest.approx(0.995)
    assert found.budget_left == pytest.approx(0.5)


def test_an_overspent_budget_is_below_nothing() -> None:
    assert level(Aim.AVAILABILITY, in_30d=Tally(good=97, failed=3)).budget_left < 0


def test_a_plugin_that_never_ran_has_its_whole_budget_and_achieved_nothing_yet() -> None:
    found = level(Aim.AVAILABILITY)

    assert (found.achieved, found.budget_left, found.burn_rate) == (None, 1.0, 0.0)


def test_a_failed_run_is_no_late_answer() -> None:
    found = level(Aim.LATENCY, in_30d=Tally(good=98, failed=50, slow=2))

    assert found.achieved == pytest.approx(96 / 98)
    assert found.limit_seconds == 2.0


def test_the_burn_rate_of_now_is_that_of_the_last_hour() -> None:
    found = level(Aim.AVAILABILITY, in_1h=Tally(good=8, failed=2), in_30d=Tally(100, 2))

    assert found.burn_rate == pytest.approx(20)


def test_nothing_older_than_the_period_is_claimed_to_be_known() -> None:
    found = level(Aim.AVAILABILITY, since=NOW - timedelta(days=300))

    assert found.since == NOW - timedelta(days=30)


def test_the_rules_of_prometheus_have_the_same_windows_and_limit() -> None:
    rules = RULES.read_text("utf-8")

    for window in WINDOWS:
        assert f"record: service:heimnetz_level_burn:ratio{window}\n" in rules
    assert f'le="{PLATFORM_LATENCY_SECONDS}"' in rules
    for name in (leveling.TARGET, leveling.BURN_NOW, leveling.BURN_PERIOD):
        assert name in rules
