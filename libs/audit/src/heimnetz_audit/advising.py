"""Which advisories are about a version, and which version has none: the algorithm of OSV's schema.

Versions are ordered by PEP 440 on PyPI and by SemVer 2.0 on npm. One that is neither counts as
older than every one that is, as pip had it.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final

import semver
from packaging.version import InvalidVersion, Version

from heimnetz_audit.model.advisories import VERSION_CHARACTERS, Advisory

#: What a version is in the order of its ecosystem; others are not comparable with it.
Key = tuple[int, Any]
_ORDER: Final = {"i": 0, "f": 1, "l": 2, "x": 3}


@lru_cache(maxsize=100_000)
def key(ecosystem: str, text: str) -> Key:
    """`0` is before everything. Never raises."""
    if text == "0" or len(text) > VERSION_CHARACTERS:
        return -1, ""
    try:
        if ecosystem == "npm":
            # The build is no part of the order, and equal versions have to be equal keys.
            version = semver.Version.parse(text.lstrip("v="), optional_minor_and_patch=True)
            return 1, version.replace(build=None)
        return 1, Version(text)
    except (InvalidVersion, ValueError, TypeError):
        return 0, text


def can_be_ordered(ecosystem: str, version: str) -> bool:
    return key(ecosystem, version)[0] == 1 or version == "0"


def is_affected(ecosystem: str, version: str, advisory: Advisory) -> bool:
    asked = key(ecosystem, version)
    return any(key(ecosystem, each) == asked for each in advisory.versions) or any(
        is_within(ecosystem, version, events) for events in advisory.ranges
    )


def is_within(ecosystem: str, version: str, events: Iterable[str]) -> bool:
    """Whether the last event up to the version says that it is affected."""
    asked = key(ecosystem, version)
    known = [(key(ecosystem, event[1:]), event[0]) for event in events]
    limits = [at for at, kind in known if kind == "x"]
    if limits and not any(asked < at for at in limits):
        return False
    affected = False
    for at, kind in sorted(known, key=lambda each: (each[0], _ORDER[each[1]])):
        if kind == "i" and asked >= at:
            affected = True
        elif (kind == "f" and asked >= at) or (kind == "l" and asked > at):
            affected = False
    return affected


def find_fixed(ecosystem: str, version: str, advisories: Iterable[Advisory]) -> str:
    """The next higher version that fixes something and has nothing known; empty without one."""
    known = tuple(advisories)
    asked = key(ecosystem, version)
    fixes = {
        event[1:]
        for advisory in known
        for events in advisory.ranges
        for event in events
        if event[0] == "f" and key(ecosystem, event[1:]) > asked
    }
    for candidate in sorted(fixes, key=lambda each: key(ecosystem, each)):
        if not any(is_affected(ecosystem, candidate, advisory) for advisory in known):
            return candidate
    return ""
