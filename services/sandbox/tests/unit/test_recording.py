import base64
from urllib.parse import quote

from hypothesis import example, given
from hypothesis import strategies as st

from heimnetz_sandbox.recording import MAX_LINE_CHARACTERS, Log, Masker, visible


def texts(log: Log) -> list[tuple[str, str]]:
    return [(line.stream, line.text) for line in log.pending]


def test_lines_are_put_together_from_any_portions() -> None:
    log = Log(1000, Masker([]))

    for part in ("a", "b\nc", "", "\r\nd"):
        log.write("stdout", part)
    log.write("stderr", "e")
    log.end()

    assert texts(log) == [("stdout", "ab"), ("stdout", "c"), ("stdout", "d"), ("stderr", "e")]


@given(st.lists(st.text(max_size=50), max_size=20), st.integers(16, 200))
def test_no_log_is_larger_than_its_limit(parts: list[str], limit: int) -> None:
    full: list[bool] = []
    log = Log(limit, Masker([]), lambda: full.append(True))

    for part in parts:
        log.write("stdout", part)
    log.end()

    kept = sum(len(text.encode()) + 1 for stream, text in texts(log) if stream != "sandbox")
    assert kept <= limit + 1
    assert full == [True] * log.is_truncated


@given(st.text())
def test_nothing_that_a_terminal_obeys_is_left(text: str) -> None:
    shown = visible(text)

    assert not any(ord(char) < 32 and char != "\t" for char in shown)
    assert not set(shown) & {"\x7f", "\x9b", "\u202e", "\u2066", "\u200f", "\u2028"}
    shown.encode()


def test_an_endless_line_is_cut_into_lines() -> None:
    log = Log(1 << 20, Masker([]))

    for _ in range(10):
        log.write("stdout", "x" * 10_000)
    log.end()

    assert {len(text) for _, text in texts(log)} <= {
        MAX_LINE_CHARACTERS,
        100_000 % MAX_LINE_CHARACTERS,
    }


@given(st.text(st.characters(codec="utf-8"), min_size=6, max_size=40), st.binary(max_size=7))
@example("000000", bytes(7))
def test_a_secret_is_masked_in_the_forms_that_programs_print(secret: str, before: bytes) -> None:
    masker = Masker([secret])
    raw = secret.encode()

    for text in (
        secret,
        quote(secret, safe=""),
        raw.hex(),
        base64.b64encode(raw).decode(),
        base64.b64encode(before + raw).decode(),
        base64.urlsafe_b64encode(before + raw + b"tail").decode(),
    ):
        for line in text.splitlines():
            if len(line) >= 4:
                assert "***" in masker.mask(line), text


def test_each_line_of_a_secret_key_is_masked() -> None:
    masker = Masker(["-----BEGIN KEY-----\nMC4CAQAwBQYDK2Vw\n-----END KEY-----"])

    assert masker.mask("MC4CAQAwBQYDK2Vw") == "***"


def test_without_secrets_nothing_is_masked() -> None:
    assert Masker(["", "abc"]).mask("abc ***") == "abc ***"
