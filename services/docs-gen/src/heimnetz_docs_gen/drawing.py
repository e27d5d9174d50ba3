"""Draws one version in a process of its own, which a package can exhaust or crash as it likes.

    python -I -m heimnetz_docs_gen.drawing FOLDER MEMORY_BYTES CPU_SECONDS

FOLDER holds `package.tar.gz`, perhaps `previous.tar.gz`, and `request.json`; the pages go to
`FOLDER/out`, what they are to `FOLDER/result.json`. The line `ready` says that work begins.
"""

import json
import resource
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from heimnetz_docs import Care, Known, Subject, describe, entry_of, render
from heimnetz_docs_gen.audits import audit_of
from heimnetz_docs_gen.times import parse_time
from heimnetz_manifest import read_package

MAX_FILE_BYTES = 64 * 1024 * 1024


def main() -> None:
    folder = Path(sys.argv[1])
    _limit(int(sys.argv[2]), int(sys.argv[3]))
    print("ready", flush=True)  # noqa: T201 - the parent waits for it
    draw(folder)


def draw(folder: Path) -> None:
    request: dict[str, Any] = json.loads((folder / "request.json").read_bytes())
    package = read_package(folder / "package.tar.gz")
    previous = folder / "previous.tar.gz"
    version = request["version"]
    known = Known(
        state=version["state"],
        publisher=version.get("publisher"),
        published_at=parse_time(version.get("published_at")),
        audit=audit_of(version, request["report"], package.manifest),
        previous=read_package(previous) if previous.exists() else None,
    )
    subject = Subject(package, known, Care(request["care"]))
    page = describe(subject)
    for path, data in render(subject, page).items():
        file = folder / "out" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    entry = asdict(entry_of(page, known)) | {"published_at": version.get("published_at")}
    result = {"entry": entry, "warnings": list(page.warnings)}
    (folder / "result.json").write_text(json.dumps(result), encoding="utf-8")


def _limit(memory_bytes: int, cpu_seconds: int) -> None:
    for what, value in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CPU, cpu_seconds),
        (resource.RLIMIT_FSIZE, MAX_FILE_BYTES),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (value, value))


if __name__ == "__main__":
    main()
