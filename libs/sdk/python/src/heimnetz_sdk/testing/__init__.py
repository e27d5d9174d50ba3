"""A plugin's own tests: its function called as the platform calls it, without a platform.

A pytest plugin; a project asks for it with `-p heimnetz_sdk.testing`. Needs the extra `testing`.

    def test_it_greets(plugin):
        run = plugin.run({"name": "Ada"})

        assert run.result == {"greeting": "hello Ada"}
        run.assert_permissions_fit()
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from heimnetz_sdk.testing.clock import Clock
from heimnetz_sdk.testing.network import Network, Request
from heimnetz_sdk.testing.running import Plugin, Run
from heimnetz_sdk.testing.storing import MemoryStorage

__all__ = ["Clock", "MemoryStorage", "Network", "Plugin", "Request", "Run"]


@pytest.fixture
def clock() -> Iterator[Clock]:
    """The time that the plugin sees, from the first `set` on; it stands still until told."""
    with Clock() as made:
        yield made


@pytest.fixture
def plugin(pytestconfig: pytest.Config, tmp_path: Path, clock: Clock) -> Iterator[Plugin]:
    """The project's plugin, with storage and a network of its own for this test."""
    with Network() as network:
        yield Plugin(pytestconfig.rootpath, tmp_path / "plugin", network, clock)
