"""The chain of the trail, and what an export of it proves."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heimnetz_manifest.signing import PrivateKey
from heimnetz_manifest.trail import (
    ORIGIN,
    Checkpoint,
    Entry,
    InvalidExport,
    Link,
    digest_of,
    link,
    read_checkpoint,
    sign_checkpoint,
    verify_export,
    write_checkpoint,
    write_link,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
TEXT = st.text(max_size=20)
ENTRIES = st.builds(
    Entry,
    id=st.integers(1, 1 << 62),
    at=st.builds(lambda us: START + timedelta(microseconds=us), st.integers(0, 1 << 50)),
    actor=TEXT,
    action=TEXT,
    plugin=st.none() | TEXT,
    version=st.none() | TEXT,
    state_before=st.none() | TEXT,
    state_after=st.none() | TEXT,
    reason=TEXT,
)


@given(ENTRIES, ENTRIES)
def test_two_entries_have_the_same_digest_only_if_they_are_the_same(
    one: Entry, other: Entry
) -> None:
    assert (digest_of(ORIGIN, one) == digest_of(ORIGIN, other)) is (one == other)


def test_text_cannot_move_from_one_field_to_the_next() -> None:
    entry = Entry(1, START, "ada", "version.approved", "p", None, "", "x", "reason")

    moved = [
        replace(entry, actor="adav", action="ersion.approved"),
        replace(entry, version=""),
        replace(entry, state_before=None),
        replace(entry, state_after="", state_before="x"),
        replace(entry, at=START + timedelta(microseconds=1)),
    ]

    assert digest_of(ORIGIN, entry) not in {digest_of(ORIGIN, one) for one in moved}


@given(st.lists(ENTRIES, min_size=2, max_size=6), st.data())
def test_an_entry_changes_every_link_after_it(entries: list[Entry], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(entries) - 1))
    changed = [*entries]
    changed[at] = replace(entries[at], reason=entries[at].reason + "!")
    origin = Link(0, 0, ORIGIN)

    before, after = list(link(origin, entries)), list(link(origin, changed))

    assert [one == other for one, other in zip(before, after, strict=True)] == [
        place < at for place in range(len(entries))
    ]


KEY, OTHER = PrivateKey.generate(), PrivateKey.generate()
MADE = [
    Entry(n, START, "ada", "version.approved", "p", f"1.0.{n}", None, "x", "") for n in range(9)
]
Lines = list[dict[str, Any]]


def linked(entries: list[Entry]) -> list[Link]:
    return list(link(Link(0, 0, ORIGIN), entries))


def checkpoint(links: list[Link], key: PrivateKey = KEY) -> Checkpoint:
    return sign_checkpoint(key, links[-1], START)


def exported(entries: list[Entry], *signed: Checkpoint) -> Lines:
    """A line for each entry, and after the entry that it ends with one for each checkpoint."""
    lines: Lines = []
    for one, entry in zip(linked(entries), entries, strict=True):
        lines.append(write_link(one, entry))
        lines += [write_checkpoint(at, KEY.public) for at in signed if at.link == one]
    return lines


def problems_of(lines: Lines, noted: Checkpoint | None = None) -> list[str]:
    return verify_export(map(json.dumps, lines), KEY.public, noted).problems


MIDDLE, END = checkpoint(linked(MADE)[:5]), checkpoint(linked(MADE))


def test_an_export_that_nobody_touched_is_signed_up_to_its_last_checkpoint() -> None:
    found = verify_export(map(json.dumps, exported(MADE, MIDDLE, END)), KEY.public, MIDDLE)

    assert found.problems == []
    assert (found.entries, found.checkpoints, found.covered) == (9, 3, 9)
    assert found.covered_at == START


def test_an_entry_that_was_altered_in_an_export_is_named() -> None:
    lines = exported(MADE, END)
    lines[3]["entry"]["actor"] = "eve"

    assert problems_of(lines) == ["entry 3 was altered, or what stood before it"]


def test_an_entry_that_was_removed_from_an_export_is_named_by_its_position() -> None:
    lines = exported(MADE, END)
    del lines[3]

    assert problems_of(lines)[0] == "position 4 is missing, or entries were put in another order"


def test_an_entry_that_the_registry_has_no_more_is_named() -> None:
    lines = exported(MADE, END)
    lines[3]["entry"] = None

    assert problems_of(lines) == ["entry 3 was removed"]


def test_entries_that_were_put_in_another_order_are_found() -> None:
    lines = exported(MADE, END)
    lines[2], lines[3] = lines[3], lines[2]

    assert any("another order" in problem for problem in problems_of(lines))


def test_entries_that_were_altered_and_linked_anew_are_told_by_the_checkpoints() -> None:
    forged = [*MADE]
    forged[6] = replace(MADE[6], actor="eve")
    lines = exported(forged, MIDDLE)
    lines.append(write_checkpoint(END, KEY.public))

    assert problems_of(lines) == [
        "something between positions 5 and 9 was altered, and linked anew"
    ]


def test_what_was_removed_from_the_end_with_its_checkpoints_is_told_by_a_noted_one() -> None:
    lines = exported(MADE[:5], MIDDLE)

    assert problems_of(lines) == []
    assert problems_of(lines, noted=END) == ["entries 6 to 9 by position were removed"]


def test_what_was_removed_from_the_end_is_told_by_a_checkpoint_that_was_left() -> None:
    lines = exported(MADE[:5])
    lines.append(write_checkpoint(END, KEY.public))

    assert problems_of(lines)[0] == "entries 6 to 9 by position were removed"


def test_a_checkpoint_that_another_key_signed_proves_nothing() -> None:
    foreign = checkpoint(linked(MADE), OTHER)

    said = problems_of(exported(MADE, foreign))

    assert said == [
        "the checkpoint at position 9 was not signed with this key",
        "no checkpoint covers these entries",
    ]
    assert problems_of(exported(MADE, END), noted=foreign) == [
        "the noted checkpoint was not signed with this key"
    ]


@pytest.mark.parametrize(
    "changed",
    [
        replace(END, at=START + timedelta(microseconds=1)),
        replace(END, link=replace(END.link, position=8)),
        replace(END, link=replace(END.link, entry=7)),
        replace(END, link=replace(END.link, digest=ORIGIN)),
    ],
)
def test_a_checkpoint_is_signed_in_all_its_parts(changed: Checkpoint) -> None:
    assert END.is_signed_by(KEY.public)
    assert not changed.is_signed_by(KEY.public)


def test_a_checkpoint_survives_writing_and_reading() -> None:
    assert read_checkpoint(write_checkpoint(END, KEY.public)) == (END, KEY.public)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "[]",
        "{}",
        "[" * 60_000,
        json.dumps({**exported(MADE)[0], "digest": "00"}),
        json.dumps({**exported(MADE)[0], "position": -1}),
        json.dumps({**exported(MADE)[0], "position": True}),
        json.dumps({**exported(MADE)[0], "entry": {"id": 1}}),
        json.dumps({**exported(MADE)[0], "reason": "x" * 70_000}),
        json.dumps({"signature": 1}),
        json.dumps({**write_checkpoint(END, KEY.public), "at": "2026-01-01T00:00:00"}),
        json.dumps({**write_checkpoint(END, KEY.public), "at": "0001-01-01T00:00:00+14:00"}),
        json.dumps(
            {**exported(MADE)[0], "entry": {**exported(MADE)[0]["entry"], "reason": "\ud800"}}
        ),
    ],
)
def test_a_line_that_is_neither_entry_nor_checkpoint_is_refused(line: str) -> None:
    with pytest.raises(InvalidExport):
        verify_export([line], KEY.public, None)


@given(st.text(max_size=200))
def test_no_text_does_more_than_be_refused(text: str) -> None:
    with pytest.raises(InvalidExport):
        verify_export([text], KEY.public, None)
