"""Which versions are affected: the order of PEP 440 and of SemVer, and OSV's events."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heimnetz_audit import advising
from heimnetz_audit.model.advisories import Advisory


def advisory(*ranges: str, versions: str = "") -> Advisory:
    made = tuple(tuple(each.split()) for each in ranges)
    return Advisory("GHSA-a", "", None, "", made, tuple(versions.split()))


@pytest.mark.parametrize(
    ("ecosystem", "events", "affected", "others"),
    [
        ("PyPI", "i0 f1.0", "0.1 0.9.9 1.0rc1 1.0.dev3", "1.0 1 1.0.0 1.0.post1 1.0+local 2 1!0.1"),
        ("PyPI", "i1.0 f2.0", "1 1.10 1.9.post2 2.0a1", "1.0rc1 0.9 2.0.0"),
        ("PyPI", "i0 l1.0", "0.1 1.0 1", "1.0.post1 1.0.1 2"),
        ("PyPI", "i0 f1.0 i3.0 f3.2", "0.5 3.0 3.1.9", "1.0 2.9 3.2 4"),
        ("PyPI", "f3.2 i3.0 f1.0 i0", "0.5 3.0 3.1.9", "1.0 2.9 3.2 4"),
        ("PyPI", "i1.0", "1.0 2024.1", "0.9"),
        ("PyPI", "i1.0 l1.0", "1.0", "0.9 1.1"),
        ("PyPI", "i0 x2.0", "1.9", "2.0 3"),
        ("PyPI", "i2004d f2", "1.0 1.9", "2 3"),
        ("npm", "i0 f1.10.0", "1.9.0 0.0.1 1.10.0-rc.1", "1.10.0 1.10.0+build 1.11.0"),
        ("npm", "i1.0.0-beta.2 f1.0.0", "1.0.0-beta.11 1.0.0-rc.1", "1.0.0-beta.1 1.0.0"),
        ("npm", "i1.2 l1.2.3", "1.2.0 v1.2.3", "1.2.4 1.1.9"),
    ],
)
def test_a_range_holds_what_its_events_say(
    ecosystem: str, events: str, affected: str, others: str
) -> None:
    def is_affected(version: str) -> bool:
        return advising.is_affected(ecosystem, version, advisory(events))

    assert [version for version in affected.split() if not is_affected(version)] == []
    assert [version for version in others.split() if is_affected(version)] == []


def test_a_version_that_is_listed_is_affected_however_it_is_written() -> None:
    listed = advisory("i3 f4", versions="1.0 2.0rc1")

    assert advising.is_affected("PyPI", "1.0.0", listed)
    assert advising.is_affected("PyPI", "2.0c1", listed)
    assert not advising.is_affected("PyPI", "2.0", listed)


def test_the_version_that_has_nothing_known_is_the_remedy() -> None:
    known = [advisory("i0 f1.5 i2.0 f2.1"), advisory("i1.5 f2.4"), advisory("i2.4 f2.4.1")]

    assert advising.find_fixed("PyPI", "1.0", known) == "2.4.1"
    assert advising.find_fixed("PyPI", "2.4.1", known) == ""
    assert advising.find_fixed("PyPI", "1.0", [advisory("i0 l9.0")]) == ""


@given(st.sampled_from(["PyPI", "npm"]), st.text(max_size=200), st.text(max_size=200))
def test_any_two_texts_can_be_put_in_order(ecosystem: str, one: str, other: str) -> None:
    first, second = advising.key(ecosystem, one), advising.key(ecosystem, other)

    assert (first < second) + (first == second) + (first > second) == 1
