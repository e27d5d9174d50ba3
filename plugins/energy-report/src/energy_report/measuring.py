"""Statistics: all arithmetic on the UTC line, all counting in the home's days and hours."""

import math
from array import array
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from energy_report.model import BadRows, Readings, ReadingsError

SHOWN_GAPS = 10
LONGEST_INTERVAL_SECONDS = 24 * 3600
TO_KWH = {"kWh": 1.0, "Wh": 0.001}
TO_KW = {"kW": 1.0, "W": 0.001}
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass
class Series:
    """Energy in kWh of equally long intervals, in order; `starts` in seconds since 1970."""

    starts: "array[int]"
    kwh: "array[float]"
    interval_seconds: int
    kind: str
    duplicates: int
    missing: int
    gaps: list[tuple[int, int]]

    def __len__(self) -> int:
        return len(self.starts)


@dataclass
class Day:
    kwh: float = 0.0
    readings: int = 0


def to_series(readings: Readings, *, kind: str, unit: str, is_marked_at_end: bool) -> Series:
    """Order, drop repetitions, find the interval, and turn the unit into kWh.

    Raises: ReadingsError.
    """
    if len(readings.units) > 1 and unit == "auto":
        raise ReadingsError(f"the files have different units: {', '.join(sorted(readings.units))}")
    unit = next(iter(readings.units), "kWh") if unit == "auto" else unit
    order = _order(readings)
    seconds = array("q", (readings.seconds[i] for i in order))
    duplicates = len(readings) - len(seconds)
    if len(seconds) < 2:
        raise ReadingsError("at least two readings at different times are needed")
    interval = _interval(seconds)
    if kind == "auto":
        kind = "counter" if _is_counter([readings.values[i] for i in order]) else "interval"
    if kind == "counter":
        starts, kwh = _steps(readings, order, TO_KWH.get(unit, 1.0), interval)
    else:
        factor = TO_KWH.get(unit) or TO_KW[unit] * interval / 3600
        shift = interval if is_marked_at_end else 0
        starts = array("q", (second - shift for second in seconds))
        kwh = array("d", (readings.values[i] * factor for i in order))
    if not starts:
        raise ReadingsError("no reading can be used: " + _first(readings.bad_rows))
    missing, gaps = _gaps(starts, interval)
    return Series(starts, kwh, interval, kind, duplicates, missing, gaps)


def _order(readings: Readings) -> list[int]:
    """Positions in the order of time, the first of equal times only."""
    seconds = readings.seconds
    positions = sorted(range(len(seconds)), key=seconds.__getitem__)
    return [
        position
        for place, position in enumerate(positions)
        if place == 0 or seconds[position] != seconds[positions[place - 1]]
    ]


def _interval(seconds: "array[int]") -> int:
    steps = Counter(seconds[i] - seconds[i - 1] for i in range(1, len(seconds)))
    most = max(steps.values())
    interval = min(step for step, count in steps.items() if count == most)
    if interval > LONGEST_INTERVAL_SECONDS:
        raise ReadingsError(
            f"the readings are {timedelta(seconds=interval)} apart; a day is the most"
        )
    return interval


