"""`heimnetz alert test`: which channels a message reaches."""

from typing import Any

import pytest

from .conftest import MONITOR, Heimnetz

ROUTE = f"POST {MONITOR}/channels/test"


def answer(**states: str) -> dict[str, Any]:
    return {"items": [{"channel": name, "state": state} for name, state in states.items()]}


def test_every_channel_that_took_the_message_is_told(platform: Any, heimnetz: Heimnetz) -> None:
    platform.on(ROUTE, answer(mail="arrived", phone="arrived"))

    said = heimnetz("alert", "test")

    assert said.code == 0, said.err
    assert "mail\tarrived\nphone\tarrived" in said.out


@pytest.mark.parametrize(
    ("states", "text"),
    [
        ({"mail": "arrived", "phone": "failed"}, "phone\tfailed"),
        ({"mail": "unanswered"}, "mail\tneither taken nor refused"),
        ({}, "no channel is configured"),
    ],
)
def test_one_that_it_did_not_reach_is_a_bad_outcome(
    platform: Any, heimnetz: Heimnetz, states: dict[str, str], text: str
) -> None:
    platform.on(ROUTE, answer(**states))

    said = heimnetz("alert", "test")

    assert said.code == 1
    assert text in said.out


def test_a_test_is_not_sent_again_when_the_answer_is_lost(
    platform: Any, heimnetz: Heimnetz
) -> None:
    platform.on(ROUTE, {"title": "x"}, status=503)

    heimnetz("alert", "test")

    assert len(platform.requests) == 1
