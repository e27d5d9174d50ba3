"""Reads what of npm a package brings: its `package-lock.json`, and what lies in `node_modules`.

The platform installs nothing for Node; what a plugin needs is in its package.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from heimnetz_audit.model import SourceTree
from heimnetz_audit.model.pinned import Bundled

LOCK: Final = "package-lock.json"
LOCK_BYTES: Final = 8 * 1024 * 1024
MANIFEST_BYTES: Final = 1024 * 1024
#: Of one package; more are for nobody to read.
BUNDLED_LIMIT: Final = 5_000
_KEY: Final = re.compile(r'\s*"([^"\\]{1,500})"\s*:\s*\{')
_NAME: Final = re.compile(r"(?:@[a-z0-9~._-]+/)?[A-Za-z0-9~._-]+")
_INSTALLED: Final = re.compile(
    r"(?:.*/)?node_modules/((?:@[^/]+/)?[^/@][^/]*)/package\.json", re.DOTALL
)
_NEST: Final = "node_modules/"


def read(tree: SourceTree) -> tuple[tuple[Bundled, ...], tuple[str, ...]]:
    """What is bundled, and the files that cannot be read. Without an exception."""
    found: dict[tuple[str, str], Bundled] = {}
    unread: list[str] = []
    for file in (LOCK, *(name for name in tree.files if _INSTALLED.fullmatch(name))):
        if file not in tree.files:
            continue
        try:
            for each in _read_lock(tree) if file == LOCK else _read_installed(tree, file):
                found.setdefault((each.name, each.version), each)
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
            unread.append(file)
        if len(found) > BUNDLED_LIMIT:
            return tuple(list(found.values())[:BUNDLED_LIMIT]), (*unread, file)
    return tuple(found.values()), tuple(unread)


def _load(content: bytes, limit: int) -> Any:
    """Raises: ValueError, RecursionError."""
    if len(content) > limit:
        raise ValueError("too large")
    return json.loads(content)


def _read_lock(tree: SourceTree) -> Iterator[Bundled]:
    content = tree.files[LOCK]
    document = _load(content, LOCK_BYTES)
    lines: dict[str, int] = {}
    for number, line in enumerate(content.decode("utf-8", "replace").split("\n"), 1):
        if (matched := _KEY.match(line)) is not None:
            lines.setdefault(matched[1], number)
    for path, entry in _entries(document):
        version = entry.get("version")
        # Without a version it is a folder of the author's own.
        if not isinstance(version, str) or entry.get("dev") is True or entry.get("link") is True:
            continue
        name = entry.get("name") or path.rpartition(_NEST)[2]
        if _NAME.fullmatch(name) is not None:
            yield Bundled(name=name, version=version, file=LOCK, line=lines.get(path, 1))


def _entries(document: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Of npm 7 and later, or else the nested ones of npm 6."""
    packages = document.get("packages")
    if packages is not None:
        yield from ((path, entry) for path, entry in packages.items() if _NEST in path)
        return
    waiting = [document.get("dependencies", {})]
    while waiting:
        for name, entry in waiting.pop().items():
            yield name, entry
            waiting.append(entry.get("dependencies", {}))


def _read_installed(tree: SourceTree, file: str) -> Iterator[Bundled]:
    document = _load(tree.files[file], MANIFEST_BYTES)
    matched = _INSTALLED.fullmatch(file)
    name = document.get("name") or (matched[1] if matched is not None else "")
    version = document.get("version")
    # Folders within a package hold a package.json with neither.
    if isinstance(version, str) and _NAME.fullmatch(name) is not None:
        yield Bundled(name=name, version=version, file=file, line=1)
