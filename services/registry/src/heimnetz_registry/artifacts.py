"""Packages on disk, each under its own digest; what is there is whole, or it is not there."""

import asyncio
import errno
import hashlib
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from heimnetz_common.errors import Full, Unavailable
from heimnetz_manifest.refusals import PackageTooLarge
from heimnetz_manifest.streams import PACKAGE_BYTES
from heimnetz_registry.errors import PackageDamaged, UploadTooSlow, refusal

_BATCH_BYTES = 512 * 1024
_READ_BYTES = 64 * 1024
_SILENCE_SECONDS = 30.0
# A sender slower than this on average only holds a connection; row 68 of the hostile inputs.
_SLOWEST_BYTES_PER_SECOND = 1024
_PATIENCE_SECONDS = 60.0
ORPHAN_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Opened:
    """A package whose bytes were verified; iterate once."""

    size_bytes: int
    _file: BinaryIO

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            while piece := await asyncio.to_thread(self._file.read, _READ_BYTES * 4):
                yield piece
        finally:
            self._file.close()


class Artifacts:
    """The volume: `incoming/` for uploads under way, `sha256/ab/abcd…` for what was published."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._incoming = root / "incoming"

    def prepare(self) -> None:
        """Raises: Unavailable, Full."""
        with _translated():
            self._incoming.mkdir(parents=True, exist_ok=True)
            (self._root / "sha256").mkdir(exist_ok=True)

    async def check(self) -> None:
        """Raises: Unavailable."""
        if not await asyncio.to_thread(os.access, self._incoming, os.W_OK):
            raise Unavailable("the volume of the packages is not writable")

    async def receive(self, pieces: AsyncIterator[bytes]) -> Path:
        """A file with exactly these bytes; the caller keeps or discards it.

        Raises: PackageTooLarge as the registry says it, UploadTooSlow, Full, Unavailable.
        """
        path = self._incoming / f"{uuid4().hex}.part"
        with _translated():
            file = await asyncio.to_thread(path.open, "xb")
        try:
            await self._write(file, pieces)
        except BaseException:
            with suppress(OSError):
                file.close()
            self.discard(path)
            raise
        file.close()
        return path

    async def _write(self, file: BinaryIO, pieces: AsyncIterator[bytes]) -> None:
        buffer = bytearray()
        size = 0
        started = time.monotonic()
        async for piece in _in_time(pieces):
            size += len(piece)
            buffer += piece
            if size > PACKAGE_BYTES:
                raise refusal(PackageTooLarge())
            waited = time.monotonic() - started
            if waited > _PATIENCE_SECONDS and size < _SLOWEST_BYTES_PER_SECOND * waited:
                raise UploadTooSlow("less than 1 KiB a second")
            if len(buffer) >= _BATCH_BYTES:
                await _append(file, buffer)
        await _append(file, buffer)

    async def make_durable(self, path: Path) -> None:
        """Raises: Full, Unavailable."""
        with _translated():
            await asyncio.to_thread(_sync_file, path)

    async def keep(self, path: Path, sha256: str) -> None:
        """Put a received file in its place; the same bytes there before are replaced by these.

        Raises: Full, Unavailable.
        """
        with _translated():
            await asyncio.to_thread(_rename_durably, path, self._path(sha256))

    def discard(self, path: Path) -> None:
        with suppress(OSError):
            path.unlink()

    async def open(self, sha256: str) -> Opened:
        """Verified from the first to the last byte before anything is served.

        Raises: PackageDamaged.
        """
        return await asyncio.to_thread(self._open, sha256)

    def _open(self, sha256: str) -> Opened:
        try:
            file = self._path(sha256).open("rb")
        except OSError as error:
            raise PackageDamaged(sha256) from error
        try:
            if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                raise PackageDamaged(sha256)
            size = file.tell()
            file.seek(0)
        except OSError as error:
            file.close()
            raise PackageDamaged(sha256) from error
        except PackageDamaged:
            file.close()
            raise
        return Opened(size, file)

    async def remove(self, sha256: str) -> None:
        with suppress(OSError):
            await asyncio.to_thread(self._path(sha256).unlink)

    def sweep_incoming(self, older_than_seconds: float) -> int:
        """Remove uploads that nobody finishes; how many."""
        return sum(_remove_if_old(path, older_than_seconds) for path in self._incoming.iterdir())

    def list_old(self) -> list[str]:
        """Digests whose files are old enough to be swept, should no version have them."""
        old = time.time() - ORPHAN_SECONDS
        found = []
        for path in (self._root / "sha256").glob("*/*"):
            with suppress(OSError):
                if path.stat().st_mtime < old:
                    found.append(path.name)
        return found

    def remove_if_old(self, sha256: str) -> bool:
        """Looks at the time again: the same bytes may have been published meanwhile."""
        return _remove_if_old(self._path(sha256), ORPHAN_SECONDS)

    def _path(self, sha256: str) -> Path:
        return self._root / "sha256" / sha256[:2] / sha256


async def _in_time(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Raises: UploadTooSlow, when the sender is silent."""
    iterator = aiter(pieces)
    while True:
        try:
            async with asyncio.timeout(_SILENCE_SECONDS):
                piece = await anext(iterator)
        except StopAsyncIteration:
            return
        except TimeoutError as error:
            raise UploadTooSlow(f"nothing came for {_SILENCE_SECONDS:.0f} s") from error
        yield piece


async def _append(file: BinaryIO, buffer: bytearray) -> None:
    data = bytes(buffer)
    buffer.clear()
    with _translated():
        await asyncio.to_thread(_write_through, file, data)


def _write_through(file: BinaryIO, data: bytes) -> None:
    # Flushed at once, so that a full disk is noticed here and not when closing.
    file.write(data)
    file.flush()


def _sync_file(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _rename_durably(source: Path, target: Path) -> None:
    target.parent.mkdir(exist_ok=True)
    source.rename(target)
    for directory in (target.parent, target.parent.parent):
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _remove_if_old(path: Path, seconds: float) -> bool:
    with suppress(OSError):
        if path.stat().st_mtime < time.time() - seconds:
            path.unlink()
            return True
    return False


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise Full("the volume of the packages is full") from error
        raise Unavailable("the volume of the packages cannot be used") from error
