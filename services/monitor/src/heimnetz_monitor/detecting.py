"""Finds leaks in the memory of one container, sample by sample.

The detector has no clock and does no input or output: the monitor feeds it from the cgroup files,
and a replay of recorded traces drives the same code. `docs/leak-detection.md` explains the method
and gives its figures.
"""

from math import ceil, isfinite

from heimnetz_monitor.course import Course, follow, follow_cycles
from heimnetz_monitor.detectors.floors import Growth, find_growths
from heimnetz_monitor.detectors.stairs import Stairs, find_stairs
from heimnetz_monitor.detectors.steps import Steps
from heimnetz_monitor.detectors.surges import Surge, is_accelerating
from heimnetz_monitor.detectors.troughs import Troughs
from heimnetz_monitor.history import FACTOR, History
from heimnetz_monitor.leaks import Evidence, LeakKind, Verdict
from heimnetz_monitor.lines import fit

_HOUR = 3600.0
# Programs load, fill caches and compile in their first hours, and again after an update.
_WARM_UP_SECONDS = 3.2 * _HOUR
# A cache that fills does not swing; a saw-tooth shows its floor sooner.
_SAW_WARM_UP_SECONDS = 2.2 * _HOUR
_SAW_SWING = 0.05
_LEAST_SWING = 0.016  # smaller cycles are noise
_SURGE_AFTER_SECONDS = 4.2 * _HOUR
_SUDDEN_LIFE_SECONDS = 1.3 * _HOUR
_HOT_SHARE = 0.06  # active file pages up to this share are the program itself, and stay
_SUDDEN_PEAKS = 20  # so many buckets tell how fast a runaway is
_LARGEST = 4.0  # values above so many limits are cut off
_ABSURD = 1e15  # no time and no amount of memory is so large
_REFUSED_IN_A_ROW = 20