def _is_counter(values: list[float]) -> bool:
    """A counter never falls, and stands high above any of its steps."""
    steps = [values[i] - values[i - 1] for i in range(1, len(values))]
    falls = sum(step < 0 for step in steps)
    return (
        len(values) >= 10
        and falls <= len(values) // 1000
        and values[-1] > values[0]
        and values[0] > 3 * sorted(steps)[len(steps) // 2]
    )


def _steps(
    readings: Readings, order: list[int], factor: float, interval: int
) -> "tuple[array[int], array[float]]":
    """Energy between two counts; over a gap it is unknown when it was used, so it is left out."""
    starts, kwh = array("q"), array("d")
    for before, position in pairwise(order):
        step = readings.values[position] - readings.values[before]
        start = readings.seconds[before]
        if step < 0:
            readings.refuse(position, "the counter went back")
        elif readings.seconds[position] - start == interval:
            starts.append(start)
            kwh.append(step * factor)
    return starts, kwh


def _gaps(starts: "array[int]", interval: int) -> tuple[int, list[tuple[int, int]]]:
    missing, gaps = 0, []
    for i in range(1, len(starts)):
        lost = round((starts[i] - starts[i - 1]) / interval) - 1
        if lost > 0:
            missing += lost
            gaps.append((starts[i - 1] + interval, starts[i]))
    gaps.sort(key=lambda gap: gap[0] - gap[1])
    return missing, gaps[:SHOWN_GAPS]


def _first(bad_rows: BadRows) -> str:
    return str(bad_rows.first[0]) if bad_rows.first else "they are empty"


class Statistics:
    """One pass over the series, sums by the home's calendar."""

    def __init__(self, series: Series, zone: ZoneInfo) -> None:
        self.series = series
        self.zone = zone
        self.days: dict[date, Day] = defaultdict(Day)
        self._hours: dict[tuple[bool, int], list[float]] = defaultdict(lambda: [0.0, 0.0])
        self.total_kwh = math.fsum(series.kwh)
        for start, kwh in zip(series.starts, series.kwh, strict=True):
            local = datetime.fromtimestamp(start, zone)
            day = self.days[local.date()]
            day.kwh += kwh
            day.readings += 1
            hour = self._hours[local.weekday() >= 5, local.hour]
            hour[0] += kwh
            hour[1] += series.interval_seconds / 3600

    def report(self) -> dict[str, Any]:
        series = self.series
        hours = series.interval_seconds / 3600
        peak = max(range(len(series)), key=series.kwh.__getitem__)
        whole = {on: day for on, day in self.days.items() if self._is_whole(on, day)}
        return {
            "time_zone": self.zone.key,
            "first": self._local(series.starts[0]),
            "last": self._local(series.starts[-1] + series.interval_seconds),
            "interval_minutes": _round(series.interval_seconds / 60),
            "readings_are": series.kind,
            "readings": len(series),
            "missing": series.missing,
            "duplicates": series.duplicates,
            "gaps": [
                {"from": self._local(start), "to": self._local(end)} for start, end in series.gaps
            ],
            "total_kwh": _round(self.total_kwh),
            "days": len(self.days),
            "mean_daily_kwh": _round(
                self.total_kwh * 86400 / (len(series) * series.interval_seconds)
            ),
            "base_load_watts": _round(self._base_load() / hours * 1000, 1),
            "peak": {
                "at": self._local(series.starts[peak]),
                "kw": _round(series.kwh[peak] / hours),
            },
            "highest_day": self._extreme(whole, max),
            "lowest_day": self._extreme(whole, min),
            "months": self.months(),
            "weekdays": self._weekdays(whole),
            "mean_kw_by_hour": {
                "workday": self.profile(is_weekend=False),
                "weekend": self.profile(is_weekend=True),
            },
            "clock_changes": self._clock_changes(),
        }

    def months(self) -> list[dict[str, Any]]:
        sums: dict[str, Day] = defaultdict(Day)
        days: Counter[str] = Counter()
        for on, day in self.days.items():
            month = f"{on:%Y-%m}"
            sums[month].kwh += day.kwh
            sums[month].readings += day.readings
            days[month] += 1
        return [
            {"month": month, "kwh": _round(total.kwh), "days": days[month]}
            for month, total in sorted(sums.items())
        ]

    def profile(self, *, is_weekend: bool) -> list[float | None]:
        """Mean power in kW for each hour of the day; None where there is no reading."""
        found = [self._hours.get((is_weekend, hour)) for hour in range(24)]
        return [_round(sums[0] / sums[1]) if sums else None for sums in found]

    def _base_load(self) -> float:
        """What nineteen of twenty intervals exceed: the 5th percentile, nearest rank, in kWh."""
        ordered = sorted(self.series.kwh)
        return ordered[max(math.ceil(0.05 * len(ordered)) - 1, 0)]

    def _weekdays(self, whole: dict[date, Day]) -> list[dict[str, Any]]:
        sums: dict[int, list[float]] = defaultdict(list)
        for on, day in whole.items():
            sums[on.weekday()].append(day.kwh)
        return [
            {"weekday": WEEKDAYS[n], "mean_kwh": _round(math.fsum(of) / len(of))}
            for n, of in sorted(sums.items())
        ]

    def _extreme(self, whole: dict[date, Day], choose: Any) -> dict[str, Any] | None:
        if not whole:
            return None
        on = choose(sorted(whole), key=lambda day: whole[day].kwh)
        return {"on": on.isoformat(), "kwh": _round(whole[on].kwh)}

    def _clock_changes(self) -> list[dict[str, Any]]:
        return [
            {"on": on.isoformat(), "hours": _hours(on, self.zone), "readings": day.readings}
            for on, day in sorted(self.days.items())
            if _hours(on, self.zone) != 24
        ]

    def _is_whole(self, on: date, day: Day) -> bool:
        return day.readings == round(_hours(on, self.zone) * 3600 / self.series.interval_seconds)

    def _local(self, seconds: int) -> str:
        return datetime.fromtimestamp(seconds, self.zone).isoformat()


def _hours(on: date, zone: ZoneInfo) -> float:
    """Length of a day of the calendar: 23 or 25 hours when clocks change."""
    start = datetime(on.year, on.month, on.day, tzinfo=zone)
    end = start + timedelta(days=1)
    return (end.timestamp() - start.timestamp()) / 3600


def _round(value: float, digits: int = 3) -> float:
    return round(value, digits)
