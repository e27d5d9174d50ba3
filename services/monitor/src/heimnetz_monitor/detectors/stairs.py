"""A staircase: at least three jumps, each of them kept.

Two jumps happen to healthy containers: an update, a second model loaded. Three in a row without
one given back is a pattern.
"""

import itertools
from dataclasses import dataclass

from heimnetz_monitor.history import History

_JUMPS = 3
_LEAST_JUMP = 0.03  # of the limit
_LEAST_CONSUMED = 0.2  # of the headroom, by all jumps together
_LONGEST_JUMP = 3  # blocks
_SETTLED_SECONDS = 600.0  # the last jump must have been kept so long


@dataclass(frozen=True, slots=True)
class Stairs:
    started: float
    last_at: float
    base: float
    top: float
    jumps: int

    @property
    def pace(self) -> float:
        """Seconds from jump to jump."""
        return (self.last_at - self.started) / (self.jumps - 1)

    @property
    def height(self) -> float:
        return (self.top - self.base) / self.jumps


@dataclass(frozen=True, slots=True)
class _Jump:
    first: int
    last: int
    height: float


def find_stairs(history: History, ring: int) -> Stairs | None:
    series = history.series(ring)
    count = len(series)
    if count < 12:
        return None
    kept = series.lows[:]
    for at in range(count - 2, -1, -1):
        kept[at] = min(kept[at], kept[at + 1])
    growth = kept[-1] - kept[0]
    if growth < max(_LEAST_CONSUMED * (1 - kept[0]), _JUMPS * _LEAST_JUMP):
        return None
    jumps = _find_jumps(kept, max(_LEAST_JUMP, 0.1 * growth))
    is_all_jumps = sum(jump.height for jump in jumps) >= 0.8 * growth
    now = series.times[-1] + series.width / 2
    if jumps and now - series.times[jumps[-1].last] < _SETTLED_SECONDS:
        jumps.pop()
    if len(jumps) < _JUMPS or not is_all_jumps:
        return None
    has_landings = all(after.first - jump.last >= 2 for jump, after in itertools.pairwise(jumps))
    top = kept[jumps[-1].last]
    was_there_before = max(series.lows[: jumps[0].first]) > top - 0.5 * growth
    if was_there_before or not has_landings:
        return None
    started, last_at = series.times[jumps[0].first], series.times[jumps[-1].last]
    return Stairs(started, last_at, kept[0], top, len(jumps))


def _find_jumps(kept: list[float], least: float) -> list[_Jump]:
    jumps = []
    at = 1
    while at < len(kept):
        last = at
        while last < len(kept) and kept[last] - kept[last - 1] >= least / 3:
            last += 1
        height = kept[last - 1] - kept[at - 1]
        if height >= least and last - at <= _LONGEST_JUMP:
            jumps.append(_Jump(at, last - 1, height))
        at = last + 1
    return jumps
