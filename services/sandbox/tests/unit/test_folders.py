"""What the run directory keeps, and what goes."""

import os
import time
from pathlib import Path
from typing import Any

import pytest

from heimnetz_sandbox.folders import OUTCOME_BYTES, Folders

DAY = 86_400


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    folders = Folders(tmp_path)
    folders.prepare()
    return folders


def add(folders: Folders, key: str, days: float, size: int = 100) -> None:
    folder = folders.dependencies(key)
    (folder / "package").mkdir(parents=True)
    (folder / "package" / "module.py").write_bytes(bytes(size))
    used_at = time.time() - days * DAY
    os.utime(folder, (used_at, used_at))


def left(folders: Folders) -> set[str]:
    return {path.name for path in (folders.root / "deps").iterdir()}


def test_dependencies_that_fit_in_are_kept_for_the_next_installation(folders: Folders) -> None:
    add(folders, "unused", 30)

    assert folders.collect_dependencies(set(), 100) == 100
    assert left(folders) == {"unused"}


def test_the_oldest_that_nobody_needs_goes_first_and_no_more_than_must(folders: Folders) -> None:
    for key, days in (("old", 30), ("older", 60), ("new", 2)):
        add(folders, key, days)

    assert folders.collect_dependencies(set(), 250) == 200
    assert left(folders) == {"old", "new"}


def test_what_is_installed_or_was_just_built_stays(folders: Folders) -> None:
    add(folders, "installed", 90)
    add(folders, "just-built", 0)
    add(folders, "unused", 1)

    assert folders.collect_dependencies({"installed"}, 0) == 200
    assert left(folders) == {"installed", "just-built"}


def test_code_that_is_whole_is_left_alone_and_code_that_is_not_is_replaced(
    folders: Folders,
) -> None:
    files = {"plugin.yaml": b"name: p", "src/plugin.py": b"def run(): ..."}
    folders.store_code("ab", files)
    before = folders.code("ab").stat().st_ino

    folders.store_code("ab", files)
    assert folders.code("ab").stat().st_ino == before

    (folders.code("ab") / "src" / "plugin.py").write_bytes(b"evil")
    folders.store_code("ab", files)
    assert (folders.code("ab") / "src" / "plugin.py").read_bytes() == files["src/plugin.py"]
    assert {path.name for path in (folders.root / "code").iterdir()} == {"ab"}


def test_code_with_a_file_too_many_is_replaced(folders: Folders) -> None:
    folders.store_code("ab", {"plugin.py": b""})
    (folders.code("ab") / "more.py").write_bytes(b"")

    folders.store_code("ab", {"plugin.py": b""})

    assert [path.name for path in folders.code("ab").iterdir()] == ["plugin.py"]


def test_code_that_nobody_has_installed_stays_for_an_hour_after_its_last_use(
    folders: Folders,
) -> None:
    files = {"plugin.py": b"def run(): ..."}
    long_ago = time.time() - DAY
    for name in ("installed", "tried-again", "unused", ".half-written"):
        folders.store_code(name, files)
        os.utime(folders.code(name), (long_ago, long_ago))
    folders.store_code("tried-again", files)
    folders.store_code("just-tried", files)

    folders.collect_code({"installed"})

    there = {path.name for path in (folders.root / "code").iterdir()}
    assert there == {"installed", "tried-again", "just-tried"}


def test_dependencies_that_are_used_are_as_new(folders: Folders) -> None:
    add(folders, "used", 90)

    assert folders.has_dependencies("used")
    assert not folders.has_dependencies("other")
    assert folders.collect_dependencies(set(), 0) == 100


def test_what_is_used_while_the_folders_are_measured_stays(
    folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(folders, "used", 30)
    plain = os.lstat

    def measure(path: Any, **options: Any) -> os.stat_result:
        folders.has_dependencies("used")
        return plain(path, **options)

    monkeypatch.setattr(os, "lstat", measure)
    folders.collect_dependencies(set(), 0)

    assert left(folders) == {"used"}


def test_two_sandboxes_may_collect_at_once(
    folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(folders, "unused", 30)
    add(folders, "also-unused", 20)
    plain = Path.rename
    meanwhile = [Folders(folders.root)]

    def rename(self: Path, target: Path) -> Path:
        if meanwhile:
            meanwhile.pop().collect_dependencies(set(), 0)
        return plain(self, target)

    monkeypatch.setattr(Path, "rename", rename)

    assert folders.collect_dependencies(set(), 0) == 0
    assert left(folders) == set()


def test_what_a_dead_sandbox_left_of_a_build_goes_and_a_build_of_now_stays(
    folders: Folders,
) -> None:
    user = (os.getuid(), os.getgid())
    left_behind = folders.make_build("left-behind", b"", user)
    (left_behind / "out" / "site").mkdir()
    folders.make_build("of-now", b"", user)
    long_ago = time.time() - DAY
    os.utime(left_behind, (long_ago, long_ago))

    folders.collect_builds()

    assert [path.name for path in (folders.root / "builds").iterdir()] == ["of-now"]


def test_of_what_a_builder_left_only_a_file_is_read_and_only_its_beginning(
    folders: Folders, tmp_path: Path
) -> None:
    out = folders.make_build("one", b"", (os.getuid(), os.getgid())) / "out"
    said = out / "outcome.json"

    said.write_bytes(bytes(2 * OUTCOME_BYTES))
    assert len(folders.read_outcome("one")) == OUTCOME_BYTES

    said.unlink()
    os.mkfifo(said)
    assert folders.read_outcome("one") == b""

    said.unlink()
    said.symlink_to(tmp_path / "secret")
    with pytest.raises(OSError, match="symbolic links"):
        folders.read_outcome("one")


def test_a_builder_cannot_have_another_folder_bound_as_its_dependencies(
    folders: Folders, tmp_path: Path
) -> None:
    site = folders.make_build("one", b"", (os.getuid(), os.getgid())) / "out" / "site"
    site.symlink_to(tmp_path)

    with pytest.raises(NotADirectoryError):
        folders.store_dependencies("key", site)
    assert not folders.has_dependencies("key")
