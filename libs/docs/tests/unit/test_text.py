import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heimnetz_docs import text


@pytest.mark.parametrize(
    ("size_bytes", "words"),
    [
        (0, "0 bytes"),
        (1023, "1023 bytes"),
        (1024, "1 KiB"),
        (1536, "1.5 KiB"),
        (128 * 1024**2, "128 MiB"),
        (2**40, "1024 GiB"),
    ],
)
def test_sizes_are_for_people(size_bytes, words):
    assert text.size(size_bytes) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.5, "0.5 s"), (30, "30 s"), (90, "1 min 30 s"), (3600, "1 h"), (5400, "1 h 30 min")],
)
def test_durations_are_for_people(seconds, words):
    assert text.duration(seconds) == words


@given(st.text())
def test_an_anchor_is_always_plain(value):
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,58}[a-z0-9])?", text.slug(value))


@given(st.text())
def test_nothing_invisible_is_left(value):
    assert not set(text.visible(value)) & set(
        "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200b\u0000\u001b\r"
    )


@given(st.text(), st.integers(2, 50))
def test_a_line_is_one_line_and_short(value, limit):
    line = text.line(value, limit)

    assert len(line) <= limit
    assert "\n" not in line
