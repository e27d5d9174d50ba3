from datetime import UTC, datetime

import pytest

from heimnetz_sandbox.scheduling import ON_TIME, jitter, last_slot


@pytest.mark.parametrize(
    ("now", "slot"),
    [
        (datetime(2026, 6, 1, 4, 0, 30, tzinfo=UTC), datetime(2026, 6, 1, 4, 0, tzinfo=UTC)),
        (datetime(2026, 6, 1, 3, 59, 59, tzinfo=UTC), None),
        (datetime(2026, 6, 1, 4, 6, tzinfo=UTC), None),
        (datetime(2026, 12, 1, 5, 0, tzinfo=UTC), datetime(2026, 12, 1, 5, 0, tzinfo=UTC)),
    ],
)
def test_a_slot_is_due_at_its_local_time_and_not_for_long(
    now: datetime, slot: datetime | None
) -> None:
    assert last_slot("0 6 * * *", "Europe/Berlin", now) == slot


def test_the_latest_of_several_missed_slots_is_due() -> None:
    now = datetime(2026, 6, 1, 4, 3, 10, tzinfo=UTC)

    assert last_slot("* * * * *", "UTC", now) == now.replace(second=0)


def test_an_hour_that_comes_twice_has_each_slot_once() -> None:
    # 2026-10-25, 02:30 comes twice in Berlin: at 00:30 and at 01:30 UTC.
    slots = {
        last_slot("30 2 * * *", "Europe/Berlin", datetime(2026, 10, 25, hour, 31, tzinfo=UTC))
        for hour in (0, 1)
    }

    assert len(slots - {None}) == 1


def test_a_slot_that_may_be_missed_is_due_on_time_only() -> None:
    now = datetime(2026, 6, 1, 4, 1, tzinfo=UTC)

    assert last_slot("0 4 * * *", "UTC", now) is not None
    assert last_slot("0 4 * * *", "UTC", now, ON_TIME) is None


def test_slots_are_spread_within_their_jitter_and_each_always_the_same() -> None:
    delays = [jitter(f"plugin-{number}", 60.0).total_seconds() for number in range(500)]

    assert delays == [jitter(f"plugin-{number}", 60.0).total_seconds() for number in range(500)]
    assert min(delays) < 2
    assert 58 < max(delays) < 60
    assert jitter("a", 0.0).total_seconds() == 0
