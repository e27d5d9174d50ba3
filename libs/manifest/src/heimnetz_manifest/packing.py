"""A directory becomes a package; the same files give the same bytes on every machine."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from heimnetz_manifest import refusals
from heimnetz_manifest.members import BLOCK, FILE_BYTES
from heimnetz_manifest.paths import clean_path
from heimnetz_manifest.unpacking import read_package

_NAME_BYTES = 100
_PREFIX_BYTES = 155
# What a working directory collects and what never belongs in a package.
_LEFT_OUT = frozenset(
    {
        *("__pycache__", "node_modules", "dist", "build", "htmlcov"),
        *("Thumbs.db", "__MACOSX"),
    }
)
_LEFT_OUT_ENDINGS = (".pyc", ".pyo", ".egg-info", ".tar.gz", "~")


def pack(directory: Path) -> bytes:
    """The package of a plugin's directory; hidden files, caches and build results stay out.

    Raises: PackageError, InvalidManifest, as reading it would.
    """
    data = pack_files(
        {path: (directory / path).read_bytes() for path in sorted(list_files(directory))}
    )
    read_package(data)
    return data


def pack_files(files: Mapping[str, bytes]) -> bytes:
    """An archive of exactly these files, unchecked but for what the format can hold.

    Raises: PackageError.
    """
    tar = io.BytesIO()
    for path in sorted(files):
        content = files[path]
        if len(content) > FILE_BYTES:
            raise refusals.FileTooLarge(member=path)
        tar.write(_header(path, len(content)))
        tar.write(content)
        tar.write(bytes(-len(content) % BLOCK))
    tar.write(bytes(2 * BLOCK))
    return _gzip(tar.getvalue())


def list_files(directory: Path) -> Iterator[str]:
    """Paths of what goes into the package. Raises: PackageError."""
    for entry in sorted(directory.iterdir()):
        name = entry.name
        if name.startswith(".") or name in _LEFT_OUT or name.endswith(_LEFT_OUT_ENDINGS):
            continue
        if entry.is_symlink():
            raise refusals.SymbolicLink(member=name)
        if entry.is_dir():
            if (
                entry / "pyvenv.cfg"
            ).is_file():  # a virtual environment, whatever its name; PEP 405
                continue
            yield from (f"{name}/{below}" for below in list_files(entry))
        elif entry.is_file():
            yield name
        else:
            raise refusals.UnknownMember(member=name)


def _header(path: str, size: int) -> bytes:
    prefix, name = _split(clean_path(path.encode(), is_directory=False).encode())
    header = bytearray(
        struct.pack(
            "100s8s8s8s12s12s8s1s100s6s2s32s32s8s8s155s12x",
            name,
            b"0000644\0",
            b"0000000\0",
            b"0000000\0",
            b"%011o\0" % size,
            b"00000000000\0",
            b" " * 8,
            b"0",
            b"",
            b"ustar\0",
            b"00",
            b"",
            b"",
            b"0000000\0",
            b"0000000\0",
            prefix,
        )
    )
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


def _split(path: bytes) -> tuple[bytes, bytes]:
    if len(path) <= _NAME_BYTES:
        return b"", path
    for at, letter in enumerate(path[: _PREFIX_BYTES + 1]):
        if letter == ord("/") and len(path) - at - 1 <= _NAME_BYTES:
            return path[:at], path[at + 1 :]
    raise refusals.PathTooLong("the path cannot be written in a ustar header", member=path.decode())


def _gzip(data: bytes) -> bytes:
    # Header without time, name or system; RFC 1952, section 2.3.
    compressor = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = compressor.compress(data) + compressor.flush()
    trailer = struct.pack("<II", zlib.crc32(data), len(data))
    return b"\x1f\x8b\x08\0\0\0\0\0\x02\xff" + body + trailer
