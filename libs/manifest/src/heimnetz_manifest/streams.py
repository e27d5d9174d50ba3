"""A gzip stream read strictly: one member, no options, nothing behind it, bounded output."""

from __future__ import annotations

import hashlib
import zlib
from typing import BinaryIO

from heimnetz_manifest import refusals
from heimnetz_manifest.values import KIB, MIB

PACKAGE_BYTES = 20 * MIB
UNPACKED_BYTES = 50 * MIB
RATIO = 50
# Small files of zeros compress a thousandfold honestly; below this nothing can hurt.
_RATIO_FREE_BYTES = 1 * MIB
_CHUNK = 64 * KIB
_HEADER_BYTES = 10
_TRAILER_BYTES = 8
_FILE_NAME_FLAG = 0x08
_LONGEST_FILE_NAME = 255

_OTHER_FORMATS = {
    b"PK": "zip",
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"\xfd7zXZ\x00": "xz",
    b"BZh": "bzip2",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"Rar!": "rar",
    b"\x7fELF": "an ELF program",
    b"%PDF": "PDF",
    b"MZ": "a Windows program",
    b"#!": "a script",
}


class GzipReader:
    """What the stream unpacks to; `finish` checks the end; `sha256` is of the packed bytes."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._digest = hashlib.sha256()
        self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        self._packed = b""
        self._buffer = bytearray()
        self._checksum = 0
        self.size_bytes = 0
        self.unpacked_bytes = 0
        self._read_header()

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def read(self, size: int) -> bytes:
        """Exactly `size` bytes, or fewer at the end of the data."""
        while len(self._buffer) < size and self._unpack():
            pass
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def drain(self) -> None:
        """Unpack what is left, so that a bomb is called one. Raises as reading does."""
        while self._unpack():
            self._buffer.clear()

    def finish(self) -> None:
        """Raises: GzipTruncated, GzipChecksum, SeveralGzipMembers, TrailingData."""
        trailer = self._inflate.unused_data
        while len(trailer) < _TRAILER_BYTES and (more := self._take()):
            trailer += more
        if len(trailer) < _TRAILER_BYTES:
            raise refusals.GzipTruncated
        checksum = int.from_bytes(trailer[:4], "little")
        length = int.from_bytes(trailer[4:8], "little")
        if checksum != self._checksum or length != self.unpacked_bytes:
            raise refusals.GzipChecksum
        rest = trailer[_TRAILER_BYTES:] or self._take()
        if rest[:2] == b"\x1f\x8b":
            raise refusals.SeveralGzipMembers
        if rest:
            raise refusals.TrailingData

    def _take(self) -> bytes:
        data = self._stream.read(_CHUNK)
        self.size_bytes += len(data)
        if self.size_bytes > PACKAGE_BYTES:
            raise refusals.PackageTooLarge
        self._digest.update(data)
        return data

    def _read_header(self) -> None:
        head = b""
        while len(head) < _HEADER_BYTES + _LONGEST_FILE_NAME + 1 and (more := self._take()):
            head += more
        if head[:2] != b"\x1f\x8b":
            raise refusals.NotGzip(_format_of(head))
        if len(head) < _HEADER_BYTES:
            raise refusals.GzipTruncated
        if head[2] != 8 or head[3] & ~_FILE_NAME_FLAG:
            raise refusals.GzipHeader
        start = _HEADER_BYTES
        if head[3] & _FILE_NAME_FLAG:
            end = head.find(b"\0", start, start + _LONGEST_FILE_NAME + 1)
            if end < 0:
                raise refusals.GzipHeader("the file name in the gzip header is too long")
            start = end + 1
        self._packed = head[start:]

    def _unpack(self) -> bool:
        if self._inflate.eof:
            return False
        if not self._packed:
            self._packed = self._take()
        if not self._packed and not self._inflate.unconsumed_tail:
            raise refusals.GzipTruncated
        try:
            data = self._inflate.decompress(self._packed, _CHUNK)
        except zlib.error as error:
            raise refusals.GzipBroken from error
        self._packed = self._inflate.unconsumed_tail
        self._count(data)
        return True

    def _count(self, data: bytes) -> None:
        self.unpacked_bytes += len(data)
        if self.unpacked_bytes > UNPACKED_BYTES:
            raise refusals.UnpackedTooLarge
        if (
            self.unpacked_bytes > _RATIO_FREE_BYTES
            and self.unpacked_bytes > RATIO * self.size_bytes
        ):
            raise refusals.RatioTooHigh
        self._checksum = zlib.crc32(data, self._checksum)
        self._buffer += data


def _format_of(head: bytes) -> str:
    if not head:
        return "the package is empty"
    if head[257:262] == b"ustar":
        return "this is an uncompressed tar; only .tar.gz is accepted"
    for magic, name in _OTHER_FORMATS.items():
        if head.startswith(magic):
            return f"this is {name}; only .tar.gz is accepted"
    return "this does not begin as gzip does; only .tar.gz is accepted"
