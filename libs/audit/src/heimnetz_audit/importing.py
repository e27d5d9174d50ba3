"""Reads advisories in OSV's format (schema 1.x): the `all.zip` of an ecosystem, or JSON files.

Whoever serves them may be hostile: everything has a cap, and a file that is not as it should be is
refused as a whole, since what was left out would look like nothing known. Withdrawn advisories, and
those of other ecosystems, are left out.
"""

import json
import re
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import cvss

from heimnetz_audit.advising import is_within
from heimnetz_audit.model import Severity
from heimnetz_audit.model.advisories import (
    CONTENT_BYTES,
    ECOSYSTEMS,
    SUMMARY_CHARACTERS,
    VERSION_CHARACTERS,
    Advisories,
    Advisory,
    InvalidAdvisories,
    is_compact,
)
from heimnetz_audit.pinning import normalised

FILE_BYTES: Final = 1024 * 1024 * 1024
UNPACKED_BYTES: Final = 4 * FILE_BYTES

MEMBERS: Final = 1_000_000
RECORD_BYTES: Final = 16 * 1024 * 1024
#: JSON with long lists of versions shrinks to a twentieth.
RATIO: Final = 100
ENTRIES: Final = 50_000
#: Versions and events of all of them together.
PARTS: Final = 3_000_000
_MEMBER_MARK: Final = b"PK\x01\x02"
_CHUNK: Final = 1024 * 1024
_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?Z")
_NAME: Final = re.compile(r"[!-~]{1,214}")
_CVE: Final = re.compile(r"CVE-\d{4}-\d{4,}")
_KINDS: Final = {"introduced": "i", "fixed": "f", "last_affected": "l", "limit": "x"}
_WORDS: Final = {
    "LOW": Severity.LOW,
    "MODERATE": Severity.MEDIUM,
    "MEDIUM": Severity.MEDIUM,
    "HIGH": Severity.HIGH,
    "CRITICAL": Severity.CRITICAL,
}
#: Least scores, by the qualitative scale of CVSS 3.1 and 4.0.
_SCALE: Final = (
    (9.0, Severity.CRITICAL),
    (7.0, Severity.HIGH),
    (4.0, Severity.MEDIUM),
    (0.1, Severity.LOW),
)
_CVSS: Final = {"CVSS_V2": cvss.CVSS2, "CVSS_V3": cvss.CVSS3, "CVSS_V4": cvss.CVSS4}


def read(paths: Iterable[Path]) -> Advisories:
    """All files together; one file may also be advisories that were read before.

    Raises: InvalidAdvisories, OSError.
    """
    files = list(paths)
    if len(files) == 1 and _begins_compact(files[0]):
        with files[0].open("rb") as stream:
            return Advisories.parse(stream.read(CONTENT_BYTES + 1))
    latest: dict[str, tuple[str, list[tuple[str, str, Advisory]]]] = {}
    parts = 0
    for path in files:
        for place, record in _records(path):
            try:
                name, modified, found = _read_record(record)
            except (ValueError, TypeError, LookupError, AttributeError) as error:
                raise InvalidAdvisories(f"{place}: no record of OSV 1.x: {error}") from error
            parts += sum(1 + len(a.versions) + sum(map(len, a.ranges)) for _, _, a in found)
            if parts > PARTS:
                raise InvalidAdvisories(f"{place}: with it they are more than {PARTS} parts")
            if name not in latest or latest[name][0] < modified:
                latest[name] = (modified, found)
    if not latest:
        raise InvalidAdvisories("there is no advisory in it")
    by_package: dict[tuple[str, str], list[Advisory]] = defaultdict(list)
    for _, found in latest.values():
        for ecosystem, package, advisory in found:
            by_package[ecosystem, package].append(advisory)
    return Advisories.build(f"{max(at for at, _ in latest.values())}Z", by_package)


def _begins_compact(path: Path) -> bool:
    with path.open("rb") as stream:
        return is_compact(stream.read(100))


def _records(path: Path) -> Iterator[tuple[str, Any]]:
    if path.stat().st_size > FILE_BYTES:
        raise InvalidAdvisories(f"{path.name}: more than {FILE_BYTES} bytes")
    if not zipfile.is_zipfile(path):
        with path.open("rb") as stream:
            document = _load(path.name, stream.read(CONTENT_BYTES + 1), CONTENT_BYTES)
        for number, each in enumerate(document if isinstance(document, list) else [document]):
            yield f"{path.name}[{number}]", each
        return
    _refuse_too_many(path)
    try:
        with zipfile.ZipFile(path) as archive:
            yield from _members(path, archive)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise InvalidAdvisories(f"{path.name}: {error}") from error


