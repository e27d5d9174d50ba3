"""Which lines hold memory, told in the run's log; large, and imported for who is asked alone."""

from __future__ import annotations

import _thread
import time
import tracemalloc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Say = Callable[[dict[str, Any]], None]

PAUSE_SECONDS = 10.0
REPORTS, LINES = 30, 10
MARK = "memory: "


def begin(say: Say) -> None:
    """From now on each allocation is remembered with its line, until the last report."""
    tracemalloc.start()
    _thread.start_new_thread(report_on, (say,))


def report_on(say: Say) -> None:
    for _ in range(REPORTS):
        time.sleep(PAUSE_SECONDS)
        tell(say)
    tracemalloc.stop()


def tell(say: Say) -> None:
    if not tracemalloc.is_tracing():
        return
    snapshot = tracemalloc.take_snapshot()
    ours = [
        tracemalloc.Filter(inclusive=False, filename_pattern=name)
        for name in (__file__, tracemalloc.__file__)
    ]
    held = tracemalloc.get_traced_memory()[0]
    text = f"{MARK}{held:,} bytes are held that were allocated since the trace began\n"
    for entry in snapshot.filter_traces(ours).statistics("lineno")[:LINES]:
        place = entry.traceback[0]
        text += f"{MARK}{entry.size:,} bytes by {place.filename}:{place.lineno}\n"
    say({"type": "log", "text": text})
