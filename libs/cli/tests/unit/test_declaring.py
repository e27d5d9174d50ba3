"""What `heimnetz apply` prints for programs; what it does is tested on a registry."""

import json
from pathlib import Path
from typing import Any

from .conftest import REGISTRY, Heimnetz


def test_a_plan_is_shown_as_json(platform: Any, heimnetz: Heimnetz, tmp_path: Path) -> None:
    file = tmp_path / "state.yaml"
    file.write_text("state: 1\n")
    there = {"items": [{"plugin": "p", "version": "1.0.0"}], "next_cursor": None}
    platform.on(f"GET {REGISTRY}/installations", there)

    said = heimnetz("apply", "-f", file, "--prune", "--dry-run", "--json")

    assert said.code == 0
    assert json.loads(said.out) == {
        "changes": [
            {
                "action": "uninstall",
                "subject": "p",
                "details": ["version 1.0.0; its versions and runs stay"],
            }
        ],
        "outcome": "possible",
    }
    assert len(platform.requests) == 1


def test_a_plan_without_changes_is_shown_as_json(
    platform: Any, heimnetz: Heimnetz, tmp_path: Path
) -> None:
    file = tmp_path / "state.yaml"
    file.write_text("state: 1\n")

    said = heimnetz("apply", "-f", file, "--json")

    assert (said.code, json.loads(said.out)) == (0, {"changes": [], "outcome": "nothing"})
    assert platform.requests == []


def test_a_file_that_is_too_large_is_refused(
    platform: Any, heimnetz: Heimnetz, tmp_path: Path
) -> None:
    file = tmp_path / "state.yaml"
    file.write_text(f"state: 1\n# {'x' * 70_000}\n")

    said = heimnetz("apply", "-f", file, "--yes")

    assert said.code == 7
    assert "65,536" in said.err
    assert platform.requests == []
