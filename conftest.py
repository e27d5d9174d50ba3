"""Fixtures for every test of the repository."""

import pytest
import structlog
from hypothesis import HealthCheck, settings

pytest_plugins = ["heimnetz_common.testing"]

# Tracebacks without pictures of every frame's locals, which take seconds to draw.
structlog.configure(
    processors=[
        *structlog.get_config()["processors"][:-1],
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ]
)

# No test is about time, and a busy machine is no defect.
settings.register_profile(
    "untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("untimed")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """In random order, but that what takes long begins first."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)
