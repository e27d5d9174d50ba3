"""Another version in an installation's place: what is said, and what the registry is asked."""

from typing import Any

import httpx

from .conftest import REGISTRY, VERSION, Heimnetz, problem

ROLLBACK = f"{REGISTRY}/installations/p/rollback"
FOUND = {
    "plugin": "p",
    "version": "1.0.0",
    "from_version": "1.1.0",
    "revision": 7,
    "state": "approved",
    "refusal": None,
    "grants": ["network:api.example.org:443"],
    "configuration": {"key": "***"},
    "installed_at": "2026-01-02T03:04:05+00:00",
    "installed_by": "anna",
    "kept_at": "2026-02-02T03:04:05+00:00",
}
REFUSAL = "p 1.0.0 is quarantined; only approved versions can be installed"


def posted(platform: Any) -> list[httpx.Request]:
    return [request for request in platform.requests if request.method == "POST"]


def test_a_rollback_changes_only_what_was_looked_at(platform: Any, heimnetz: Heimnetz) -> None:
    platform.on(f"GET {ROLLBACK}", FOUND)
    platform.on(f"POST {ROLLBACK}", {"plugin": "p", "version": "1.0.0"})

    said = heimnetz("rollback", "p")

    assert said.code == 0, said.err
    assert said.out == "p 1.1.0 -> 1.0.0: rolled back\n"
    assert platform.sent("/rollback") == {"revision": 7}


def test_a_dry_rollback_says_what_it_would_bring_and_changes_nothing(
    platform: Any, heimnetz: Heimnetz
) -> None:
    platform.on(f"GET {ROLLBACK}", FOUND)

    said = heimnetz("rollback", "p", "--dry-run")

    assert said.code == 0, said.err
    assert "p 1.1.0 -> 1.0.0: as anna installed it" in said.out
    assert "granted: network:api.example.org:443" in said.out
    assert posted(platform) == []


def test_a_dry_rollback_that_would_be_refused_says_why(platform: Any, heimnetz: Heimnetz) -> None:
    platform.on(f"GET {ROLLBACK}", {**FOUND, "refusal": REFUSAL})

    said = heimnetz("rollback", "p", "--dry-run")

    assert said.code == 1
    assert REFUSAL in said.out


def test_a_refused_rollback_is_a_conflict(platform: Any, heimnetz: Heimnetz) -> None:
    platform.on(f"GET {ROLLBACK}", {**FOUND, "refusal": REFUSAL})
    platform.on(f"POST {ROLLBACK}", problem(409, "version-not-installable", REFUSAL))

    said = heimnetz("rollback", "p")

    assert said.code == 6
    assert REFUSAL in said.err


def test_a_version_is_shown_with_what_a_rollback_would_bring(
    platform: Any, heimnetz: Heimnetz
) -> None:
    platform.on(f"GET {REGISTRY}/plugins/p/versions/1.1.0", {**VERSION, "version": "1.1.0"})
    without = heimnetz("show", "p@1.1.0")
    platform.on(f"GET {ROLLBACK}", FOUND)

    said = heimnetz("show", "p@1.1.0")

    assert "rollback" not in without.out
    assert "1.1.0 -> 1.0.0, as anna installed it" in said.out


def test_a_choice_of_who_updates_changes_no_version(platform: Any, heimnetz: Heimnetz) -> None:
    answer = {"plugin": "p", "version": "1.0.0", "update_policy": "safe"}
    platform.on(f"PUT {REGISTRY}/installations/p/update-policy", answer)

    said = heimnetz("update", "p", "--policy", "safe")

    assert said.code == 0, said.err
    assert platform.sent("/update-policy") == {"update_policy": "safe"}
    assert "by themselves" in said.out
    assert len(platform.requests) == 1


def test_a_choice_of_who_updates_goes_alone(platform: Any, heimnetz: Heimnetz) -> None:
    for arguments in (["p@1.0.0"], ["p", "--yes"], ["p", "--dry-run"]):
        assert heimnetz("update", *arguments, "--policy", "safe").code == 2
    assert heimnetz("update", "p", "--policy", "never").code == 2
    assert platform.requests == []


def test_an_installation_tells_of_its_trial_and_of_what_was_left(
    platform: Any, heimnetz: Heimnetz
) -> None:
    found = {
        "plugin": "p",
        "version": "1.1.0",
        "update_policy": "safe",
        "canary_until": "2026-02-02T03:04:05+00:00",
        "canary_failures": 2,
        "went_back_from": "1.0.5",
    }
    platform.on(f"GET {REGISTRY}/installations/p", found)
    platform.on(f"GET {REGISTRY}/installations", {"items": [found], "next_cursor": None})

    one, every = heimnetz("installed", "p"), heimnetz("installed")

    assert "2 failed runs in a row" in one.out
    assert "from 1.0.5, which is not taken by itself again" in one.out
    assert "1.1.0 (on trial)" in every.out
