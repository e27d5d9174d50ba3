"""Service levels: objectives, error budgets, and how fast they burn.

The windows and factors are those of Google's SRE workbook, chapter 5, for a period of 30 days:
14.4 spends 2 % of the budget in an hour, 6 spends 5 % in six hours, 3 and 1 spend 10 % in one day
and in three. The shorter window of each pair ends the alert soon after the fault.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

MINUTE, HOUR = 60, 3600
PERIOD_DAYS = 30

#: Seconds of each window, and of the tallies that are added up for it.
WINDOWS: Mapping[str, tuple[int, int]] = {
    "5m": (5 * MINUTE, MINUTE),
    "30m": (30 * MINUTE, MINUTE),
    "1h": (HOUR, MINUTE),
    "2h": (2 * HOUR, MINUTE),
    "6h": (6 * HOUR, MINUTE),
    "1d": (24 * HOUR, HOUR),
    "3d": (72 * HOUR, HOUR),
    "30d": (PERIOD_DAYS * 24 * HOUR, HOUR),
}
PERIOD = "30d"
#: The window whose burn rate is called the one of now.
NOW = "1h"
#: Age at which tallies of each grain go: nothing looks further back.
KEPT = {
    grain: timedelta(seconds=grain + max(s for s, g in WINDOWS.values() if g == grain))
    for grain in (MINUTE, HOUR)
}
#: "99 of 100 answers come within this time", as the manifest says.
LATENCY_TARGET = 0.99
#: The platform's reads have to be answered in this time; `deploy/prometheus/rules/levels.yml`.
PLATFORM_LATENCY_SECONDS = 1.0


class Aim(StrEnum):
    """What an objective is about."""

    AVAILABILITY = "availability"
    LATENCY = "latency"
    READINESS = "readiness"


class Subject(StrEnum):
    SERVICE = "service"
    PLUGIN = "plugin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """What a plugin's manifest promises; judged `since` it was put to use."""

    availability: float | None
    latency_seconds: float | None
    since: datetime


@dataclass(frozen=True, slots=True)
class Tally:
    """Runs within one window."""

    good: int = 0
    failed: int = 0
    slow: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginTallies:
    plugin: str
    promise: Promise
    by_window: Mapping[str, Tally]


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """`target` is a share; `achieved` is None where nothing has happened yet.

    `budget_left` is 1 where nothing went wrong, and below 0 where more did than was allowed.
    """

    kind: Subject
    subject: str
    aim: Aim
    target: float
    limit_seconds: float | None
    achieved: float | None
    budget_left: float
    burn_rate: float
    since: datetime | None


def bad_and_all(aim: Aim, tally: Tally) -> tuple[int, int]:
    """A run that failed gave no answer, so that it says nothing about latency."""
    if aim is Aim.LATENCY:
        return tally.slow, tally.good
    return tally.failed, tally.good + tally.failed


def burn_rate(bad: int, every: int, target: float) -> float:
    """How many times faster than allowed the budget goes; 0 where nothing happened."""
    return bad / every / (1 - target) if every else 0.0


def targets(promise: Promise) -> Iterator[tuple[Aim, float]]:
    if promise.availability is not None:
        yield Aim.AVAILABILITY, promise.availability
    if promise.latency_seconds is not None:
        yield Aim.LATENCY, LATENCY_TARGET


def levels_of(tallies: PluginTallies, now: datetime) -> Iterator[Level]:
    promise = tallies.promise
    for aim, target in targets(promise):
        bad, every = bad_and_all(aim, tallies.by_window.get(PERIOD, Tally()))
        recent = bad_and_all(aim, tallies.by_window.get(NOW, Tally()))
        yield Level(
            kind=Subject.PLUGIN,
            subject=tallies.plugin,
            aim=aim,
            target=target,
            limit_seconds=promise.latency_seconds if aim is Aim.LATENCY else None,
            achieved=1 - bad / every if every else None,
            budget_left=1 - burn_rate(bad, every, target),
            burn_rate=burn_rate(*recent, target),
            since=max(promise.since, now - timedelta(days=PERIOD_DAYS)),
        )
