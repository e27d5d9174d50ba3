"""Tells when a plugin's files were saved: by looking again and again, which works everywhere."""

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

POLL_SECONDS = 0.2


def saves(project: Path) -> Iterator[None]:
    """At once, and whenever a file of the package is another one than before; without an end."""
    seen = _look(project)
    yield
    while True:
        time.sleep(POLL_SECONDS)
        now = _look(project)
        if now != seen:
            seen = now
            yield


def _look(project: Path) -> dict[str, tuple[int, int]]:
    from heimnetz_manifest import PackageError
    from heimnetz_manifest.packing import list_files

    found: dict[str, tuple[int, int]] = {}
    # What cannot be packed is said by whoever packs it; what vanished meanwhile is a change.
    with suppress(PackageError, FileNotFoundError):
        for name in list_files(project):
            status = (project / name).stat()
            found[name] = (status.st_mtime_ns, status.st_size)
    return found
