"""The directory that the gateway serves. Whatever is visible in it is whole.

    .staging/           work in progress, readable by nobody else, emptied at start
    .trees/             finished directories, written once, never changed
    PLUGIN -> .trees/…  a plugin's pages; its versions are links to trees of their own
    platform -> …       the platform's documentation
    index.html …        the index, each file replaced as a whole

A link is replaced by one rename, so that a reader sees the old pages or the new ones, also when
the process dies at any step; what is left over is swept away.
"""

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from uuid import uuid4

STAGING = ".staging"
TREES = ".trees"
_DIRECTORY_MODE = 0o755
_FILE_MODE = 0o644


class Trees:
    def __init__(self, root: Path) -> None:
        self._root = root
        self._staging = root / STAGING
        self._trees = root / TREES

    def prepare(self) -> None:
        """Make what is missing, and remove what an earlier process left unfinished."""
        shutil.rmtree(self._staging, ignore_errors=True)
        self._staging.mkdir(mode=0o700)
        self._trees.mkdir(mode=_DIRECTORY_MODE, exist_ok=True)
        self.sweep()

    def check(self) -> None:
        """Raises: OSError, when pages cannot be written."""
        probe = self._staging / f"probe-{uuid4().hex}"
        probe.mkdir()
        probe.rmdir()

    def stage(self) -> Path:
        folder = self._staging / uuid4().hex
        folder.mkdir(mode=0o700)
        return folder

    def discard(self, staged: Path) -> None:
        shutil.rmtree(staged, ignore_errors=True)

    def keep(self, staged: Path, label: str) -> str:
        """Make a staged directory a tree; its name. It is on the disk, and visible to nobody."""
        name = f"{label}.{uuid4().hex[:12]}"
        for folder, _, files in os.walk(staged):
            for file in files:
                path = Path(folder, file)
                if not path.is_symlink():
                    path.chmod(_FILE_MODE)
                    _sync(path)
            Path(folder).chmod(_DIRECTORY_MODE)
            _sync(Path(folder))
        staged.rename(self._trees / name)
        _sync(self._trees)
        return name

    def read(self, tree: str, path: str) -> bytes:
        return (self._trees / tree / path).read_bytes()

    def publish(self, name: str, files: Mapping[str, bytes], versions: Mapping[str, str]) -> None:
        """Swap a directory of the site: its own files, and links to the trees of its versions."""
        staged = self.stage()
        _write(staged, files)
        for version, tree in versions.items():
            (staged / version).symlink_to(f"../{tree}")
        self._point(name, self.keep(staged, name))

    def withdraw(self, name: str) -> None:
        (self._root / name).unlink(missing_ok=True)
        _sync(self._root)

    def put(self, files: Mapping[str, bytes]) -> None:
        """Replace files at the top, each as a whole. An unchanged file is left alone."""
        for path, data in files.items():
            target = self._root / path
            if target.exists() and target.read_bytes() == data:
                continue
            target.parent.mkdir(mode=_DIRECTORY_MODE, exist_ok=True)
            staged = self._staging / uuid4().hex
            staged.write_bytes(data)
            staged.chmod(_FILE_MODE)
            _sync(staged)
            staged.replace(target)
            _sync(target.parent)

    def names(self) -> list[str]:
        """The names of all trees."""
        return sorted(path.name for path in self._trees.iterdir())

    def published(self) -> set[str]:
        """Directories of the site that are served now."""
        return {path.name for path in self._root.iterdir() if path.is_symlink()}

    def sweep(self) -> None:
        """Remove trees that nothing leads to."""
        reached = set(self._reached())
        for path in self._trees.iterdir():
            if path.name not in reached:
                shutil.rmtree(path, ignore_errors=True)

    def _reached(self) -> Iterator[str]:
        for link in self._root.iterdir():
            if not link.is_symlink():
                continue
            tree = self._root / link.readlink()
            yield tree.name
            if tree.is_dir():
                yield from (inner.readlink().name for inner in tree.iterdir() if inner.is_symlink())

    def _point(self, name: str, tree: str) -> None:
        link = self._staging / uuid4().hex
        link.symlink_to(f"{TREES}/{tree}")
        link.replace(self._root / name)
        _sync(self._root)


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    for path, data in files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
