"""The environment in which a plugin's tests run: `.venv` in the project, or Node.

What the SDK consists of goes in as it is here, from wheels made of this very installation: a
package index is asked only for what others wrote, and needs to know nothing of ours.
"""

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from importlib import metadata, util
from pathlib import Path

from heimnetz_cli.exits import Exit, Failure
from heimnetz_cli.output import note

ENVIRONMENT = ".venv"
#: Distribution and package; the extra of the SDK brings pytest and the clock.
OURS = {"heimnetz-manifest": "heimnetz_manifest", "heimnetz-sdk": "heimnetz_sdk"}
_NEEDED = ("pytest", "time_machine", *OURS.values())
_MAX_COMPLAINT_LINES = 15


def prepare(project: Path) -> Path:
    """Make or complete the project's environment; its interpreter.

    Raises: Failure.
    """
    folder = project / ENVIRONMENT
    if folder.is_symlink() or (folder.exists() and not (folder / "pyvenv.cfg").is_file()):
        raise Failure(f"{folder} is no virtual environment; move it away", Exit.CONFLICT)
    uv = shutil.which("uv")
    if not _works(python_of(folder)):
        make = (
            [uv, "venv", "--quiet", "--clear"] if uv else [sys.executable, "-m", "venv", "--clear"]
        )
        note(f"making {folder} for Python {sys.version_info.major}.{sys.version_info.minor}")
        with_python = ["--python", sys.executable] if uv else []
        _do([*make, *with_python, str(folder)], "the environment cannot be made")
    python = python_of(folder)
    note("installing the SDK, pytest and what they need")
    install = (
        [uv, "pip", "install", "--quiet", "--python", str(python)]
        if uv
        else [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    )
    with tempfile.TemporaryDirectory(prefix="heimnetz-") as place:
        wheels = {name: make_wheel(name, Path(place)) for name in OURS}
        wanted = [f"{name}{'[testing]' if name == 'heimnetz-sdk' else ''} @ {wheel.as_uri()}"
                  for name, wheel in wheels.items()]  # fmt: skip
        fresh = [f"--reinstall-package={name}" for name in OURS] if uv else []
        if not uv:
            # The same version may have other content: an SDK under development.
            _do([*install, "--force-reinstall", "--no-deps", *map(str, wheels.values())],
                "the SDK cannot be installed")  # fmt: skip
        _do([*install, *fresh, *wanted], "what the tests need cannot be installed")
    return python


def python_of(environment: Path) -> Path:
    inner = ("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")
    return environment.joinpath(*inner)


def find_python(project: Path) -> Path:
    """The project's own interpreter, or the one that runs this command."""
    own = python_of(project / ENVIRONMENT)
    return own if own.exists() else Path(sys.executable)


def find_missing(python: Path) -> list[str]:
    """The modules that tests need and the interpreter does not have."""
    code = (
        "import sys, importlib.util as u\n"
        "print(*(name for name in sys.argv[1:] if u.find_spec(name) is None))"
    )
    done = subprocess.run(  # noqa: S603 - an interpreter of ours or of the project
        [python, "-I", "-c", code, *_NEEDED], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise Failure(f"{python} does not work; run: heimnetz setup", Exit.USAGE)
    return done.stdout.split()


def make_wheel(distribution: str, folder: Path) -> Path:
    """A wheel of an installed pure package, wherever its files are; see PEP 427."""
    installed = metadata.distribution(distribution)
    stem = f"{distribution.replace('-', '_')}-{installed.version}"
    facts = f"{stem}.dist-info"
    files = dict(_sources(OURS[distribution]))
    files[f"{facts}/METADATA"] = (installed.read_text("METADATA") or "").encode()
    files[f"{facts}/WHEEL"] = (
        b"Wheel-Version: 1.0\nGenerator: heimnetz\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    files[f"{facts}/RECORD"] = _record(files, f"{facts}/RECORD")
    wheel = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return wheel


def _sources(package: str) -> Iterator[tuple[str, bytes]]:
    spec = util.find_spec(package)
    assert spec is not None
    assert spec.submodule_search_locations is not None
    root = Path(next(iter(spec.submodule_search_locations)))
    for path in sorted(root.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield f"{package}/{path.relative_to(root).as_posix()}", path.read_bytes()


def _record(files: Mapping[str, bytes], own: str) -> bytes:
    lines = []
    for name, data in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        lines.append(f"{name},sha256={digest},{len(data)}")
    return "\n".join([*lines, f"{own},,", ""]).encode()


def _works(python: Path) -> bool:
    if not python.exists():
        return False
    try:
        done = subprocess.run([python, "-c", ""], capture_output=True, check=False)  # noqa: S603
    except OSError:
        return False
    return done.returncode == 0


def _do(command: list[str], complaint: str) -> None:
    done = subprocess.run(  # noqa: S603 - no shell, and words of ours
        command, capture_output=True, text=True, errors="replace", check=False
    )
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()[-_MAX_COMPLAINT_LINES:]
        raise Failure("\n".join([complaint, *(f"  {line}" for line in said)]), Exit.UNAVAILABLE)
