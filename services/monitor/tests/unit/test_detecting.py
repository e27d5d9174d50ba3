"""The leak detector on courses of memory that a container can take. Times in seconds, KiB."""

import math
import pickle
import random
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heimnetz_monitor.detecting import LeakDetector
from heimnetz_monitor.leaks import Verdict

LIMIT = 256 * 1024.0
STEP = 15.0
HOUR = 3600.0
Course = Callable[[float], float]


def samples(course: Course, hours: float, seed: int = 1) -> Iterator[tuple[float, float]]:
    """The course as shares of the limit, with the noise of an allocator."""
    dice = random.Random(seed)
    for number in range(int(hours * HOUR / STEP)):
        t = number * STEP
        yield t, min(1.0, max(0.0, course(t) + dice.gauss(0, 0.002))) * LIMIT


def watch(course: Course, hours: float) -> tuple[list[tuple[float, Verdict]], LeakDetector]:
    detector = LeakDetector(LIMIT, STEP)
    told = [
        (t, verdict)
        for t, usage in samples(course, hours)
        if (verdict := detector.update(t, usage, 0.0, 0.0)) is not None
    ]
    return told, detector


def saw(t: float, period: float, height: float) -> float:
    return (t % period) / period * height


HARMLESS: dict[str, Course] = {
    "steady": lambda t: 0.3,
    "a cache that fills and stays": lambda t: 0.2 + 0.3 * (1 - math.exp(-t / HOUR)),
    "a saw-tooth whose floor stays": lambda t: 0.2 + saw(t, 1200, 0.3),
    "a day's load": lambda t: 0.3 + 0.1 * math.sin(t / (24 * HOUR) * 2 * math.pi),
    "one step after an update": lambda t: 0.3 if t < 10 * HOUR else 0.4,
}
LEAKS: dict[str, tuple[Course, str]] = {
    "a floor that rises for a day": (lambda t: 0.2 + 0.8 * t / (30 * HOUR), "gradual"),
    "a saw-tooth whose floor rises": (
        lambda t: 0.15 + 0.6 * t / (30 * HOUR) + saw(t, 1800, 0.2),
        "cyclic",
    ),
    "jumps that are kept": (lambda t: 0.2 + 0.09 * (t // (3.5 * HOUR)), "sudden"),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_a_harmless_course_is_no_leak(name: str) -> None:
    told, _ = watch(HARMLESS[name], 40)

    assert [verdict for _, verdict in told if verdict["alert"]] == []


@pytest.mark.parametrize("name", LEAKS)
def test_a_leak_is_found_with_its_kind_before_memory_is_out(name: str) -> None:
    course, kind = LEAKS[name]
    told, _ = watch(course, 24)

    assert told
    assert told[-1][1]["alert"]
    assert told[-1][1]["kind"] == kind
    assert told[0][0] < 20 * HOUR


def test_the_forecast_of_a_straight_leak_is_near() -> None:
    told, _ = watch(LEAKS["a floor that rises for a day"][0], 24)

    eta = told[-1][1]["oom_eta"]
    assert eta is not None
    assert abs(eta - 30 * HOUR) < 3 * HOUR


def test_a_restart_forgets_what_was_held_before() -> None:
    detector = LeakDetector(LIMIT, STEP)
    for t, usage in samples(lambda t: 0.2 + 0.8 * t / (30 * HOUR), 12):
        detector.update(t, usage, 0.0, 0.0)
    detector.event(12 * HOUR, "restart")

    told = [
        detector.update(12 * HOUR + t, usage, 0.0, 0.0)
        for t, usage in samples(lambda t: 0.3, 20, seed=2)
    ]

    assert not any(verdict and verdict["alert"] for verdict in told)


def test_file_pages_are_no_memory_that_is_held() -> None:
    detector = LeakDetector(LIMIT, STEP)
    told = [detector.update(t, usage + t, t, 0.0) for t, usage in samples(lambda t: 0.2, 12)]

    assert not any(verdict and verdict["alert"] for verdict in told)


ODD = st.one_of(st.floats(), st.floats(-1e6, 1e6), st.sampled_from([math.nan, math.inf, 0.0]))


@given(st.lists(st.tuples(ODD, ODD, ODD, ODD), max_size=200), st.sampled_from(["restart", "x"]))
def test_no_sample_breaks_it_and_its_state_stays_small(
    odd: list[tuple[float, float, float, float]], kind: str
) -> None:
    detector = LeakDetector(LIMIT, STEP)
    for number, values in enumerate(odd):
        detector.update(*values)
        if number % 50 == 0:
            detector.event(values[0], kind)

    assert len(pickle.dumps(detector)) < 8 * 1024


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_a_limit_that_is_none_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="limit_kib"):
        LeakDetector(value)


def test_a_wider_limit_ends_no_memory_of_the_course() -> None:
    detector = LeakDetector(LIMIT, STEP)
    for t, usage in samples(lambda t: 0.4, 6):
        detector.update(t, usage, 0.0, 0.0)
    detector.resize(2 * LIMIT)

    told = [
        detector.update(6 * HOUR + t, usage / 1.0, 0.0, 0.0)
        for t, usage in samples(lambda t: 0.4, 10, seed=3)
    ]

    assert not any(verdict and verdict["alert"] for verdict in told)
