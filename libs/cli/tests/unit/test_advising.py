"""`heimnetz osv`: known vulnerabilities are read here, and given to the platform."""

import gzip
import json
from pathlib import Path
from typing import Any

from .conftest import Heimnetz

ROUTE = "/api/auditor/v1/advisories"
KNOWN = {
    "as_of": "2026-11-30T08:09:10Z",
    "count": 1,
    "sha256": "0" * 64,
    "imported_by": "user:anna",
}
LOCK = f"valve==1.0.0 --hash=sha256:{'1' * 64}\n"


def osv(folder: Path) -> Path:
    file = folder / "all.json"
    events = [{"introduced": "0"}, {"fixed": "2.0"}]
    affected = {
        "package": {"ecosystem": "PyPI", "name": "Valve"},
        "ranges": [{"type": "ECOSYSTEM", "events": events}],
    }
    record = {"id": "GHSA-a", "modified": KNOWN["as_of"], "affected": [affected]}
    file.write_text(json.dumps(record))
    return file


def test_advisories_are_sent_in_a_compact_form(
    platform: Any, heimnetz: Heimnetz, tmp_path: Path
) -> None:
    platform.on(f"PUT {ROUTE}", KNOWN)

    said = heimnetz("osv", "import", osv(tmp_path))

    assert said.code == 0, said.err
    assert "1 advisories" in said.out
    lines = gzip.decompress(platform.requests[-1].content).splitlines()
    assert lines == [
        b"heimnetz-advisories 1 2026-11-30T08:09:10Z 1",
        b'PyPI valve [["GHSA-a","",null,"",[["i0","f2.0"]],[]]]',
    ]


def test_a_file_that_makes_no_sense_is_not_sent(
    platform: Any, heimnetz: Heimnetz, tmp_path: Path
) -> None:
    file = tmp_path / "all.zip"
    file.write_bytes(b"[" * 100_000)

    said = heimnetz("osv", "import", file)

    assert (said.code, platform.requests) == (7, [])
    assert "all.zip: nested too deeply" in said.err


def test_how_old_the_advisories_are_is_told(platform: Any, heimnetz: Heimnetz) -> None:
    platform.on(f"GET {ROUTE}", KNOWN, {"as_of": None, "count": 0})

    known, nothing = heimnetz("osv", "show"), heimnetz("osv", "show")

    assert "1 advisories, the latest of 2026-11-30" in known.out
    assert "none were imported" in nothing.out


def test_an_audit_without_the_platform_knows_what_a_file_tells(
    heimnetz: Heimnetz, tmp_path: Path
) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "requirements.lock").write_text(LOCK)

    without = heimnetz("audit", tmp_path / "code")
    known = heimnetz("audit", tmp_path / "code", "--advisories", osv(tmp_path))

    assert (without.code, known.code) == (0, 0)
    assert "no advisories were imported" in without.out
    assert "GHSA-a" in known.out
    assert "as of 2026-11-30T08:09:10Z" in known.out
