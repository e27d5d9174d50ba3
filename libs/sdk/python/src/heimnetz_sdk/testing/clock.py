"""A time that tests set."""

import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Self
from unittest import mock

import time_machine


class Clock:
    """Real until it is set. `time.sleep` moves a clock that was set, and waits for nothing."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._travel: time_machine.Traveller | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        self._travel = None

    def set(self, moment: str | datetime) -> None:
        """ISO 8601, or a datetime; UTC where none is named."""
        when = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
        if when.tzinfo is None:
            when = when.replace(tzinfo=UTC)
        if self._travel is not None:
            self._travel.move_to(when, tick=False)
            return
        self._travel = self._stack.enter_context(time_machine.travel(when, tick=False))
        self._stack.enter_context(mock.patch.object(time, "sleep", self.advance))

    def advance(self, seconds: float | timedelta) -> None:
        """Raises: RuntimeError, before `set`."""
        if self._travel is None:
            raise RuntimeError("set the clock before it is advanced")
        self._travel.shift(seconds)
