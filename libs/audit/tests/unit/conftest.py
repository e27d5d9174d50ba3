"""Records as OSV publishes them, for the tests."""

import json
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from heimnetz_audit.importing import read
from heimnetz_audit.model import Advisories

MODIFIED = "2026-11-30T08:09:10.123456Z"


def events(*pairs: tuple[str, str]) -> list[dict[str, str]]:
    return [{kind: version} for kind, version in pairs]


def record(
    name: str = "GHSA-aaaa-bbbb-cccc",
    package: str = "pump",
    *ranges: Iterable[dict[str, str]],
    ecosystem: str = "PyPI",
    versions: Iterable[str] = (),
    **more: Any,
) -> dict[str, Any]:
    kind = "SEMVER" if ecosystem == "npm" else "ECOSYSTEM"
    affected = {
        "package": {"ecosystem": ecosystem, "name": package},
        "ranges": [{"type": kind, "events": list(each)} for each in ranges],
        "versions": list(versions),
    }
    return {
        "schema_version": "1.7.3",
        "id": name,
        "modified": MODIFIED,
        "affected": [affected],
    } | more


def zipped(path: Path, *records: Mapping[str, Any]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, each in enumerate(records):
            archive.writestr(f"{each.get('id', number)}.json", json.dumps(each))
    return path


def advisories(folder: Path, *records: Mapping[str, Any]) -> Advisories:
    return read([zipped(folder / "all.zip", *records)])
