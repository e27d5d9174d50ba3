"""Outcomes, the duration histogram's bounds, and the damping of health."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from heimnetz_monitor.model import (
    DOWN_AFTER,
    DURATION_BOUNDS,
    UP_AFTER,
    Fault,
    Health,
    Observation,
    Outcome,
    PluginState,
    bound_of,
)

START = datetime(2026, 3, 1, tzinfo=UTC)


def observe(answers: str) -> Health:
    """The health after these answers: `+` ready, `-` not ready."""
    health = Health()
    for number, answer in enumerate(answers):
        health = health.after(
            Observation(
                at=START + timedelta(seconds=10 * number),
                reason="" if answer == "+" else "database: no answer",
                duration_seconds=0.01,
            )
        )
    return health


def test_the_first_answer_is_believed_at_once() -> None:
    assert observe("+").is_up is True
    assert observe("-").is_up is False


def test_one_bad_answer_is_no_outage() -> None:
    assert observe("+--+").is_up is True


def test_a_service_that_stays_away_is_down_since_its_last_observation() -> None:
    health = observe("+---")

    assert health.is_up is False
    assert health.since == START + timedelta(seconds=30)


def test_one_good_answer_is_no_recovery_and_two_are() -> None:
    assert observe("-+").is_up is False
    assert observe("-++").is_up is True


def test_the_reason_is_the_latest_whatever_the_state_is() -> None:
    health = observe("+-")

    assert health.is_up is True
    assert health.last is not None
    assert health.last.reason == "database: no answer"


@given(st.text("+-", min_size=1, max_size=60))
def test_no_state_changes_without_enough_answers_in_a_row(answers: str) -> None:
    for end in range(2, len(answers) + 1):
        before, after = observe(answers[: end - 1]), observe(answers[:end])
        if before.is_up != after.is_up:
            needed = UP_AFTER if after.is_up else DOWN_AFTER
            assert answers[end - needed : end] == ("+" if after.is_up else "-") * needed


def test_only_what_the_plugin_did_is_its_fault() -> None:
    blameless = {outcome for outcome in Outcome if outcome.fault is not Fault.PLUGIN}

    assert blameless == {
        Outcome.OK,
        Outcome.CANCELLED,
        Outcome.REFUSED,
        Outcome.KILLED,
        Outcome.INTERRUPTED,
        Outcome.IMAGE_UNAVAILABLE,
        Outcome.ENGINE_ERROR,
    }


@given(st.floats(min_value=0, max_value=1e6))
def test_a_duration_falls_into_the_lowest_bucket_that_holds_it(seconds: float) -> None:
    bound = bound_of(seconds)

    assert seconds <= bound
    assert all(other < seconds for other in DURATION_BOUNDS if other < bound)


def test_a_plugin_without_a_run_is_idle_and_one_that_failed_is_failing() -> None:
    idle = PluginState(plugin="p", version=None, memory_limit_bytes=None)
    failing = PluginState(
        plugin="p",
        version="1.0.0",
        memory_limit_bytes=None,
        last_outcome=Outcome.ERROR,
        failures={"cron": 1, "http": 0},
    )

    assert idle.state == "idle"
    assert failing.state == "failing"
