import os
import time
from pathlib import Path

import pytest
from archives import FILES
from hypothesis import given
from hypothesis import strategies as st

from heimnetz_manifest import PackageError, pack, read_package
from heimnetz_manifest.packing import pack_files


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    for name, data in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    return tmp_path


def test_a_packed_directory_reads_back(directory: Path) -> None:
    assert read_package(pack(directory)).files == FILES


def test_the_same_files_give_the_same_bytes_whatever_their_times_and_modes(directory: Path) -> None:
    first = pack(directory)
    os.utime(directory / "plugin.yaml", (time.time() - 9e8,) * 2)
    (directory / "plugin.yaml").chmod(0o600)

    assert pack(directory) == first


def test_caches_hidden_files_and_build_results_stay_out(directory: Path) -> None:
    for name in (".git/config", ".env", "src/__pycache__/x.pyc", "dist/x.whl", "a~", "p.tar.gz"):
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text("secret")

    assert read_package(pack(directory)).files == FILES


def test_a_virtual_environment_stays_out_whatever_its_name(directory: Path) -> None:
    environment = directory / "env"
    (environment / "bin").mkdir(parents=True)
    (environment / "pyvenv.cfg").write_text("home = /usr/bin\n")
    (environment / "bin" / "python").symlink_to("/usr/bin/python3")

    assert read_package(pack(directory)).files == FILES


def test_a_link_in_the_directory_is_refused_not_followed(directory: Path) -> None:
    (directory / "passwd").symlink_to("/etc/passwd")

    with pytest.raises(PackageError) as caught:
        pack(directory)

    assert caught.value.kind == "archive-symbolic-link"


def test_a_path_that_ustar_cannot_hold_is_refused() -> None:
    with pytest.raises(PackageError) as caught:
        pack_files({"a/" * 2 + "/".join(["y" * 80] * 3): b""})

    assert caught.value.kind == "archive-path-too-long"


def test_a_long_path_that_ustar_can_hold_reads_back() -> None:
    path = "x" * 90 + "/" + "é" * 45

    assert read_package(pack_files({**FILES, path: b"1"})).files[path] == b"1"


NAMES = st.from_regex(r"[a-z0-9_]{1,12}(/[a-z0-9_]{1,12}){0,3}\.txt", fullmatch=True)


@given(st.dictionaries(NAMES, st.binary(max_size=3000), max_size=8))
def test_packing_and_reading_are_inverse(files: dict[str, bytes]) -> None:
    whole = {**{f"data/{name}": data for name, data in files.items()}, **FILES}
    try:
        package = read_package(pack_files(whole))
    except PackageError as error:
        # a.txt beside a.txt/b.txt; names that Windows reserves; files that begin as programs do
        assert error.kind in {"archive-file-and-directory", "archive-name", "archive-native-code"}  # noqa: PT017
        return

    assert package.files == whole
