"""What a trial hears, and how much of it."""

import base64

import pytest

from heimnetz_manifest import Grants
from heimnetz_sandbox.model import Touch
from heimnetz_sandbox.observing import MAX_TARGET_CHARACTERS
from heimnetz_sandbox.trialing import MAX_TOUCHES, STORAGE_BYTES, Ears

CANARY = "hnc0123456789abcdef0123456789abcdef"


def ears() -> Ears:
    return Ears({"/key": CANARY}, Grants(()))


@pytest.mark.parametrize(
    "data",
    [
        CANARY.encode(),
        base64.b64encode(b"user:" + CANARY.encode()),
        CANARY.encode().hex().encode(),
        b"\xff\x00" + CANARY.encode() + b"\xfe",
    ],
)
def test_a_canary_is_heard_plain_and_encoded(data: bytes) -> None:
    heard = ears()

    heard.heard("evil.example:443", data)

    assert list(heard.leaks) == [("/key", "sent to evil.example:443")]


def test_a_canary_in_a_name_is_told_without_it() -> None:
    heard = ears()

    heard.saw(Touch("connect", f"{CANARY}.evil.example:443", is_granted=False))

    (touch,) = heard.touches
    assert touch.target == "***.evil.example:443"
    assert list(heard.leaks) == [("/key", "connect")]


def test_what_is_heard_is_bounded() -> None:
    heard = ears()

    heard.saw(Touch("publish", "x" * 10_000, is_granted=False))
    assert [len(touch.target) for touch in heard.touches] == [MAX_TARGET_CHARACTERS]
    for number in range(2000):
        heard.saw(Touch("connect", f"host-{number}:1", is_granted=False))
        heard.heard(f"host-{number}:1", CANARY.encode())

    assert len(heard.touches) == MAX_TOUCHES
    assert len(heard.leaks) == MAX_TOUCHES


async def test_the_storage_of_a_trial_has_a_bound_and_no_past() -> None:
    storage = ears().own["storage"]
    half = b"x" * (STORAGE_BYTES // 2)

    answers = [
        (await storage.answer("PUT", f"/storage/{number}", half)).status for number in range(3)
    ]

    assert answers == [204, 204, 507]
    assert (await storage.answer("GET", "/storage", b"")).body == b'["0", "1"]'
    assert (await storage.answer("DELETE", "/storage/0", b"")).status == 204
    assert (await storage.answer("GET", "/storage/0", b"")).status == 404
    assert (await ears().own["storage"].answer("GET", "/storage", b"")).body == b"[]"
