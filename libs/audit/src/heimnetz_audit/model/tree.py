"""The files of a package, and nothing around them."""

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from heimnetz_audit.model.findings import Unknown

#: No audit reads more than this of one file.
FILE_LIMIT_BYTES = 16 * 1024 * 1024
#: A tree with more files is cut off, and the report says so.
FILES_LIMIT = 50_000


class _Folder(Mapping[str, bytes]):
    """Files of a directory, read when they are asked for, so that a large tree stays on disk."""

    def __init__(self, names: Mapping[str, Path]) -> None:
        self._names = names

    def __getitem__(self, name: str) -> bytes:
        path = self._names[name]
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            return b""
        with os.fdopen(descriptor, "rb") as file:
            return file.read(FILE_LIMIT_BYTES + 1)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


@dataclass(frozen=True)
class SourceTree:
    """Named contents; names are relative POSIX paths, sorted."""

    files: Mapping[str, bytes]
    skipped: tuple[Unknown, ...] = field(default=())

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> "SourceTree":
        skipped = []
        kept: dict[str, bytes] = {}
        for name in sorted(files):
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts or not path.parts:
                skipped.append(Unknown(name, "reading", "the name leaves the tree"))
                continue
            kept[name] = files[name]
        return cls(kept, tuple(skipped))

    @classmethod
    def from_path(cls, path: Path) -> "SourceTree":
        """A file or a directory; symbolic links are named but never followed.

        Raises: FileNotFoundError.
        """
        if path.is_symlink():
            return cls({}, (Unknown(path.name, "reading", "a symbolic link is not followed"),))
        if path.is_file():
            return cls(_Folder({path.name: path}), ())
        if not path.is_dir():
            raise FileNotFoundError(path)
        names: dict[str, Path] = {}
        skipped: list[Unknown] = []
        for folder, folders, entries in os.walk(path, followlinks=False):
            folders.sort()
            for entry in sorted(
                [*entries, *(f for f in folders if (Path(folder) / f).is_symlink())]
            ):
                _sort_in(path, Path(folder) / entry, names, skipped)
        return cls(_Folder(dict(sorted(names.items()))), tuple(sorted(skipped)))


def _sort_in(root: Path, path: Path, names: dict[str, Path], skipped: list[Unknown]) -> None:
    # A name that is no UTF-8 must not break the reports.
    raw = os.fsencode(path.relative_to(root).as_posix())
    name = raw.decode("utf-8", "backslashreplace")
    try:
        mode = path.lstat().st_mode
    except OSError as error:
        skipped.append(Unknown(name, "reading", f"cannot be read: {error.strerror}"))
        return
    if stat.S_ISLNK(mode):
        if not _stays_inside(root, path):
            skipped.append(Unknown(name, "reading", "a symbolic link is not followed"))
    elif not stat.S_ISREG(mode):
        skipped.append(Unknown(name, "reading", "neither a file nor a directory"))
    elif len(names) >= FILES_LIMIT:
        skipped.append(Unknown(name, "reading", f"more than {FILES_LIMIT} files"))
    elif not os.access(path, os.R_OK):
        skipped.append(Unknown(name, "reading", "cannot be read"))
    else:
        names[name] = path


def _stays_inside(root: Path, link: Path) -> bool:
    """Whether the target is a file of this tree, which is looked at under its own name."""
    try:
        target = link.resolve(strict=True)
    except (OSError, RuntimeError):
        return False
    return target.is_file() and target.is_relative_to(root.resolve())
