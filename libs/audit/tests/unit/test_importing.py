"""Files of OSV, good ones and such as nobody should read to their end."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heimnetz_audit import importing
from heimnetz_audit.importing import read
from heimnetz_audit.model import Advisories, InvalidAdvisories, Severity
from heimnetz_audit.model.advisories import Advisory

from .conftest import advisories, events, record, zipped

HIGH = {"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N"}
CRITICAL = {
    "type": "CVSS_V4",
    "score": "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N",
}
FIXED = events(("introduced", "0"), ("fixed", "2.0"))


def test_an_archive_is_kept_as_what_is_known_of_each_package(tmp_path: Path) -> None:
    found = advisories(
        tmp_path,
        record(
            "GHSA-aaaa", "Pump.Tools", FIXED, versions=("1.0", "2004d", "3.0"),
            aliases=["PYSEC-2026-1", "CVE-2026-12345"], summary="Reads\nany file", severity=[HIGH],
        ),
        record("MAL-2026-1", "@anna/pump", events(("introduced", "0")), ecosystem="npm"),
        record("GHSA-old", "pump-tools", FIXED, withdrawn="2026-01-01T00:00:00Z"),
        record("GO-2026-1", "pump", FIXED, ecosystem="Go"),
    )  # fmt: skip

    assert (found.count, found.as_of) == (2, "2026-11-30T08:09:10Z")
    assert found.about("PyPI", "pump-tools") == (
        Advisory(
            id="GHSA-aaaa",
            cve="CVE-2026-12345",
            severity=Severity.HIGH,
            summary="Reads any file",
            ranges=(("i0", "f2.0"),),
            # Of those that are listed only what no range holds.
            versions=("3.0",),
        ),
    )
    assert found.about("npm", "@anna/pump")[0].is_malicious
    assert found.about("npm", "pump-tools") == found.about("PyPI", "pump") == ()


def test_files_together_are_the_same_whatever_their_order_and_form(tmp_path: Path) -> None:
    old = record("GHSA-a", "pump", FIXED, modified="2025-01-01T00:00:00Z", summary="old")
    first = zipped(tmp_path / "one.zip", old, record("GHSA-b", "tap", FIXED))
    second = tmp_path / "two.json"
    second.write_text(json.dumps([record("GHSA-a", "pump", FIXED, summary="new")]))

    found = read([first, second])

    assert found.content == read([second, first]).content
    assert [each.summary for each in found.about("PyPI", "pump")] == ["new"]
    kept = tmp_path / "kept"
    kept.write_bytes(found.content)
    assert read([kept]).sha256 == found.sha256


@pytest.mark.parametrize(
    ("more", "severity"),
    [
        ({"severity": [HIGH, CRITICAL]}, Severity.CRITICAL),
        ({"severity": [{"type": "CVSS_V2", "score": "AV:N/AC:L/Au:N/C:P/I:P/A:P"}]}, Severity.HIGH),
        ({"severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:x"}]}, None),
        ({"severity": [{"type": "Ubuntu", "score": "low"}]}, None),
        ({"database_specific": {"severity": "MODERATE"}}, Severity.MEDIUM),
        ({"severity": [HIGH], "database_specific": {"severity": "LOW"}}, Severity.HIGH),
        ({"database_specific": None}, None),
    ],
)
def test_severity_is_the_highest_rating(
    tmp_path: Path, more: dict[str, Any], severity: Severity | None
) -> None:
    [found] = advisories(tmp_path, record("GHSA-a", "pump", FIXED, **more)).about("PyPI", "pump")

    assert found.severity is severity


@pytest.mark.parametrize(
    "change",
    [
        {"schema_version": "2.0.0"},
        {"modified": "yesterday"},
        {"modified": "2026-13-01T00:00:00Z"},
        {"modified": None},
        {"id": "a b"},
        {"id": "x" * 200},
        {"affected": 3},
        {"affected": [3]},
        {"affected": [{"package": {"ecosystem": "PyPI", "name": "a\nb"}}]},
        {"affected": [{"package": {"ecosystem": "PyPI", "name": 3}}]},
        {"affected": [{"package": {"ecosystem": "npm", "name": "p"}, "versions": [3]}]},
        {"affected": [{"package": {"ecosystem": "npm", "name": "p"}, "versions": ["1" * 500]}]},
        {"affected": [{"package": {"ecosystem": "npm", "name": "p"}, "ranges": [{}]}]},
        {"affected": [{"package": {"ecosystem": "npm", "name": "p"}, "ranges": [
            {"type": "SEMVER", "events": [{"introduced": "0", "fixed": "1"}]}]}]},
        {"affected": [{"package": {"ecosystem": "npm", "name": "p"}, "ranges": [
            {"type": "SEMVER", "events": [{"undone": "0"}]}]}]},
        {"affected": [{}] * (importing.ENTRIES + 1)},
    ],
)  # fmt: skip
def test_a_record_that_is_none_is_refused_with_all_others(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    good = record("GHSA-b", "tap", FIXED)

    with pytest.raises(InvalidAdvisories):
        advisories(tmp_path, good, {**record("GHSA-a", "pump", FIXED), **change})


def _write(name: str, content: bytes, method: int = zipfile.ZIP_DEFLATED) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w", method) as archive:
            archive.writestr(name, content)

    return write


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (_write("a.json", b" " * 20_000_000), "unpacks to"),
        (_write("a.json", b"[" * 5_000), "nested too deeply"),
        (_write("a.json", b"\xff\xfe{"), "no JSON"),
        (_write("a.json", b"[]"), "no record"),
        (_write("a.json", b"{}", zipfile.ZIP_BZIP2), "neither stored nor deflated"),
        (_write("a.txt", b"{}"), "there is no advisory"),
        (lambda path: path.write_bytes(b"[" * 100_000), "nested too deeply"),
        (lambda path: path.write_bytes(b'{"id": NaN}'), "no record"),
        (lambda path: path.write_bytes(b""), "no JSON"),
        (lambda path: path.write_bytes(b"PK\x05\x06" + b"\xff" * 18), "all.zip"),
        (lambda path: path.write_bytes(b"heimnetz-advisories 1 x\n"), "header"),
    ],
)
def test_a_file_that_is_hostile_is_refused(
    tmp_path: Path, make: Callable[[Path], None], why: str
) -> None:
    path = tmp_path / "all.zip"
    make(path)

    with pytest.raises(InvalidAdvisories, match=why):
        read([path])


@pytest.mark.parametrize(
    ("limit", "value", "why"),
    [
        ("MEMBERS", 1, "members"),
        ("FILE_BYTES", 100, "bytes"),
        ("RECORD_BYTES", 100, "bytes"),
        ("UNPACKED_BYTES", 100, "unpacks"),
        ("PARTS", 3, "parts"),
    ],
)
def test_there_is_an_end_to_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, value: int, why: str
) -> None:
    monkeypatch.setattr(importing, limit, value)

    with pytest.raises(InvalidAdvisories, match=why):
        advisories(tmp_path, record("GHSA-a", "pump", FIXED), record("GHSA-b", "tap", FIXED))


def test_what_was_damaged_on_the_way_is_refused(tmp_path: Path) -> None:
    content = advisories(
        tmp_path, record("GHSA-a", "pump", FIXED), record("GHSA-b", "tap", FIXED)
    ).content
    lines = content.split(b"\n")

    for damaged in (
        content[:-1],
        content[:-30] + b"\n",
        content.replace(b" 2\n", b" 3\n", 1),
        b"\n".join([lines[0], lines[2], lines[1], b""]),
        content.replace(b'"i0"', b'"z0"', 1),
        content.replace(b'"GHSA-a"', b'"\\u0000"', 1),
        content.replace(b"null", b"9", 1),
        content.replace(b"[[", b"[" * 50_000, 1),
        content.replace(b"2026-11", b"2026-19", 1),
    ):
        with pytest.raises(InvalidAdvisories):
            Advisories.parse(damaged)


@given(st.sets(st.from_regex(r"[a-z]{1,3}(-[a-z0-9]{1,3})?", fullmatch=True), max_size=40))
def test_every_name_is_found_and_no_other(names: set[str]) -> None:
    known = Advisory("GHSA-a", "", None, "", (), ("1",))
    found = Advisories.build("2026-01-01T00:00:00Z", {("PyPI", name): [known] for name in names})

    assert all(found.about("PyPI", name) == (known,) for name in names)
    assert all(found.about("npm", name) == () for name in names)
    assert all(found.about("PyPI", f"{name}x") == () for name in names if f"{name}x" not in names)
