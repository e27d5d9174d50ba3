import pytest
from hypothesis import given
from hypothesis import strategies as st

from heimnetz_manifest import InvalidName, InvalidVersion, PluginName, Version
from heimnetz_manifest.names import edit_distance_at_most_one

IDENTIFIERS = st.one_of(
    st.integers(0, 10**9 - 1).map(str),
    st.from_regex(r"[0-9]{0,3}[a-zA-Z-][0-9a-zA-Z-]{0,5}", fullmatch=True),
)
NUMBERS = st.integers(0, 10**9 - 1)
PRE = st.lists(IDENTIFIERS, max_size=3)


def spell(numbers: tuple[int, int, int], pre: list[str]) -> str:
    return ".".join(map(str, numbers)) + ("-" + ".".join(pre) if pre else "")


def by_the_book(numbers: tuple[int, int, int], pre: list[str]) -> tuple[object, ...]:
    """Precedence as section 11 of SemVer 2.0 words it."""
    parts = [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in pre]
    return (numbers, not pre, parts)


@given(st.text())
def test_no_text_can_make_a_name_that_escapes_a_path_or_a_subject(text: str) -> None:
    try:
        name = PluginName(text)
    except InvalidName:
        return

    assert not set(str(name)) & set("./\\\0\n *>$")
    assert 1 <= len(name) <= 63


@given(st.text(max_size=80))
def test_no_text_raises_anything_but_a_refusal_as_a_version(text: str) -> None:
    try:
        version = Version(text)
    except InvalidVersion:
        return

    assert version == text


@given(st.tuples(NUMBERS, NUMBERS, NUMBERS), PRE, st.tuples(NUMBERS, NUMBERS, NUMBERS), PRE)
def test_versions_are_ordered_as_semver_says(
    left: tuple[int, int, int],
    left_pre: list[str],
    right: tuple[int, int, int],
    right_pre: list[str],
) -> None:
    one, other = spell(left, left_pre), spell(right, right_pre)
    if max(len(one), len(other)) > 64:
        return
    expected = by_the_book(left, left_pre) < by_the_book(right, right_pre)

    assert (Version(one).sort_key.encode() < Version(other).sort_key.encode()) is expected


def test_the_example_of_the_specification_is_in_order() -> None:
    ordered = "1.0.0-alpha 1.0.0-alpha.1 1.0.0-alpha.beta 1.0.0-beta 1.0.0-beta.2 1.0.0-beta.11 1.0.0-rc.1 1.0.0"
    versions = [Version(text) for text in ordered.split()]

    assert sorted([*versions[4:], *versions[:4]]) == versions


def test_build_metadata_makes_no_other_precedence() -> None:
    assert Version("1.0.0+a").precedence == Version("1.0.0+b").precedence
    assert Version("1.0.0+a").sort_key == Version("1.0.0+b").sort_key


@pytest.mark.parametrize(
    ("left", "right"), [("foo-bar", "foobar"), ("a-b-c", "abc"), ("foo--bar", "foo-bar")]
)
def test_names_that_differ_in_hyphens_alone_are_twins(left: str, right: str) -> None:
    assert PluginName(left).twin_key == PluginName(right).twin_key


@pytest.mark.parametrize(
    ("left", "right", "close"),
    [
        *(("requests", "request", True), ("requests", "reqeusts", True), ("abc", "abd", True)),
        *(("abc", "abc", True), ("abc", "ab", True), ("", "a", True), ("abc", "xabc", True)),
        *(
            ("abcd", "badc", False),
            ("abc", "xyz", False),
            ("abc", "abcde", False),
            ("abc", "cab", False),
        ),
    ],
)
def test_one_typing_error_is_recognised(left: str, right: str, close: bool) -> None:
    assert edit_distance_at_most_one(left, right) is close
    assert edit_distance_at_most_one(right, left) is close
