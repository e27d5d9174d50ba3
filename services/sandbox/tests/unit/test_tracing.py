"""Which lines hold memory, without a container."""

import importlib.util
import re
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

FILE = Path(__file__).parents[2] / "runtimes" / "python" / "tracing.py"


@pytest.fixture
def tracing() -> Iterator[Any]:
    spec = importlib.util.spec_from_file_location("tracing", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    tracemalloc.stop()


def test_the_line_that_holds_most_is_named_first(tracing: Any) -> None:
    told: list[Any] = []
    tracing.begin(told.append)

    held = [bytearray(1024) for _ in range(4096)]
    tracing.tell(told.append)

    lines = told[0]["text"].splitlines()
    assert told[0]["type"] == "log"
    assert len(held) == 4096
    assert re.fullmatch(r"memory: [0-9,]+ bytes are held .+", lines[0])
    assert re.fullmatch(r"memory: 4,[0-9,]+ bytes by .*test_tracing.py:[0-9]+", lines[1])
    assert len(lines) <= 1 + tracing.LINES


def test_without_a_trace_nothing_is_told(tracing: Any) -> None:
    told: list[Any] = []

    tracing.tell(told.append)

    assert told == []
