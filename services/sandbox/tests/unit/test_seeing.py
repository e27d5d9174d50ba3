"""What the Python runner sees, without a container."""

import importlib.util
import threading
from pathlib import Path
from typing import Any

FILE = Path(__file__).parents[2] / "runtimes" / "python" / "seeing.py"


def new_watch() -> Any:
    spec = importlib.util.spec_from_file_location("seeing", FILE)
    assert spec is not None
    assert spec.loader is not None
    seeing = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(seeing)
    return seeing.Watch()


def test_each_touch_is_told_once_and_so_many_at_most() -> None:
    watch, told = new_watch(), []
    watch.tell = lambda *touch: told.append(touch)

    for number in range(500):
        for _ in range(2):
            watch.hook("open", (f"/etc/{number}", "r", 0))

    assert told == [("read", f"/etc/{number}") for number in range(200)]


def test_what_one_thread_tells_does_not_hide_what_another_touches() -> None:
    watch, told = new_watch(), []

    def tell(kind: str, target: str) -> None:
        told.append((kind, target))
        other = threading.Thread(target=watch.hook, args=("open", ("/etc/second", "w", 0)))
        other.start()
        other.join()

    watch.tell = tell
    watch.hook("open", ("/etc/first", "r", 0))

    assert told == [("read", "/etc/first"), ("write", "/etc/second")]