class LeakDetector:
    """Verdicts on one container; times in seconds, from any zero, amounts in KiB."""

    __slots__ = (
        "_active",
        "_base",
        "_confidence",
        "_course",
        "_deployed",
        "_due",
        "_eta",
        "_history",
        "_hot",
        "_kind",
        "_last",
        "_limit",
        "_origin",
        "_ran_before",
        "_reason",
        "_refused",
        "_run_started",
        "_stairs",
        "_started",
        "_steps",
        "_surge",
        "_top",
        "_troughs",
        "_width",
    )

    def __init__(self, limit_kib: float, interval_s: float = 10.0) -> None:
        """`interval_s`: usual seconds between samples. Raises: ValueError."""
        if not (isfinite(limit_kib) and limit_kib > 0):
            raise ValueError("limit_kib must be a positive number")
        if not (isfinite(interval_s) and interval_s > 0):
            raise ValueError("interval_s must be a positive number")
        self._limit = float(limit_kib)
        self._width = max(60.0, 4 * interval_s)
        self._origin: float | None = None
        self._last = 0.0
        self._refused = 0
        self._ran_before = False
        self._hot = self._base = self._top = 0.0
        self._begin(0.0)

    def update(
        self, t: float, usage_kib: float, inactive_file_kib: float, active_file_kib: float
    ) -> Verdict | None:
        """A verdict when there is news about a leak; None means that nothing changed."""
        time = self._admit(t, usage_kib, inactive_file_kib, active_file_kib)
        if time is None:
            return None
        limit = self._limit
        self._hot += (min(active_file_kib / limit, _HOT_SHARE) - self._hot) * 0.02
        held = (usage_kib - inactive_file_kib - active_file_kib) / limit
        held = 0.0 if held < 0 else min(held, _LARGEST)
        self._steps.add(held)
        if self._troughs.add(time, held, self._steps.usual):
            self._judge(self._troughs.find_growths(), time)
        is_surging = self._surge.add(time, held)
        if self._kind is None and (
            is_surging
            or (held > self._surge.attention and is_accelerating(self._history, time, held))
        ):
            self._find_surge(time)
        closed = self._history.add(time, held)
        if closed:
            was_leaking = self._kind is not None
            self._look(time)
            if was_leaking and self._kind is None:
                return Verdict(alert=False, kind="none", oom_eta=None)
        if self._kind is None or not (closed or self._kind is LeakKind.SUDDEN):
            return None
        return self._verdict(time, refit=closed)

    @property
    def slope_kib_per_second(self) -> float | None:
        """How fast what is held grows now; None while there is no leak."""
        if self._kind is None:
            return None
        if self._course is not None:
            return self._course.slope_at(self._last) * self._limit
        series = self._history.series(0)
        if len(series) < 2:
            return None
        return fit(series.times[-_SUDDEN_PEAKS:], series.means[-_SUDDEN_PEAKS:]).slope * self._limit

    @property
    def evidence(self) -> Evidence | None:
        """None while there is no leak."""
        if self._kind is None or self._origin is None:
            return None
        series = self._history.covering(self._started, self._last)
        times, means = series.times, series.means
        if self._course is not None:
            line = [self._course.at(time) for time in times]
        else:
            straight = fit(times[-_SUDDEN_PEAKS:], means[-_SUDDEN_PEAKS:]) if times else None
            line = [straight.at(time) for time in times] if straight is not None else []
        return Evidence(
            reason=self._reason,
            confidence=self._confidence,
            floor_kib=self._base * self._limit,
            times=tuple(time + self._origin for time in times),
            held_kib=tuple(mean * self._limit for mean in means),
            line_kib=tuple(level * self._limit for level in line),
        )

    def event(self, t: float, kind: str) -> None:
        """A `restart` or `deploy` at second `t`; other kinds say nothing about memory."""
        time = t - self._origin if self._origin is not None and isfinite(t) else self._last
        if kind == "restart":
            self._ran_before = self._ran_before or self._kind is not None
            self._begin(time)
        elif kind == "deploy":
            self._ran_before = False
            self._deployed = time

    def resize(self, limit_kib: float) -> None:
        """The container has got another limit. Raises: ValueError."""
        if not (isfinite(limit_kib) and limit_kib > 0):
            raise ValueError("limit_kib must be a positive number")
        factor = self._limit / limit_kib
        self._limit = float(limit_kib)
        for part in (self._history, self._troughs, self._steps):
            part.rescale(factor)
        self._hot *= factor
        self._base *= factor
        self._top *= factor
        self._surge = Surge()
        self._due = 0.0

    def _begin(self, time: float) -> None:
        """Forgets the levels of the process before; what it did is no floor of the next."""
        self._history = History(self._width)
        self._troughs = Troughs()
        self._steps = Steps()
        self._surge = Surge()
        self._run_started = time
        self._deployed = time
        self._hot = 0.0
        self._clear()

    def _clear(self) -> None:
        self._kind: LeakKind | None = None
        self._started = self._base = self._top = self._confidence = self._due = 0.0
        self._reason = ""
        self._stairs: Stairs | None = None
        self._course: Course | None = None
        self._eta: float | None = None

    def _admit(self, t: float, usage: float, inactive: float, active: float) -> float | None:
        """Seconds since the first sample, or None for a sample that cannot be true."""
        is_sane = 0 <= usage < _ABSURD and 0 <= inactive < _ABSURD and 0 <= active < _ABSURD
        if not (is_sane and -_ABSURD < t < _ABSURD):
            return None
        if self._origin is None:
            self._origin = t
            return 0.0
        time = t - self._origin
        if time > self._last:
            self._last = time
            self._refused = 0
            return time
        self._refused += 1
        if self._refused >= _REFUSED_IN_A_ROW:  # the clock was set back, and stays so
            self._origin, self._last, self._refused = t, 0.0, 0
            self._begin(0.0)
        return None

    def _is_settled(self, time: float, seconds: float) -> bool:
        return time >= max(self._run_started, self._deployed) + seconds

    def _look(self, time: float) -> None:
        """What a closed block shows."""
        is_settled = self._is_settled(time, _WARM_UP_SECONDS)
        for ring in self._history.closed_rings():
            self._judge(find_growths(self._history, ring), time)
            if is_settled and ring in (1, 2):
                self._find_stairs(ring)
        if self._is_settled(time, _SURGE_AFTER_SECONDS):
            self._surge.watch(self._history, self._troughs.swing)
        else:
            self._surge.rest()
        if self._kind is not None and self._has_ended(time):
            self._clear()

    def _judge(self, growths: list[Growth], time: float) -> None:
        for growth in growths:
            need = self._need(growth, time)
            if growth.consumed < need:
                continue
            if self._kind is None:
                self._started, self._base = growth.started, growth.base
                self._top = growth.base + growth.rise
                self._reason = (
                    f"floors rose by {growth.rise:.0%} of the limit"
                    f" in {growth.seconds / _HOUR:.1f} h"
                )
                life = (1 - growth.base) / growth.slope
                self._kind = LeakKind.SUDDEN if life < _SUDDEN_LIFE_SECONDS else LeakKind.GRADUAL
            if self._kind is not LeakKind.SUDDEN:
                self._kind = self._shape(growth)
            self._confidence = max(self._confidence, 1 - 0.1 * need / growth.consumed)

    def _need(self, growth: Growth, time: float) -> float:
        """The share of the headroom that a growth must have taken to be called a leak.

        Short growths happen to healthy containers: bursts, ramps, a day's load. The longer and the
        straighter a growth is, the less of the headroom it takes to believe it.
        """
        is_saw = self._troughs.is_saw(_SAW_SWING)
        if is_saw and growth.seconds < 2 * self._troughs.period():
            return 9.0  # a cycle that climbs
        hours = growth.seconds / _HOUR
        need = 0.42 if hours < 2 else max(0.06, 0.42 * (2 / hours) ** 0.7)
        if is_saw:  # cycles do not all keep the same, so that their floors are uneven
            is_steady = 0.36 < growth.late < 0.74 and growth.residual < 0.1
            crooked = 0.65 + 0.04 * (growth.residual / 0.03) ** 2
        else:
            is_steady = 0.4 < growth.late < 0.68 and growth.residual < 0.08
            crooked = 0.75 + 0.2 * (growth.residual / 0.03) ** 2
        if not is_steady:
            return 9.0
        need *= crooked if hours < 13 else min(crooked, 1.3)
        if self._ran_before:
            need *= 0.6
        began = max(self._run_started, self._deployed)
        if is_saw and time > began + _SAW_WARM_UP_SECONDS:
            return max(need, 0.22)
        settled = began + _WARM_UP_SECONDS
        wait = 0.3 * (settled - growth.started) if growth.started < settled - 900 else 0.0
        if time < settled + max(0.0, wait):
            return max(need, 0.25) if self._ran_before else 0.8
        return need

    def _shape(self, growth: Growth) -> LeakKind:
        """A saw-tooth gives back more than it keeps, in sharp falls."""
        steps, troughs = self._steps, self._troughs
        enough = 1.2 * growth.rise
        if steps.falls >= 4 and steps.fell > max(enough, 1.15 * steps.rose):
            return LeakKind.CYCLIC
        if troughs.is_saw(_LEAST_SWING) and troughs.fallen > enough:
            return LeakKind.CYCLIC
        return LeakKind.GRADUAL

    def _find_stairs(self, ring: int) -> None:
        stairs = find_stairs(self._history, ring)
        if stairs is None or stairs.height < self._troughs.swing:  # floors of a saw-tooth
            return
        settled = max(self._run_started, self._deployed) + _WARM_UP_SECONDS
        if stairs.started < settled:
            return
        if self._kind is None:
            self._started = stairs.started
        self._kind, self._stairs = LeakKind.SUDDEN, stairs
        self._base, self._top = stairs.base, stairs.top
        self._confidence = max(self._confidence, 0.9)
        self._eta = None
        self._reason = f"{stairs.jumps} jumps, none given back"

    def _find_surge(self, time: float) -> None:
        series = self._history.series(0)
        self._kind = LeakKind.SUDDEN
        self._base = min(series.lows[-30:], default=0.0)
        self._top = self._surge.level
        foot = self._base + 0.1 * (self._top - self._base)
        calm = [at for at, low in zip(series.times, series.lows, strict=True) if low <= foot]
        self._started = calm[-1] if calm else time
        self._confidence = 0.9
        self._reason = f"{self._top - self._base:.0%} of the limit within minutes"

    def _has_ended(self, time: float) -> bool:
        """Whether what grew was given back, or has grown no further for long."""
        series = self._history.series(0)
        if max(series.highs[-3:]) < self._base + 0.4 * (self._top - self._base):
            return True
        if self._kind is LeakKind.SUDDEN or self._history.closed % FACTOR:
            return False
        part = 0.5 * (time - self._started)
        if part < max(1.5 * _HOUR, 4 * self._troughs.period()):
            return False
        series = self._history.covering(time - part, time)
        lows = series.lows[series.first_at(time - part) :]
        quarter = len(lows) // 4
        if quarter < 2 or self._course is None:
            return False
        due = self._course.slope_at(time) * part * 0.75
        return min(lows[-quarter:]) - min(lows[:quarter]) < 0.1 * due

    def _verdict(self, time: float, *, refit: bool) -> Verdict:
        assert self._kind is not None
        if self._kind is LeakKind.SUDDEN:
            self._eta = self._forecast_sudden(time)
        elif refit and time >= self._due:
            self._due = time + (time - self._started) / 48
            self._eta = self._forecast_steady(time)
        assert self._origin is not None
        eta = None if self._eta is None else self._eta + self._origin
        return Verdict(alert=True, kind=self._kind.value, oom_eta=eta)

    @property
    def _full(self) -> float:
        return 1 - self._hot

    def _forecast_sudden(self, time: float) -> float:
        stairs = self._stairs
        if stairs is None:
            return self._surge.reaches(self._full) or time + _HOUR
        level = max(stairs.top, self._surge.level)
        latest = time if level > stairs.top + 0.4 * stairs.height else stairs.last_at
        jumps = max(1, ceil((self._full - level) / stairs.height - 0.3))
        return max(time, latest + jumps * stairs.pace)

    def _forecast_steady(self, time: float) -> float | None:
        period = self._troughs.period() if self._kind is LeakKind.CYCLIC else 0.0
        history, started, earliest = self._history, self._started, self._run_started
        if period:
            course = follow_cycles(history, started, earliest, time, period)
        else:
            course = follow(history, started, earliest, time)
        if course is None:
            return None
        self._course = course
        eta = course.reaches(self._full)
        if eta is not None and eta > time + 30:
            return eta
        series = history.series(1)
        line = fit(series.times[-20:], series.means[-20:])
        if line.slope <= 0:
            return None
        return time + max(60.0, (self._full - series.means[-1]) / line.slope)


def bytes_per_hour(detector: LeakDetector) -> float | None:
    slope = detector.slope_kib_per_second
    return None if slope is None else slope * 1024 * _HOUR
