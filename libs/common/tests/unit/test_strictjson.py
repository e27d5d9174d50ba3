import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heimnetz_common import strictjson

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(VALUES)
def test_what_json_can_say_is_read_as_it_was_written(value: object) -> None:
    assert strictjson.loads(json.dumps(value)) == value


@pytest.mark.parametrize(
    "text",
    [
        "NaN",
        "[Infinity]",
        "1e400",
        str(2**63),
        "9" * 5000,
        '{"a": 1, "a": 2}',
        r'"\ud800"',
        r'{"a": ["\ud800"]}',
        r'[["\ud800"]]',
        r'{"\ud800": 1}',
        r'"a\u0000b"',
        "[" * 65 + "]" * 65,
        "[" * 200_000,
        '{"a":' * 100_000,
        "",
        "{",
        "\ufeff{}",
    ],
)
def test_a_document_that_parsers_disagree_about_is_refused(text: str) -> None:
    with pytest.raises(strictjson.InvalidJson):
        strictjson.loads(text)


@pytest.mark.parametrize("data", [b"\xff\xfe{\x00}\x00", b'"\xff"', b'"\xed\xa0\x80"'])
def test_bytes_that_are_not_utf_8_are_refused(data: bytes) -> None:
    with pytest.raises(strictjson.InvalidJson):
        strictjson.loads(data)


def test_brackets_inside_strings_are_not_nesting() -> None:
    assert strictjson.loads(json.dumps("[{" * 500 + '\\"')) == "[{" * 500 + '\\"'


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(strictjson.InvalidJson):
        strictjson.loads(data)
