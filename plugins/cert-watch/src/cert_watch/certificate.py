"""What an X.509 certificate says of itself (RFC 5280), read from its DER (X.690).

Only what is shown is read. The text is a stranger's: lengths are checked before they are believed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

SEQUENCE, SET, OID, UTC_TIME, GENERALIZED_TIME = 0x30, 0x31, 0x06, 0x17, 0x18
EXTENSIONS, OCTETS, BOOLEAN, DNS_NAME, IP_ADDRESS, VERSION = 0xA3, 0x04, 0x01, 0x82, 0x87, 0xA0
COMMON_NAME, ORGANISATION = bytes.fromhex("550403"), bytes.fromhex("55040a")
ALTERNATIVE_NAMES = bytes.fromhex("551d11")
MAX_NAMES, MAX_CHARACTERS = 50, 200


class Unreadable(ValueError):
    """It is no certificate that can be read."""


@dataclass(frozen=True)
class Certificate:
    subject: str
    issuer: str
    begins_at: datetime
    ends_at: datetime
    names: tuple[str, ...]
    is_self_signed: bool


@dataclass(frozen=True)
class Part:
    tag: int
    content: bytes


def parts(data: bytes) -> Iterator[Part]:
    """Raises: Unreadable."""
    at = 0
    while at < len(data):
        if at + 2 > len(data):
            raise Unreadable("it ends too early")
        tag, length, at = data[at], data[at + 1], at + 2
        if length & 0x80:
            size = length & 0x7F
            if not 1 <= size <= 4 or at + size > len(data):
                raise Unreadable("a length cannot be read")
            length, at = int.from_bytes(data[at : at + size], "big"), at + size
        if at + length > len(data):
            raise Unreadable("a part is longer than all of it")
        yield Part(tag, data[at : at + length])
        at += length


def inside(part: Part, tag: int) -> list[Part]:
    """Raises: Unreadable."""
    if part.tag != tag:
        raise Unreadable(f"a part is {part.tag:#x}, not {tag:#x}")
    return list(parts(part.content))


def read(der: bytes) -> Certificate:
    """Raises: Unreadable."""
    try:
        return _read(der)
    except (ValueError, IndexError) as error:
        raise Unreadable(str(error)) from error


def _read(der: bytes) -> Certificate:
    (whole,) = parts(der)
    body = inside(inside(whole, SEQUENCE)[0], SEQUENCE)
    if body[0].tag == VERSION:
        body = body[1:]
    _serial, _algorithm, issuer, validity, subject, _key, *rest = body
    begins, ends = inside(validity, SEQUENCE)
    return Certificate(
        subject=name(subject),
        issuer=name(issuer),
        begins_at=time(begins),
        ends_at=time(ends),
        names=tuple(alternative_names(rest)),
        is_self_signed=subject.content == issuer.content,
    )


def name(part: Part) -> str:
    """The common name, or the organisation where there is none."""
    found: dict[bytes, str] = {}
    for group in inside(part, SEQUENCE):
        for pair in inside(group, SET):
            kind, value, *_ = [*inside(pair, SEQUENCE), Part(0, b""), Part(0, b"")]
            found.setdefault(kind.content, text(value.content))
    return found.get(COMMON_NAME) or found.get(ORGANISATION) or ""


def time(part: Part) -> datetime:
    """Raises: Unreadable."""
    shape = {UTC_TIME: "%y%m%d%H%M%SZ", GENERALIZED_TIME: "%Y%m%d%H%M%SZ"}.get(part.tag, "")
    try:
        found = datetime.strptime(part.content.decode("ascii"), shape).replace(tzinfo=UTC)
    except ValueError as error:
        raise Unreadable("a time cannot be read") from error
    # Two digits mean 1950 to 2049 (RFC 5280, section 4.1.2.5.1).
    return found.replace(year=found.year - 100) if shape[1] == "y" and found.year > 2049 else found


def alternative_names(rest: list[Part]) -> Iterator[str]:
    for part in rest:
        if part.tag != EXTENSIONS:
            continue
        (listed,) = inside(part, EXTENSIONS)
        for extension in inside(listed, SEQUENCE):
            kind, *_, value = inside(extension, SEQUENCE)
            if kind.content == ALTERNATIVE_NAMES and value.tag == OCTETS:
                (names,) = parts(value.content)
                yield from list(shown(inside(names, SEQUENCE)))[:MAX_NAMES]


def shown(names: list[Part]) -> Iterator[str]:
    for part in names:
        if part.tag == DNS_NAME:
            yield text(part.content)
        elif part.tag == IP_ADDRESS and len(part.content) == 4:
            yield ".".join(map(str, part.content))


def text(data: bytes) -> str:
    return data.decode("utf-8", "replace")[:MAX_CHARACTERS]
