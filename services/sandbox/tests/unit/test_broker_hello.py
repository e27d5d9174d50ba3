import contextlib
import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heimnetz_sandbox.broker.hello import Malformed, NotWhole, is_tls, server_name


def greeting(name: str | None) -> bytes:
    """What a real client says first."""
    context = ssl.create_default_context()
    context.check_hostname = name is not None
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    connection = context.wrap_bio(incoming, outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        connection.do_handshake()
    return outgoing.read()


@pytest.mark.parametrize("name", ["api.example.org", None])
def test_the_name_that_a_client_asks_for_is_read(name: str | None) -> None:
    data = greeting(name)

    assert is_tls(data)
    assert server_name(data) == name


def test_a_greeting_in_pieces_is_waited_for() -> None:
    data = greeting("api.example.org")

    for length in range(1, len(data)):
        with pytest.raises(NotWhole):
            server_name(data[:length])


def test_a_greeting_over_several_records_is_read() -> None:
    message = greeting("api.example.org")[5:]
    pieces = (message[:10], message[10:60], message[60:])
    data = b"".join(b"\x16\x03\x01" + len(piece).to_bytes(2, "big") + piece for piece in pieces)

    assert server_name(data) == "api.example.org"


def test_a_hidden_name_is_no_name() -> None:
    data = bytearray(greeting("api.example.org"))
    at = data.index(b"\x00\x17\x00\x00")  # extended_master_secret, empty
    data[at : at + 2] = b"\xfe\x0d"

    with pytest.raises(Malformed):
        server_name(bytes(data))


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for whole in (data, b"\x16\x03\x01" + len(data).to_bytes(2, "big") + data):
        with contextlib.suppress(NotWhole, Malformed):
            server_name(whole)


@given(st.integers(0, 400), st.integers(0, 255))
def test_an_altered_greeting_is_read_or_refused(position: int, value: int) -> None:
    data = bytearray(greeting("api.example.org"))
    data[position % len(data)] = value
    with contextlib.suppress(NotWhole, Malformed):
        server_name(bytes(data))
