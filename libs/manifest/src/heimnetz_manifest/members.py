"""The members of a tar archive, read strictly: ustar headers, plain files and directories."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from heimnetz_manifest import refusals
from heimnetz_manifest.streams import GzipReader
from heimnetz_manifest.values import KIB, MIB

BLOCK = 512
MEMBERS = 2000
FILE_BYTES = 10 * MIB
_PAX_BYTES = 8 * KIB
_PADDING_BYTES = 64 * KIB
_SPECIAL_BITS = 0o7000
_OCTAL = re.compile(rb" *([0-7]{1,12})[ \0]*\Z")
_PAX_RECORD = re.compile(rb"([1-9][0-9]{0,5}) ([^=\n\0]{1,200})=")
# What archivers note beside a member and what changes nothing about it.
_HARMLESS_PAX = frozenset(
    {b"mtime", b"atime", b"ctime", b"uid", b"gid", b"uname", b"gname", b"comment"}
)
_HARMLESS_PAX_PREFIXES = (
    b"LIBARCHIVE.",
    b"SCHILY.xattr.",
    b"SCHILY.fflags",
    b"SCHILY.dev",
    b"SCHILY.ino",
    b"SCHILY.nlink",
)
_REFUSED = {
    b"1": refusals.HardLink,
    b"2": refusals.SymbolicLink,
    b"3": refusals.Device,
    b"4": refusals.Device,
    b"6": refusals.Fifo,
    b"S": refusals.Sparse,
    b"L": refusals.PaxOverride,
    b"K": refusals.PaxOverride,
}


@dataclass(frozen=True, slots=True)
class Member:
    """`raw_name` is what the header says, unchecked."""

    raw_name: bytes
    is_directory: bool
    size_bytes: int
    is_executable: bool


class TarReader:
    """Iterate for the members; `content` gives the bytes of the last one, once."""

    def __init__(self, stream: GzipReader) -> None:
        self._stream = stream
        self._unread = 0
        self._count = 0

    def __iter__(self) -> Iterator[Member]:
        while (header := self._header()) is not None:
            yield header
            self._skip()

    def content(self) -> Iterator[bytes]:
        """The member in pieces of at most 64 KiB."""
        while self._unread:
            piece = self._stream.read(min(self._unread, 64 * KIB))
            if not piece:
                raise refusals.NoEnd("the archive ends inside a file")
            self._unread -= len(piece)
            if not self._unread:
                self._skip_padding(self._size)
            yield piece

    def _skip(self) -> None:
        for _ in self.content():
            pass

    def _skip_padding(self, size: int) -> None:
        padding = -size % BLOCK
        if len(self._stream.read(padding)) != padding:
            raise refusals.NoEnd("the archive ends inside a file")

    def _header(self) -> Member | None:
        while True:
            block = self._block()
            if block is None:
                return None
            kind = block[156:157]
            if kind not in {b"x", b"g"}:
                return self._member(block, kind)
            self._read_pax(_number(block[124:136]))

    def _block(self) -> bytes | None:
        block = self._stream.read(BLOCK)
        if len(block) < BLOCK:
            raise refusals.NoEnd if self._count else refusals.NotTar
        if not any(block):
            self._read_end()
            return None
        self._count += 1
        # Extended headers count as well, or they would be free.
        if self._count > 2 * MEMBERS:
            raise refusals.TooManyMembers
        if block[257:263] not in {b"ustar\0", b"ustar "}:
            if self._count > 1:
                raise refusals.BadHeader
            self._stream.drain()
            raise refusals.NotTar("this is no ustar, GNU or PAX archive")
        total = sum(block) - sum(block[148:156]) + 8 * ord(" ")
        if _number(block[148:156]) != total:
            raise refusals.BadHeader("the checksum of a header does not fit")
        return block

    def _member(self, block: bytes, kind: bytes) -> Member:
        name = _name(block)
        if kind in _REFUSED:
            raise _REFUSED[kind](member=_printable(name))
        if kind not in {b"0", b"\0", b"5"}:
            raise refusals.UnknownMember(member=_printable(name))
        mode = _number(block[100:108])
        if mode & _SPECIAL_BITS:
            raise refusals.SpecialBits(member=_printable(name))
        if block[157:257].strip(b"\0"):
            raise refusals.BadHeader("a plain member has a link target", member=_printable(name))
        size = _number(block[124:136])
        is_directory = kind == b"5"
        if is_directory and size:
            raise refusals.BadHeader("a directory has content", member=_printable(name))
        if size > FILE_BYTES:
            raise refusals.FileTooLarge(member=_printable(name))
        self._unread = self._size = size
        return Member(name, is_directory, size, bool(mode & 0o111))

    def _read_pax(self, size: int) -> None:
        if size > _PAX_BYTES:
            raise refusals.PaxTooLarge
        data = self._stream.read(size)
        if len(data) < size:
            raise refusals.NoEnd
        self._skip_padding(size)
        while data:
            match = _PAX_RECORD.match(data)
            length = int(match[1]) if match else 0
            if (
                match is None
                or length > len(data)
                or length <= match.end()
                or data[length - 1 : length] != b"\n"
            ):
                raise refusals.PaxBroken
            key = match[2]
            if key.startswith(b"GNU.sparse"):
                raise refusals.Sparse
            if key not in _HARMLESS_PAX and not key.startswith(_HARMLESS_PAX_PREFIXES):
                raise refusals.PaxOverride(
                    f"an extended header sets {_printable(key)}; pack with `heimnetz pack`, "
                    "which writes names as they are"
                )
            data = data[length:]

    def _read_end(self) -> None:
        second = self._stream.read(BLOCK)
        if len(second) < BLOCK:
            raise refusals.NoEnd
        if any(second):
            raise refusals.DataAfterEnd
        rest = self._stream.read(_PADDING_BYTES + 1)
        if len(rest) > _PADDING_BYTES or any(rest):
            self._stream.drain()
            raise refusals.DataAfterEnd


def _number(field: bytes) -> int:
    """An octal field; base-256 and signs are refused, since no accepted member needs them."""
    match = _OCTAL.match(field)
    if match is None:
        if not field.strip(b" \0"):
            return 0
        raise refusals.BadNumber
    return int(match[1], 8)


def _name(block: bytes) -> bytes:
    name = _until_nul(block[0:100])
    if block[257:263] == b"ustar ":
        # GNU keeps other things where ustar has the prefix.
        if block[345:500].strip(b"\0"):
            raise refusals.BadHeader("a GNU header has fields that plain files do not need")
        return name
    prefix = _until_nul(block[345:500])
    return prefix + b"/" + name if prefix else name


def _until_nul(field: bytes) -> bytes:
    text, _, rest = field.partition(b"\0")
    if rest.strip(b"\0"):
        raise refusals.NulInName(member=_printable(text))
    return text


def _printable(name: bytes) -> str:
    return name.decode("utf-8", "backslashreplace")
