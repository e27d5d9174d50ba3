"""The run directory, which has the same path here and on the host.

code/<sha256>/          a package's files, read-only
deps/<key>/             dependencies of one lock for one runtime
runs/<run>/in, socket   what one container is given
builds/<build>/in, out, socket  what one builder is given
"""

import contextlib
import hashlib
import os
import shutil
import stat
import time
import uuid
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from heimnetz_sandbox.model import InputFile

YOUNG_SECONDS = 3600
OUTCOME_BYTES = 64 * 1024


class Folders:
    def __init__(self, root: Path) -> None:
        self.root = root

    def prepare(self) -> None:
        for name in ("code", "deps", "runs", "builds"):
            folder = self.root / name
            folder.mkdir(mode=0o711, parents=True, exist_ok=True)
            # Others may pass through to what they know the name of, and list nothing.
            folder.chmod(0o711)

    def code(self, sha256: str) -> Path:
        return self.root / "code" / sha256

    def dependencies(self, key: str) -> Path:
        return self.root / "deps" / key

    def make_run(self, run_id: str, files: Sequence[InputFile]) -> Path:
        folder = self.root / "runs" / run_id
        shutil.rmtree(folder, ignore_errors=True)
        for part in ("in", "socket"):
            _make(folder / part)
        self.put_inputs(folder, files)
        return folder

    def put_inputs(self, folder: Path, files: Sequence[InputFile]) -> None:
        for file in files:
            path = folder / "in" / file.name
            path.write_bytes(file.data)
            path.chmod(0o644)

    def remove_inputs(self, folder: Path) -> None:
        for path in (folder / "in").iterdir():
            path.unlink()

    def make_build(self, build: str, lock: bytes, user: tuple[int, int]) -> Path:
        folder = self.root / "builds" / build
        for part in ("in", "out", "socket"):
            _make(folder / part)
        if os.getuid() != user[0]:
            os.chown(folder / "out", *user)
        path = folder / "in" / "requirements.lock"
        path.write_bytes(lock)
        path.chmod(0o644)
        return folder

    def store_code(self, sha256: str, files: Mapping[str, bytes]) -> None:
        """Writes beside and renames, so that a folder is whole or absent.

        One that is whole already stays: a container may be about to be made that binds it.
        """
        with contextlib.suppress(OSError):
            if read_tree(self.code(sha256)) == dict(files):
                # As old as its last use: a trial's belongs to no installation.
                os.utime(self.code(sha256))
                return
        temporary = self.root / "code" / f".{uuid.uuid4().hex}"
        _make(temporary)
        for name, data in files.items():
            path = temporary / name
            for parent in reversed(path.relative_to(temporary).parents[:-1]):
                _make(temporary / parent)
            path.write_bytes(data)
            path.chmod(0o644)
        self._publish(temporary, self.code(sha256), is_replaced=True)

    def remove_code(self, sha256: str) -> None:
        shutil.rmtree(self.code(sha256), ignore_errors=True)

    def read_outcome(self, build: str) -> bytes:
        """The beginning of what the builder said, which may have made anything of its folder.

        Raises: OSError.
        """
        path = self.root / "builds" / build / "out" / "outcome.json"
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:  # noqa: PTH123  a descriptor
            return file.read(OUTCOME_BYTES)

    def store_dependencies(self, key: str, source: Path) -> None:
        """Raises: NotADirectoryError, also for a link to one, which leads anywhere."""
        if not stat.S_ISDIR(source.lstat().st_mode):
            raise NotADirectoryError(source)
        # What the builder wrote has its umask, and goes where everybody may read.
        self._publish(source, self.dependencies(key), is_replaced=False)
        # As old as its last build, not as what was built.
        os.utime(self.dependencies(key))

    def has_dependencies(self, key: str) -> bool:
        """If they are there, they count as used now."""
        try:
            os.utime(self.dependencies(key))
        except FileNotFoundError:
            return False
        return True

    def remove_run(self, run_id: str) -> None:
        shutil.rmtree(self.root / "runs" / run_id, ignore_errors=True)

    def remove_build(self, build: str) -> None:
        shutil.rmtree(self.root / "builds" / build, ignore_errors=True)

    def collect_dependencies(self, kept: Collection[str], room_bytes: int) -> int:
        """Removes what nobody needs, the oldest first, until all fit in; bytes that remain.

        What is younger than an hour stays: somebody may be about to use it.
        """
        found = self._list_dependencies()
        total = sum(size for _, size, _ in found)
        for _, size, folder in sorted(found):
            if total <= room_bytes:
                break
            if folder.name not in kept:
                total -= size if _take_away(folder) else 0
        return total

    def measure_dependencies(self) -> int:
        """Bytes."""
        return sum(size for _, size, _ in self._list_dependencies())

    def _list_dependencies(self) -> list[tuple[float, int, Path]]:
        """Time of the last use, bytes and folder; another sandbox may remove them meanwhile."""
        found = []
        for folder in (self.root / "deps").iterdir():
            with contextlib.suppress(FileNotFoundError):
                found.append((folder.stat().st_mtime, _size(folder), folder))
        return found

    def collect_code(self, kept: Collection[str]) -> None:
        """Removes what nobody needs and nobody has stored or tried for an hour."""
        for folder in (self.root / "code").iterdir():
            if folder.name not in kept:
                _take_away(folder)

    def collect_builds(self) -> None:
        """Removes what a builder left whose sandbox died; none is allowed more than an hour."""
        for folder in (self.root / "builds").iterdir():
            _take_away(folder, 2 * YOUNG_SECONDS)

    def list_runs(self) -> list[str]:
        return [entry.name for entry in (self.root / "runs").iterdir()]

    def has_container(self, name: str) -> bool:
        """Whether the run or build has its folder, which it has longer than its container."""
        return any((self.root / part / name).is_dir() for part in ("runs", "builds"))

    def _publish(self, source: Path, target: Path, *, is_replaced: bool) -> None:
        old = target.with_name(f".{uuid.uuid4().hex}")
        if is_replaced:
            with contextlib.suppress(FileNotFoundError):
                target.rename(old)
        try:
            source.rename(target)
        except OSError:
            # Another sandbox was faster, with the same content.
            if not target.is_dir():
                raise
            shutil.rmtree(source, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def tree_digest(files: Mapping[str, bytes]) -> str:
    """One digest over names and contents."""
    whole = hashlib.sha256()
    for name in sorted(files):
        whole.update(f"{hashlib.sha256(files[name]).hexdigest()} {name}\n".encode())
    return whole.hexdigest()


def read_tree(folder: Path) -> dict[str, bytes]:
    """Raises: OSError."""
    found = {}
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            data = b"\0link" if path.is_symlink() else path.read_bytes()
            found[str(path.relative_to(folder))] = data
    return found


def signature(folder: Path) -> tuple[tuple[str, int, int, int], ...]:
    """Changes whenever a file does: nobody but root can set a file's ctime back."""
    facts = []
    for parent, folders, names in os.walk(folder):
        for name in (*folders, *names):
            path = os.path.join(parent, name)  # noqa: PTH118  hot: once before every start
            status = os.lstat(path)
            facts.append((path, status.st_size, status.st_ctime_ns, status.st_ino))
    return tuple(sorted(facts))


def _size(folder: Path) -> int:
    return sum(
        os.lstat(os.path.join(parent, name)).st_size  # noqa: PTH118
        for parent, _, names in os.walk(folder)
        for name in names
    )


def _take_away(folder: Path, seconds: float = YOUNG_SECONDS) -> bool:
    """Whether it is gone: it may have been used since it was measured, or another was faster.

    Whoever looks for it meanwhile finds it whole or not at all.
    """
    away = folder.with_name(f".{uuid.uuid4().hex}")
    try:
        if time.time() - folder.stat().st_mtime <= seconds:
            return False
        folder.rename(away)
    except FileNotFoundError:
        return True
    shutil.rmtree(away, ignore_errors=True)
    return True


def _make(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
