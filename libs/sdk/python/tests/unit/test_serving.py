"""What the platform asks of a service, beside the service's own requests."""

from collections.abc import Iterator
from typing import Any

import pytest

from heimnetz_sdk import serving
from heimnetz_sdk.serving import DROP_CACHES, Request, answer, on_drop_caches


@pytest.fixture
def dropped() -> Iterator[list[str]]:
    found: list[str] = []
    on_drop_caches(lambda: found.append("dropped"))
    yield found
    serving._DROPPERS.clear()


def ask(path: str, **headers: str) -> Any:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return answer(lambda request: {"own": request.path}, Request("POST", path, given, b"")).status


def test_caches_are_dropped_when_the_sandbox_asks(dropped: list[str]) -> None:
    assert ask(DROP_CACHES) == 204
    assert dropped == ["dropped"]


def test_who_comes_through_the_pages_drops_nothing(dropped: list[str]) -> None:
    assert ask(DROP_CACHES, x_forwarded_prefix="/plugin") == 200
    assert dropped == []


def test_a_service_without_caches_says_so() -> None:
    assert ask(DROP_CACHES) == 404
