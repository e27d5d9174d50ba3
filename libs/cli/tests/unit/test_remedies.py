"""`heimnetz remedies`: what was done about plugins, and by what policy."""

from typing import Any

from .conftest import MONITOR, Heimnetz

POLICY = {
    "modes": {"recycle": "automatic", "quarantine": "proposed"},
    "most_an_hour": 4,
    "is_dry_run": False,
    "most_memory_bytes": 512 << 20,
}
DONE = {
    "id": 2,
    "plugin": "leaker",
    "version": "1.0.0",
    "action": "recycle",
    "state": "applied",
    "has_helped": True,
    "decided_by": "policy",
    "reason": "its memory grows",
    "detail": "",
}
PROPOSAL = {**DONE, "id": 3, "plugin": "spy\x1b[2J", "action": "quarantine", "state": "proposed"}


def test_what_was_done_and_what_waits_is_listed(platform: Any, heimnetz: Heimnetz) -> None:
    answer = {"policy": POLICY, "items": [PROPOSAL, DONE]}
    platform.on(f"GET {MONITOR}/remedies", answer)

    said = heimnetz("remedies")

    assert said.code == 0, said.err
    lines = said.out.splitlines()
    assert lines[1].startswith("3\tspy\\x1b[2J\t1.0.0\tquarantine\tproposed")
    assert lines[2] == "2\tleaker\t1.0.0\trecycle\tapplied\t\tyes\tpolicy\tits memory grows"


def test_a_choice_keeps_the_rest_of_the_policy(platform: Any, heimnetz: Heimnetz) -> None:
    platform.on(f"GET {MONITOR}/remedies", {"policy": POLICY, "items": []})
    platform.on(f"PUT {MONITOR}/remedies/policy", {**POLICY, "is_dry_run": True})

    said = heimnetz(
        "remedies", "policy", "--set", "quarantine=automatic", "--dry-run", "--memory", "256"
    )

    assert said.code == 0, said.err
    assert platform.sent("/policy") == {
        "modes": {"recycle": "automatic", "quarantine": "automatic"},
        "most_an_hour": 4,
        "is_dry_run": True,
        "most_memory_bytes": 256 << 20,
    }
    assert "dry run" in said.out


def test_a_mode_that_is_none_is_refused_before_anything_is_asked(heimnetz: Heimnetz) -> None:
    said = heimnetz("remedies", "policy", "--set", "quarantine=always")

    assert said.code != 0
    assert "is not REMEDY=automatic" in said.err


def test_a_proposal_that_fails_when_applied_is_a_bad_outcome(
    platform: Any, heimnetz: Heimnetz
) -> None:
    failed = {**PROPOSAL, "state": "failed", "detail": "registry does not answer"}
    platform.on(f"POST {MONITOR}/remedies/3/application", failed)

    said = heimnetz("remedies", "apply", "3")

    assert said.code == 1
    assert "registry does not answer" in said.out
