"""Measures and prints a table a room: `make bench`, or `make bench ROOM=ground`.

A room is a folder here with a module `measure` that has `measure() -> Iterator[Figure]`.
"""

import importlib
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.figures import Figure

HERE = Path(__file__).parent


def rooms() -> list[str]:
    return sorted(path.parent.name for path in HERE.glob("*/measure.py"))


def main() -> None:
    wanted = os.environ.get("ROOM", "").split() or rooms()
    unknown = set(wanted) - set(rooms())
    if unknown:
        sys.exit(f"no such room: {', '.join(sorted(unknown))}; there are {', '.join(rooms())}")
    for room in wanted:
        print(f"\n## {room}, {datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores\n", flush=True)
        print("| what | measured | against | ratio | to reach |\n| --- | --- | --- | --- | --- |")
        for figure in importlib.import_module(f"benchmarks.{room}.measure").measure():
            assert isinstance(figure, Figure)
            print(figure.row(), flush=True)


if __name__ == "__main__":
    main()
