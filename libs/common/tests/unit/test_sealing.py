import pytest
from hypothesis import given
from hypothesis import strategies as st

from heimnetz_common.sealing import CannotOpen, Sealer, generate_key

SEALER = Sealer.from_text(generate_key())


@given(st.binary(max_size=500), st.text(max_size=50))
def test_a_sealed_value_opens_where_it_belongs(value: bytes, context: str) -> None:
    assert SEALER.open(SEALER.seal(value, context), context) == value


def test_a_sealed_value_does_not_open_elsewhere() -> None:
    sealed = SEALER.seal(b"secret", "a/password")

    with pytest.raises(CannotOpen):
        SEALER.open(sealed, "b/password")


@given(st.integers(0, 34), st.integers(1, 255))
def test_an_altered_value_does_not_open(position: int, change: int) -> None:
    sealed = bytearray(SEALER.seal(b"secret", "a"))
    sealed[position] ^= change

    with pytest.raises(CannotOpen):
        SEALER.open(bytes(sealed), "a")


def test_a_value_sealed_twice_looks_different() -> None:
    assert SEALER.seal(b"secret", "a") != SEALER.seal(b"secret", "a")


def test_another_key_does_not_open_it() -> None:
    with pytest.raises(CannotOpen):
        Sealer.from_text(generate_key()).open(SEALER.seal(b"secret", "a"), "a")


@pytest.mark.parametrize("sealed", [b"", b"\x01", b"\x02" + bytes(40), b"\x01" + bytes(12)])
def test_what_was_never_sealed_does_not_open(sealed: bytes) -> None:
    with pytest.raises(CannotOpen):
        SEALER.open(sealed, "a")
