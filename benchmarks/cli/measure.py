"""How long the command takes to say how it is used, and to a first result."""

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence

from benchmarks.cli import beginning
from benchmarks.figures import Figure, median

ROUNDS = 31


def measure() -> Iterator[Figure]:
    """In turns with the interpreter alone, so that both meet the same machine."""
    bare, ours = [], []
    for _ in range(ROUNDS):
        bare.append(_seconds([sys.executable, "-c", "pass"]))
        ours.append(_seconds([sys.executable, "-m", "heimnetz_cli", "--help"]))
    yield Figure(
        f"heimnetz --help, median of {ROUNDS}",
        median(ours) * 1000,
        "ms",
        ("python -c pass", median(bare) * 1000),
        "8",
    )
    yield from beginning.measure()


def _seconds(command: Sequence[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began
