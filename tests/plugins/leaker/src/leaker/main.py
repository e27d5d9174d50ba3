"""Serves, and keeps memory that it needs no more."""

import threading
import time
from collections.abc import Callable
from typing import Any

from heimnetz_sdk.plugin import Context, Input, Output
from heimnetz_sdk.serving import Request, Response

KIB = 1024
STEP_SECONDS = 0.2
#: What a cyclic leak fills and empties, and how often.
SWING_KIB, PERIOD_SECONDS = 16 * KIB, 900.0
#: A sudden leak has grown to so many times what it was a step before.
RUNAWAY = 1.05


def gradual(hours: float, mib_an_hour: float) -> float:
    return hours * mib_an_hour * KIB


def sudden(hours: float, mib_an_hour: float) -> float:
    """Nothing for as long as one MiB takes, and then ever faster."""
    late = hours - 1 / mib_an_hour
    steps = late * 3600 / STEP_SECONDS
    return 0.0 if late <= 0 else min(64 * RUNAWAY ** min(steps, 400), 1024.0 * KIB)


def cyclic(hours: float, mib_an_hour: float) -> float:
    phase = hours * 3600 % PERIOD_SECONDS / PERIOD_SECONDS
    return gradual(hours, mib_an_hour) + SWING_KIB * phase


def none(_hours: float, _mib_an_hour: float) -> float:
    return 0.0


KINDS: dict[str, Callable[[float, float], float]] = {
    "gradual": gradual,
    "sudden": sudden,
    "cyclic": cyclic,
    "none": none,
}


class Leak:
    """Holds as many KiB as its kind says by now."""

    def __init__(self, kind: str, mib_an_hour: float) -> None:
        self._course, self._rate = KINDS[kind], mib_an_hour
        self._began = time.monotonic()
        self._held: list[bytearray] = []

    def grow(self) -> None:
        hours = (time.monotonic() - self._began) / 3600
        wanted = int(self._course(hours, self._rate))
        while len(self._held) < wanted:
            self._held.append(bytearray(KIB))
        del self._held[wanted:]

    def run(self) -> None:
        while True:
            self.grow()
            time.sleep(STEP_SECONDS)

    def answer(self, request: Request) -> Response:
        """With `?seconds=` after that many."""
        time.sleep(min(float(request.query.get("seconds", ["0"])[0]), 30))
        return Response({"held_kib": len(self._held)})


def run(input: Input, context: Context) -> Output:  # noqa: A002
    config: Any = context.config
    leak = Leak(config.get("kind", "gradual"), float(config.get("mib_an_hour", 20)))
    threading.Thread(target=leak.run, daemon=True).start()
    context.serve(leak.answer)
    return {}
