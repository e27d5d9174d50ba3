"""The server name in a TLS ClientHello (RFC 8446, section 4.1.2; RFC 6066, section 3)."""

MAX_HELLO_BYTES = 16 * 1024
_HANDSHAKE, _CLIENT_HELLO = 22, 1
_SERVER_NAME, _ENCRYPTED_HELLO = 0, 0xFE0D


class NotWhole(Exception):
    """More bytes are needed."""


class Malformed(Exception):
    """No ClientHello that a server would take."""


def is_tls(data: bytes) -> bool:
    return data[:1] == bytes([_HANDSHAKE])


def server_name(data: bytes) -> str | None:
    """The name that the client asks for; None where it asks for none.

    A hello that hides its name (Encrypted Client Hello) is as good as one that lies.
    Raises: NotWhole, Malformed.
    """
    hello = _Reader(_join_records(data))
    if hello.number(1) != _CLIENT_HELLO:
        raise Malformed
    body = _Reader(hello.sized(3))
    body.take(2 + 32)
    for width in (1, 2, 1):
        body.sized(width)
    if not body.left:
        return None
    extensions = _Reader(body.sized(2))
    names: list[str] = []
    while extensions.left:
        kind, content = extensions.number(2), extensions.sized(2)
        if kind == _ENCRYPTED_HELLO:
            raise Malformed
        if kind == _SERVER_NAME:
            names += _names(content)
    if len(names) > 1:
        raise Malformed
    return names[0] if names else None


def _names(content: bytes) -> list[str]:
    listed = _Reader(_Reader(content).sized(2))
    found = []
    while listed.left:
        kind, name = listed.number(1), listed.sized(2)
        if kind == 0:
            try:
                found.append(name.decode("ascii"))
            except UnicodeDecodeError as error:
                raise Malformed from error
    return found


def _join_records(data: bytes) -> bytes:
    """The handshake message, which may be spread over several records."""
    message, rest = b"", data
    while True:
        if len(message) >= 4 and len(message) >= 4 + int.from_bytes(message[1:4], "big"):
            return message
        if len(data) >= MAX_HELLO_BYTES:
            raise Malformed
        if len(rest) < 5:
            raise NotWhole
        length = int.from_bytes(rest[3:5], "big")
        if rest[0] != _HANDSHAKE or rest[1] != 3 or not 0 < length <= MAX_HELLO_BYTES:
            raise Malformed
        if len(rest) < 5 + length:
            raise NotWhole
        message += rest[5 : 5 + length]
        rest = rest[5 + length :]


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data

    @property
    def left(self) -> int:
        return len(self._data)

    def take(self, count: int) -> bytes:
        if count > len(self._data):
            raise Malformed
        taken, self._data = self._data[:count], self._data[count:]
        return taken

    def number(self, width: int) -> int:
        return int.from_bytes(self.take(width), "big")

    def sized(self, width: int) -> bytes:
        return self.take(self.number(width))
