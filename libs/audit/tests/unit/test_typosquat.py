"""Names that are made to be taken for others, and honest ones that only look so."""

import re
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heimnetz_audit import Severity, SourceTree, audit
from heimnetz_audit.checks.typosquat import CLEAR_CHARACTERS, MOST_CHARACTERS, POPULAR, imitated

LONG = sorted(name for name in POPULAR if len(name) >= CLEAR_CHARACTERS)


def findings(*names: str, source_only: bool = False) -> list[tuple[int, Severity]]:
    lock = "".join(f"{name}==1.0 --hash=sha256:{'1' * 64}\n" for name in names)
    tree = SourceTree.from_files({"requirements.lock": lock.encode()})
    report = audit(tree, source_only=source_only)
    return [(f.line, f.severity) for f in report.findings if f.rule == "deps-typosquat"]


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("reqeusts", "requests"),
        ("request", "requests"),
        ("requestss", "requests"),
        ("requusts", "requests"),
        ("equests", "requests"),
        ("python-date-util", "python-dateutil"),
        ("pythondateutil", "python-dateutil"),
        ("nurnpy", "numpy"),
        ("c0lorama", "colorama"),
        ("sc1py", "scipy"),
        ("ur11ib3", "urllib3"),
        ("vvheel", "wheel"),
        ("s1x", "six"),
    ],
)
def test_a_name_that_can_be_taken_for_another_is_named_with_it(name: str, known: str) -> None:
    assert imitated(name) == known


@pytest.mark.parametrize(
    "name",
    ["tomli", "toml", "boto", "psycopg2", "adder-tools", "sex", "abc", "a", "requests-adder"],
)
def test_an_honest_name_is_not_asked_about(name: str) -> None:
    assert imitated(name) is None


def test_a_well_known_name_is_written_as_it_is_compared() -> None:
    written = [name for name in POPULAR if re.sub(r"[-_.]+", "-", name).lower() != name]

    assert written == []
    assert max(map(len, POPULAR)) <= MOST_CHARACTERS


def test_no_well_known_name_imitates_another() -> None:
    assert [name for name in POPULAR if imitated(name)] == []


@settings(max_examples=100)
@given(st.sampled_from(LONG), st.data())
def test_one_slip_in_a_well_known_name_is_seen(name: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(name) - 1))
    letter = data.draw(st.sampled_from(string.ascii_lowercase))
    rest = name[place + 1 :]
    slips = [
        name[:place] + rest,
        name[:place] + letter + rest,
        name[:place] + letter + name[place:],
        name[:place] + rest[:1] + name[place] + rest[1:],
    ]

    for slip in slips:
        assert slip in POPULAR or imitated(slip) is not None


def test_the_place_is_the_line_of_the_lock() -> None:
    assert findings("pygal", "beautifulsuop4") == [(2, Severity.HIGH)]


def test_a_short_name_weighs_less() -> None:
    assert findings("click", "clack") == [(2, Severity.MEDIUM)]


def test_a_lock_is_not_asked_about_where_only_code_is() -> None:
    assert findings("reqeusts", source_only=True) == []


def test_names_without_end_are_no_work() -> None:
    assert findings("requests" * 10_000, *(f"requesta{n}x" for n in range(2000))) == []
