"""What a draft reaches for: told within bounds, and refused without a grant."""

from heimnetz_manifest import Grants
from heimnetz_sandbox.broker.answering import Answer
from heimnetz_sandbox.drafting import Reach
from heimnetz_sandbox.model import Touch
from heimnetz_sandbox.observing import MAX_TARGET_CHARACTERS
from heimnetz_sandbox.trialing import MAX_TOUCHES, STORAGE_BYTES

ASKED = {
    "storage": ("PUT", "/storage/k"),
    "events": ("POST", "/events/a.b.v1"),
    "plugins": ("POST", "/plugins/neighbour/runs"),
}


async def ask(reach: Reach) -> dict[str, tuple[Answer, bool]]:
    return {
        part: (await own.answer(*ASKED[part], b"{}"), own.touch(*ASKED[part]).is_granted)
        for part, own in reach.own.items()
    }


def test_what_is_told_is_bounded() -> None:
    reach = Reach(Grants())

    for number in range(2 * MAX_TOUCHES):
        reach.saw(Touch("connect", f"{number}{'x' * 10_000}", is_granted=False))

    assert len(reach.touches) == MAX_TOUCHES
    assert {len(touch.target) for touch in reach.touches} == {MAX_TARGET_CHARACTERS}


async def test_without_a_grant_everything_is_refused() -> None:
    answers = await ask(Reach(Grants()))

    assert {part: (one.status, is_granted) for part, (one, is_granted) in answers.items()} == {
        "storage": (403, False),
        "events": (403, False),
        "plugins": (403, False),
    }


async def test_what_is_granted_leads_nowhere() -> None:
    answers = await ask(Reach(Grants(["storage:1024", "publish:a.b.v1", "call:neighbour"])))

    assert {part: (one.status, is_granted) for part, (one, is_granted) in answers.items()} == {
        "storage": (204, True),
        "events": (204, True),
        "plugins": (503, True),
    }


async def test_a_drafts_storage_has_its_grants_room_and_never_more_than_ours() -> None:
    small = Reach(Grants(["storage:1024"])).own["storage"]
    large = Reach(Grants([f"storage:{64 << 20}"])).own["storage"]

    answers = [
        await small.answer("PUT", "/storage/k", b"x" * 1025),
        await large.answer("PUT", "/storage/k", b"x" * (STORAGE_BYTES + 1)),
    ]

    assert [answer.status for answer in answers] == [507, 507]