def _refuse_too_many(path: Path) -> None:
    """Before the list of members is read, which takes half a kilobyte of memory for each."""
    count, end = 0, b""
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            piece = end + chunk
            count += piece.count(_MEMBER_MARK)
            end = piece[-len(_MEMBER_MARK) + 1 :]
            if count > MEMBERS:
                raise InvalidAdvisories(f"{path.name}: more than {MEMBERS} members")


def _members(path: Path, archive: zipfile.ZipFile) -> Iterator[tuple[str, Any]]:
    members = [each for each in archive.infolist() if each.filename.endswith(".json")]
    size = sum(each.file_size for each in members)
    if size > UNPACKED_BYTES or size > RATIO * path.stat().st_size:
        raise InvalidAdvisories(f"{path.name}: it unpacks to {size} bytes, more than is taken")
    for member in members:
        place = f"{path.name}: {member.filename[:100]}"
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise InvalidAdvisories(f"{place}: it is neither stored nor deflated")
        with archive.open(member) as stream:
            yield place, _load(place, stream.read(RECORD_BYTES + 1), RECORD_BYTES)


def _load(place: str, content: bytes, limit: int) -> Any:
    if len(content) > limit:
        raise InvalidAdvisories(f"{place}: more than {limit} bytes")
    try:
        return json.loads(content)
    except RecursionError as error:
        raise InvalidAdvisories(f"{place}: nested too deeply") from error
    except ValueError as error:
        raise InvalidAdvisories(f"{place}: no JSON: {error}") from error


def _read_record(record: Any) -> tuple[str, str, list[tuple[str, str, Advisory]]]:
    """Raises: ValueError, TypeError, LookupError, AttributeError."""
    if not str(record.get("schema_version", "1.")).startswith("1."):
        raise ValueError("another version of the schema")
    modified = _TIME.fullmatch(record["modified"])
    if modified is None:
        raise ValueError("modified is no time in UTC")
    found: list[tuple[str, str, Advisory]] = []
    affected = _listed(record, "affected") if "withdrawn" not in record else []
    for each in affected:
        package = each.get("package", {})
        ecosystem, name = package.get("ecosystem"), package.get("name")
        if ecosystem in ECOSYSTEMS:
            if _NAME.fullmatch(name) is None:
                raise ValueError("a package without a name")
            known = normalised(name) if ecosystem == "PyPI" else name
            found.append((ecosystem, known, _advisory(record, each, ecosystem)))
    return str(record["id"]), modified[1], found


def _advisory(record: Mapping[str, Any], affected: Mapping[str, Any], ecosystem: str) -> Advisory:
    names = [record["id"], *record.get("aliases", [])[:100]]
    is_malicious = str(record["id"]).startswith("MAL-")
    ranges = tuple(
        tuple(_event(event) for event in _listed(each, "events"))
        for each in _listed(affected, "ranges")
        if each["type"] in ("SEMVER", "ECOSYSTEM")
    )
    summary = " ".join(str(record.get("summary", "")).split())
    return Advisory(
        id=str(record["id"]),
        cve=next((each for each in names if _CVE.fullmatch(each)), ""),
        severity=Severity.CRITICAL if is_malicious else _severity(record, affected),
        # Of these it always is that the code is malicious.
        summary="" if is_malicious else summary[:SUMMARY_CHARACTERS],
        ranges=ranges,
        versions=tuple(
            version
            for version in map(_version, _listed(affected, "versions"))
            if not any(is_within(ecosystem, version, events) for events in ranges)
        ),
    )


def _event(event: Mapping[str, Any]) -> str:
    [(kind, version)] = event.items()
    return _KINDS[kind] + _version(version)


def _version(version: Any) -> str:
    if not isinstance(version, str) or not 0 < len(version) <= VERSION_CHARACTERS:
        raise ValueError("a version that is none")
    return version


def _listed(holder: Mapping[str, Any], name: str) -> list[Any]:
    value = holder.get(name) or []
    if not isinstance(value, list) or len(value) > ENTRIES:
        raise ValueError(f"{name} is no list, or too long")
    return value


def _severity(record: Mapping[str, Any], affected: Mapping[str, Any]) -> Severity | None:
    """The highest that it is given; None where nobody rated it."""
    rated = [*_listed(affected, "severity"), *_listed(record, "severity")]
    found = [level for each in rated if (level := _level(each)) is not None]
    word = (record.get("database_specific") or {}).get("severity")
    if not found and isinstance(word, str) and word.upper() in _WORDS:
        found = [_WORDS[word.upper()]]
    return max(found, default=None)


def _level(rating: Mapping[str, Any]) -> Severity | None:
    scheme = _CVSS.get(rating["type"])
    if scheme is None:
        return None
    try:
        points = float(scheme(str(rating["score"])[:300]).scores()[0])
    except (cvss.exceptions.CVSSError, ValueError, LookupError):
        # Who rated it did not know how: nobody rated it.
        return None
    return next((level for least, level in _SCALE if points >= least), Severity.INFO)
