"""The trail, taken away and verified without the platform."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from heimnetz_manifest.signing import PrivateKey
from heimnetz_manifest.trail import (
    ORIGIN,
    Entry,
    Link,
    link,
    sign_checkpoint,
    write_checkpoint,
    write_link,
)

from .conftest import REGISTRY, Heimnetz, problem

KEY = PrivateKey.generate()
AT = datetime(2026, 1, 1, tzinfo=UTC)
ENTRIES = [Entry(n, AT, "ada", "x", "p", None, None, None, "\x1b[2J\u202e") for n in range(1, 4)]
LINKS = list(link(Link(0, 0, ORIGIN), ENTRIES))
CHAIN = [write_link(*both) for both in zip(LINKS, ENTRIES, strict=True)]
SIGNED = [
    write_checkpoint(sign_checkpoint(KEY, LINKS[at], AT), KEY.public) for at in (0, len(LINKS) - 1)
]


@pytest.fixture
def trail(platform: Any) -> Any:
    path = f"{REGISTRY}/trail"
    platform.on(f"POST {path}/checkpoints", SIGNED[-1])
    platform.on(f"GET {path}/checkpoints", {"items": SIGNED, "next_cursor": None})
    platform.on(
        f"GET {path}/chain",
        {"items": CHAIN[:2], "next_cursor": "x"},
        {"items": CHAIN[2:], "next_cursor": None},
    )
    return platform


@pytest.fixture
def noted(trail: Any, heimnetz: Heimnetz, tmp_path: Path) -> Path:
    file = tmp_path / "checkpoint.json"
    file.write_text(heimnetz("trail", "checkpoint").out)
    return file


@pytest.fixture
def export(trail: Any, heimnetz: Heimnetz, tmp_path: Path) -> Path:
    file = tmp_path / "trail.jsonl"
    file.write_text(heimnetz("trail", "export").out)
    return file


def test_an_export_has_each_checkpoint_after_the_entries_that_it_covers(export: Path) -> None:
    lines = [json.loads(line) for line in export.read_text().splitlines()]

    assert lines == [CHAIN[0], SIGNED[0], CHAIN[1], CHAIN[2], SIGNED[1]]


def test_what_is_signed_during_an_export_is_left_to_the_next_one(
    trail: Any, heimnetz: Heimnetz
) -> None:
    later = write_checkpoint(sign_checkpoint(KEY, Link(9, 9, ORIGIN), AT), KEY.public)
    page = {"items": [*SIGNED, later], "next_cursor": None}
    trail.on(f"GET {REGISTRY}/trail/checkpoints", page)

    lines = [json.loads(line) for line in heimnetz("trail", "export").out.splitlines()]

    assert [line["position"] for line in lines] == [1, 1, 2, 3, 3]


@pytest.mark.parametrize("anchor", ["--checkpoint", "--key"])
def test_an_export_is_verified_offline(
    export: Path, noted: Path, platform: Any, heimnetz: Heimnetz, anchor: str
) -> None:
    asked = len(platform.requests)
    value = noted if anchor == "--checkpoint" else SIGNED[0]["public_key"]

    said = heimnetz("trail", "verify", export, anchor, value)

    assert said.code == 0, said.err
    assert said.out.startswith("3 entries, all as they were written")
    assert len(platform.requests) == asked


def test_an_export_whose_end_was_cut_off_is_exit_code_1(
    export: Path, noted: Path, heimnetz: Heimnetz
) -> None:
    export.write_text("".join(export.read_text().splitlines(keepends=True)[:2]))

    said = heimnetz("trail", "verify", export, "--checkpoint", noted)

    assert said.code == 1
    assert "entries 2 to 3 by position were removed" in said.out


@pytest.mark.parametrize("words", [(), ("--key", "?"), ("--key", "AAAA")])
def test_an_export_is_not_believed_on_its_own_word(
    export: Path, heimnetz: Heimnetz, words: tuple[str, ...]
) -> None:
    assert heimnetz("trail", "verify", export, *words).code != 0


def test_what_is_no_export_is_refused(export: Path, noted: Path, heimnetz: Heimnetz) -> None:
    assert heimnetz("trail", "verify", noted, "--checkpoint", noted).code == 7
    assert heimnetz("trail", "verify", export, "--checkpoint", export).code == 7


def test_a_trail_whose_end_cannot_be_signed_is_exported_all_the_same(
    trail: Any, heimnetz: Heimnetz
) -> None:
    trail.on(f"POST {REGISTRY}/trail/checkpoints", problem(409, "trail-altered", "altered"))

    said = heimnetz("trail", "export")

    assert said.code == 0
    assert len(said.out.splitlines()) == 5
    assert "not signed" in said.err
