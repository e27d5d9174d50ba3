"""What a confined process can still do. Each attack runs in a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

CONFINED = """
import os, socket, subprocess, sys, multiprocessing
from heimnetz_auditor.confining import confine, python_folders
confinement = confine(512 << 20, 10, python_folders())
assert confinement.has_no_network
"""


def run(attack: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", "-c", CONFINED + attack],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    "attack",
    [
        "socket.socket(socket.AF_INET, socket.SOCK_STREAM)",
        "socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)",
        "socket.socketpair()",
        "subprocess.run(['/bin/true'])",
        "os.execv('/bin/true', ['true'])",
        "os.kill(os.getppid(), 9)",
        "os.kill(os.getppid(), 0)",
    ],
)
def test_network_programs_and_signals_are_refused(attack: str) -> None:
    result = run(f"try:\n    {attack}\nexcept PermissionError:\n    print('refused')\n")

    assert result.stdout == "refused\n", result.stderr


def test_a_child_is_as_confined_as_its_parent() -> None:
    # A pool of multiprocessing ends its workers by signals, which are refused; this one does not.
    result = run(
        "from concurrent.futures import ProcessPoolExecutor\n"
        "def attack(_):\n"
        "    try:\n        socket.socket()\n"
        "    except PermissionError:\n        return 'refused'\n"
        "with ProcessPoolExecutor(2, multiprocessing.get_context('fork')) as pool:\n"
        "    print(*pool.map(attack, range(2)))\n"
    )

    assert result.stdout == "refused refused\n", result.stderr


def test_memory_is_capped() -> None:
    result = run("try:\n    bytearray(600 << 20)\nexcept MemoryError:\n    print('capped')\n")

    assert result.stdout == "capped\n", result.stderr


def test_files_beside_python_are_out_of_reach_where_the_kernel_can(tmp_path: Path) -> None:
    secret = tmp_path / "signing.key"
    secret.write_text("secret")

    result = run(
        "if not confinement.has_no_files:\n    print('refused')\n    sys.exit()\n"
        f"try:\n    open({str(secret)!r}).read()\nexcept PermissionError:\n    print('refused')\n"
    )

    assert result.stdout == "refused\n", result.stderr


def test_nothing_can_be_written(tmp_path: Path) -> None:
    target = tmp_path / "dropped"

    result = run(
        "if not confinement.has_no_files:\n    print('refused')\n    sys.exit()\n"
        f"try:\n    open({str(target)!r}, 'w')\nexcept PermissionError:\n    print('refused')\n"
    )

    assert result.stdout == "refused\n", result.stderr
    assert not target.exists()


def test_modules_can_still_be_imported() -> None:
    result = run("import decimal, xml.etree.ElementTree, heimnetz_manifest\nprint('imported')\n")

    assert result.stdout == "imported\n", result.stderr
