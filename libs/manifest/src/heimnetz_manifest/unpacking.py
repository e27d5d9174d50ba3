"""Packages are read member by member and never extracted: what is not a plain file is refused."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from heimnetz_manifest import refusals
from heimnetz_manifest.errors import InvalidManifest, Mistake
from heimnetz_manifest.limits import DEFAULT_MAXIMA, Maxima
from heimnetz_manifest.loading import MANIFEST_BYTES
from heimnetz_manifest.members import MEMBERS, Member, TarReader
from heimnetz_manifest.model import MANIFEST_NAME, Manifest
from heimnetz_manifest.parsing import check_files, parse_with_places
from heimnetz_manifest.paths import Places, check_wanted, clean_path, is_native
from heimnetz_manifest.streams import GzipReader

Source = bytes | Path | BinaryIO


@dataclass(frozen=True, slots=True)
class Package:
    """`files` holds what was asked to be kept; `sizes` every file with its size in bytes."""

    manifest: Manifest
    sha256: str
    size_bytes: int
    unpacked_bytes: int
    sizes: dict[str, int] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict, repr=False)


def read_package(source: Source, *, maxima: Maxima = DEFAULT_MAXIMA) -> Package:
    """The whole package in memory, at most 50 MiB.

    Raises: PackageError, InvalidManifest.
    """
    return _read(source, lambda _path: True, maxima)


def inspect_package(source: Source, *, maxima: Maxima = DEFAULT_MAXIMA) -> Package:
    """Everything checked as `read_package` does, but only the manifest kept: memory stays flat.

    Raises: PackageError, InvalidManifest.
    """
    return _read(source, lambda path: path == MANIFEST_NAME, maxima)


def _read(source: Source, is_kept: Callable[[str], bool], maxima: Maxima) -> Package:
    with _opened(source) as stream:
        reader = GzipReader(stream)
        contents = _Contents(is_kept)
        for member in (tar := TarReader(reader)):
            contents.add(member, tar)
        reader.finish()
    manifest, document = parse_with_places(contents.manifest(), maxima=maxima)
    check_files(manifest, document, contents.sizes.keys())
    undeclared = sorted(contents.native - set(manifest.native))
    if undeclared:
        raise refusals.NativeCode(
            "name it under `native` if it is meant to be there", member=undeclared[0]
        )
    return Package(
        manifest=manifest,
        sha256=reader.sha256,
        size_bytes=reader.size_bytes,
        unpacked_bytes=reader.unpacked_bytes,
        sizes=contents.sizes,
        files=contents.files,
    )


def _opened(source: Source) -> nullcontext[BinaryIO] | BinaryIO:
    if isinstance(source, bytes | bytearray | memoryview):
        return io.BytesIO(source)
    if isinstance(source, os.PathLike):
        return Path(source).open("rb")
    return nullcontext(source)


class _Contents:
    def __init__(self, is_kept: Callable[[str], bool]) -> None:
        self.sizes: dict[str, int] = {}
        self.files: dict[str, bytes] = {}
        self.native: set[str] = set()
        self._is_kept = is_kept
        self._places = Places()
        self._count = 0

    def add(self, member: Member, tar: TarReader) -> None:
        path = clean_path(member.raw_name, is_directory=member.is_directory)
        self._count += 1
        if self._count > MEMBERS:
            raise refusals.TooManyMembers(member=path)
        self._places.add(path, is_directory=member.is_directory)
        check_wanted(path)
        if member.is_directory:
            return
        if path == MANIFEST_NAME and member.size_bytes > MANIFEST_BYTES:
            detail = f"the manifest has {member.size_bytes} bytes; at most 65,536 are accepted"
            raise InvalidManifest([Mistake("manifest-too-large", "", detail)])
        self.sizes[path] = member.size_bytes
        self._take(path, tar)

    def _take(self, path: str, tar: TarReader) -> None:
        is_kept = self._is_kept(path)
        kept = bytearray()
        head = b""
        for piece in tar.content():
            head = head or piece[:8]
            if is_kept:
                kept += piece
        if is_kept:
            self.files[path] = bytes(kept)
        if is_native(path, head):
            self.native.add(path)

    def manifest(self) -> bytes:
        """Raises: NoManifest."""
        if MANIFEST_NAME in self.files:
            return self.files[MANIFEST_NAME]
        raise refusals.NoManifest("the archive is empty" if not self.sizes else None)
