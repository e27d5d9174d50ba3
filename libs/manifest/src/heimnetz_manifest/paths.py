"""Names of members: each is checked alone, and against those before it."""

from __future__ import annotations

import re
import unicodedata

from heimnetz_manifest import refusals
from heimnetz_manifest.model import MANIFEST_NAME

PATH_BYTES = 255
PART_BYTES = 100
DEPTH = 10

_DRIVE = re.compile(r"[A-Za-z]:")
_WINDOWS_DEVICES = frozenset(
    {"con", "prn", "aux", "nul", *(f"{name}{n}" for name in ("com", "lpt") for n in range(1, 10))}
)
_FORBIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"})
_UNWANTED = frozenset(
    {
        ".git",
        ".hg",
        ".svn",
        ".env",
        ".venv",
        "__pycache__",
        ".ds_store",
        "__macosx",
        ".ssh",
        ".npmrc",
        ".pypirc",
        ".netrc",
    }
)
_UNWANTED_ENDINGS = (".pyc", ".pyo", ".pem", ".key", ".p12", ".pfx")
_NATIVE_ENDINGS = (".so", ".pyd", ".dll", ".dylib", ".node", ".exe", ".a", ".o")
_NATIVE_MAGIC = (
    b"\x7fELF",
    b"MZ\x90\x00",
    b"\xcf\xfa\xed\xfe",
    b"\xce\xfa\xed\xfe",
    b"\xca\xfe\xba\xbe",
)


def clean_path(raw: bytes, *, is_directory: bool) -> str:
    """The one spelling of a path, without a directory's slash.

    Raises: PackageError.
    """
    try:
        name = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise refusals.NotUtf8(member=raw.decode("utf-8", "backslashreplace")) from error
    if "\0" in name:
        raise refusals.NulInName(member=name)
    _check_characters(name)
    if name.startswith("/"):
        raise refusals.AbsolutePath(member=name)
    if "\\" in name or _DRIVE.match(name):
        raise refusals.WindowsPath(member=name)
    path = name.removesuffix("/") if is_directory else name
    parts = path.split("/")
    if ".." in parts:
        raise refusals.PathTraversal(member=name)
    if (
        len(path.encode()) > PATH_BYTES
        or len(parts) > DEPTH
        or any(len(part.encode()) > PART_BYTES for part in parts)
    ):
        raise refusals.PathTooLong(member=name)
    for part in parts:
        _check_part(part, name)
    return path


def _check_characters(name: str) -> None:
    for letter in name:
        # Of the spaces only the one that everybody can type and see.
        if unicodedata.category(letter) in _FORBIDDEN_CATEGORIES and letter != " ":
            raise refusals.ForbiddenCharacter(f"U+{ord(letter):04X} is not accepted", member=name)


def _check_part(part: str, name: str) -> None:
    if part == ".":
        raise refusals.BadName("a path has no part “.”; pack with `heimnetz pack`", member=name)
    if not part or part.endswith((".", " ")) or part.startswith(" "):
        raise refusals.BadName(member=name)
    if part.partition(".")[0].rstrip().casefold() in _WINDOWS_DEVICES or ":" in part:
        raise refusals.BadName(f"{part} is reserved on Windows", member=name)


def check_wanted(path: str) -> None:
    """Raises: UnwantedFile, SeveralManifests."""
    parts = path.casefold().split("/")
    if (
        any(part in _UNWANTED for part in parts)
        or parts[-1].endswith(_UNWANTED_ENDINGS)
        or parts[-1].startswith(".env.")
    ):
        raise refusals.UnwantedFile(member=path)
    if parts[-1] in {"plugin.yaml", "plugin.yml"} and path != MANIFEST_NAME:
        raise refusals.SeveralManifests(
            "the only manifest is plugin.yaml at the root of the archive, in lower case",
            member=path,
        )


def is_native(path: str, head: bytes) -> bool:
    return (
        path.casefold().endswith(_NATIVE_ENDINGS)
        or ".so." in path.casefold()
        or head.startswith(_NATIVE_MAGIC)
    )


class Places:
    """The paths seen so far; tells collisions on any file system."""

    def __init__(self) -> None:
        self._files: set[str] = set()
        self._directories: set[str] = set()
        self._declared: set[str] = set()
        self._folded: dict[str, str] = {}

    def add(self, path: str, *, is_directory: bool) -> None:
        """Raises: DuplicateName, CaseCollision, UnicodeCollision, FileAndDirectory."""
        parents = [path[:at] for at, letter in enumerate(path) if letter == "/"]
        for parent in parents:
            self._claim(parent)
            if parent in self._files:
                raise refusals.FileAndDirectory(member=parent)
            self._directories.add(parent)
        if path in self._declared or (path in self._files and not is_directory):
            raise refusals.DuplicateName(member=path)
        if (path in self._files) if is_directory else (path in self._directories):
            raise refusals.FileAndDirectory(member=path)
        self._claim(path)
        self._declared.add(path)
        (self._directories if is_directory else self._files).add(path)

    def _claim(self, path: str) -> None:
        folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())
        other = self._folded.setdefault(folded, path)
        if other == path:
            return
        if unicodedata.normalize("NFC", other) == unicodedata.normalize("NFC", path):
            raise refusals.UnicodeCollision(f"looks like {other}", member=path)
        raise refusals.CaseCollision(f"collides with {other}", member=path)
