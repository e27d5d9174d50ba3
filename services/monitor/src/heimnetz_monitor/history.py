"""What the detector remembers of a container: four rings, each four times coarser than the last.

The rings hold blocks, not samples: the lowest, mean and highest value of a minute, of four, of
sixteen, of sixty-four. Eighty blocks each reach back 80 minutes, 5 hours, 21 hours and 85 hours, in
the same number of bytes whether the container lives for an hour or for a year.
"""

from array import array
from dataclasses import dataclass

RINGS = 4
SLOTS = 80
FACTOR = 4
_FIELDS = 4  # time, low, mean, high


@dataclass(frozen=True, slots=True)
class Series:
    """Blocks of one ring, oldest first; times in seconds, `width` is the length of a block."""

    width: float
    times: list[float]
    lows: list[float]
    means: list[float]
    highs: list[float]

    def __len__(self) -> int:
        return len(self.times)

    def first_at(self, time: float) -> int:
        """Index of the first block at or after `time`; the length where there is none."""
        return next((at for at, block in enumerate(self.times) if block >= time), len(self.times))


class History:
    """Rings of blocks over a stream of values; times are seconds and must not decrease."""

    __slots__ = ("_count", "_high", "_low", "_rings", "_started", "_total", "closed", "width")

    def __init__(self, width: float) -> None:
        self.width = width
        self.closed = 0  # finest blocks closed so far
        self._rings = tuple(array("f") for _ in range(RINGS))
        self._count = 0
        self._started = self._total = self._low = self._high = 0.0

    def add(self, time: float, value: float) -> bool:
        """Whether this value closed a block, so that there is something new to judge."""
        if not self._count:
            self._open(time, value)
            return False
        if time - self._started >= self.width:
            self._close()
            self._open(time, value)
            return True
        self._count += 1
        self._total += value
        if value < self._low:
            self._low = value
        elif value > self._high:
            self._high = value
        return False

    def series(self, ring: int) -> Series:
        blocks = self._rings[ring]
        return Series(
            self.width * FACTOR**ring,
            blocks[0::_FIELDS].tolist(),
            blocks[1::_FIELDS].tolist(),
            blocks[2::_FIELDS].tolist(),
            blocks[3::_FIELDS].tolist(),
        )

    def closed_rings(self) -> range:
        """The rings that got a block when the latest block closed."""
        rings = 1
        while rings < RINGS and self.closed % FACTOR**rings == 0:
            rings += 1
        return range(rings)

    def covering(self, since: float, now: float) -> Series:
        """The finest ring that reaches back to `since`, or the one that reaches furthest."""
        slack = 0.02 * (now - since)
        best = self.series(0)
        for ring in range(RINGS):
            series = self.series(ring)
            if not series.times:
                break
            best = series
            if series.times[0] - series.width <= since + slack:
                break
        return best

    def rescale(self, factor: float) -> None:
        """Express what is remembered as shares of another limit."""
        for blocks in self._rings:
            for place in range(len(blocks)):
                if place % _FIELDS:
                    blocks[place] *= factor
        self._total *= factor
        self._low *= factor
        self._high *= factor

    def _open(self, time: float, value: float) -> None:
        self._started = time
        self._count = 1
        self._total = self._low = self._high = value

    def _close(self) -> None:
        self.closed += 1
        block = (self._started + self.width / 2, self._low, self._total / self._count, self._high)
        for ring, blocks in enumerate(self._rings):
            blocks.extend(block)
            if len(blocks) > SLOTS * _FIELDS:
                del blocks[:_FIELDS]
            if ring == RINGS - 1 or self.closed % FACTOR ** (ring + 1):
                return
            block = _merge(blocks[-FACTOR * _FIELDS :].tolist())


def _merge(blocks: list[float]) -> tuple[float, float, float, float]:
    count = len(blocks) // _FIELDS
    return (
        sum(blocks[0::_FIELDS]) / count,
        min(blocks[1::_FIELDS]),
        sum(blocks[2::_FIELDS]) / count,
        max(blocks[3::_FIELDS]),
    )
