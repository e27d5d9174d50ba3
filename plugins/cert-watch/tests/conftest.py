import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from heimnetz_sdk.testing import Clock, Network, Plugin

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))


@pytest.fixture
def plugin(tmp_path: Path) -> Iterator[Plugin]:
    with Network() as network, Clock() as clock:
        yield Plugin(ROOT, tmp_path / "plugin", network, clock)
