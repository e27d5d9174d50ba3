"""Files of both versions in the kernel's formats; version 1 as on the development machine."""

import shutil
from pathlib import Path

import pytest

from heimnetz_sandbox import cgroups

RECORDED = Path(__file__).with_name("recorded")
ID = "3f" * 32


def lay_out(root: Path, version: int, place: str) -> None:
    files = RECORDED / f"cgroup-v{version}"
    if version == 2:
        (root / "cgroup.controllers").write_text("cpu io memory pids\n")
        shutil.copytree(files, root / place)
        return
    for controller in ("memory", "cpuacct", "pids"):
        shutil.copytree(files / controller, root / controller / place)


@pytest.mark.parametrize("place", [f"docker/{ID}", f"system.slice/docker-{ID}.scope"])
@pytest.mark.parametrize("version", [1, 2])
def test_both_versions_and_both_drivers_are_read(tmp_path: Path, version: int, place: str) -> None:
    lay_out(tmp_path, version, place)

    group = cgroups.find(tmp_path, ID)

    assert group is not None
    assert group.version == version
    assert group.read() == cgroups.Usage(
        memory_bytes=19_234_816,
        peak_memory_bytes=67_108_864,
        cpu_seconds=0.734218,
        processes=3,
        oom_kills=1,
        pids_refused=4,
    )
    assert cgroups.read_file_bytes(group) == 6_144_000


def test_a_rootless_engines_containers_are_found(tmp_path: Path) -> None:
    place = f"user.slice/user-1000.slice/user@1000.service/docker-{ID}.scope"
    lay_out(tmp_path, 2, place)

    assert cgroups.find(tmp_path, ID) is not None


@pytest.mark.parametrize("version", [1, 2])
def test_a_container_that_is_gone_has_no_usage(tmp_path: Path, version: int) -> None:
    lay_out(tmp_path, version, f"docker/{ID}")
    group = cgroups.find(tmp_path, ID)
    assert group is not None

    shutil.rmtree(group.memory)

    assert group.read() is None
    assert cgroups.find(tmp_path, "00" * 32) is None


def test_an_old_kernel_without_a_peak_says_so(tmp_path: Path) -> None:
    lay_out(tmp_path, 2, f"docker/{ID}")
    (tmp_path / "docker" / ID / "memory.peak").unlink()

    group = cgroups.find(tmp_path, ID)

    assert group is not None
    usage = group.read()
    assert usage is not None
    assert usage.peak_memory_bytes is None
