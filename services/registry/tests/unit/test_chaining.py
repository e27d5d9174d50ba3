from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from heimnetz_registry.chaining import ORIGIN, Copy, digest_of, link
from heimnetz_registry.model import Entry, Link

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


def test_a_copy_keeps_links_and_writes_over_what_a_crash_left_of_one(tmp_path: Path) -> None:
    copy = Copy(tmp_path / "trail")
    links = [Link(at, at * 10, bytes([at]) * 32) for at in range(1, 6)]
    assert copy.read(1, 10) == []
    copy.append(links[:3])
    with (tmp_path / "trail").open("ab") as file:
        file.write(b"half a rec")

    assert copy.length == 3
    copy.append(links[3:])

    assert copy.read(1, 10) == links
    assert copy.read(4, 1) == links[3:4]
