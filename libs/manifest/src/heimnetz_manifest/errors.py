"""What can be wrong with a manifest or a package; each kind is public API."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Literal

StatusHint = Literal["too-large", "unsupported-media", "invalid"]

_SHOWN_CHARACTERS = 200


def shown(text: str) -> str:
    """The text as a message may carry it: escaped, at most 200 characters."""
    escaped = text.encode("unicode_escape", "surrogatepass").decode("ascii")
    return escaped if len(escaped) <= _SHOWN_CHARACTERS else escaped[:_SHOWN_CHARACTERS] + "…"


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing to correct; `line` and `column` are 1-based, `pointer` is a JSON Pointer."""

    kind: str
    pointer: str
    detail: str
    line: int | None = None
    column: int | None = None
    suggestion: str | None = None

    def __str__(self) -> str:
        place = f"line {self.line}, column {self.column}: " if self.line else ""
        hint = f" (did you mean {self.suggestion}?)" if self.suggestion else ""
        return f"{place}{self.detail}{hint}"


class ManifestError(Exception):
    """Everything that this library refuses."""

    kind: str = "manifest-invalid"
    title: str = "Manifest is invalid"
    status_hint: StatusHint = "invalid"

    @property
    def detail(self) -> str:
        return str(self)


class InvalidManifest(ManifestError):
    """The manifest cannot be accepted; `kind` is that of the mistakes when they agree."""

    mistakes: tuple[Mistake, ...]

    def __init__(self, mistakes: Iterable[Mistake], kind: str | None = None) -> None:
        self.mistakes = tuple(mistakes)
        kinds = {mistake.kind for mistake in self.mistakes}
        self.kind = kind or (kinds.pop() if len(kinds) == 1 else "manifest-invalid")
        if self.kind == "manifest-too-large":
            self.status_hint = "too-large"
        super().__init__("; ".join(str(mistake) for mistake in self.mistakes[:3]))


class InvalidName(ManifestError, ValueError):
    kind = "manifest-invalid-name"
    title = "Plugin name is invalid"


class InvalidVersion(ManifestError, ValueError):
    kind = "manifest-invalid-version"
    title = "Version is not SemVer 2.0"


class InvalidConfiguration(ManifestError):
    """Configuration does not fit the manifest's schema; pointers are into the configuration."""

    kind = "configuration-invalid"
    title = "Configuration does not fit the plugin's schema"
    mistakes: tuple[Mistake, ...]

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("; ".join(f"{m.pointer or '/'}: {m.detail}" for m in self.mistakes[:3]))


class NotAsked(ManifestError):
    """A grant that the manifest does not ask for."""

    kind = "grant-not-asked"
    title = "The plugin does not ask for this"

    def __init__(self, keys: Iterable[str]) -> None:
        self.keys = tuple(sorted(keys))
        super().__init__("not asked for: " + ", ".join(shown(key) for key in self.keys[:10]))


class PackageError(ManifestError):
    """The package cannot be accepted; `member` is the path in the archive, if there is one."""

    kind: str = "archive-invalid"
    title: str = "Package is broken"
    explanation: ClassVar[str] = ""

    def __init__(self, detail: str | None = None, *, member: str | None = None) -> None:
        self.member = shown(member) if member is not None else None
        text = detail or self.explanation or self.title
        super().__init__(f"{self.member}: {text}" if self.member else text)


class InvalidEnvelope(ManifestError):
    kind = "signature-malformed"
    title = "Signature is not an envelope as Heimnetz reads it"


class EnvelopeTooLarge(ManifestError):
    kind = "signature-too-large"
    title = "Signature is larger than 4 KiB"
    status_hint = "too-large"


class SignatureWrong(ManifestError):
    kind = "signature-wrong"
    title = "Signature was not made with this key, or what it signs was altered"


class SignatureMisplaced(ManifestError):
    kind = "signature-misplaced"
    title = "Signature is of another name, version or digest"


class InvalidIndex(ManifestError):
    kind = "catalogue-index-malformed"
    title = "Index of the catalogue is not one as Heimnetz reads it"


class IndexTooLarge(ManifestError):
    kind = "catalogue-index-too-large"
    title = "Index of the catalogue is larger than 8 MiB"


class CatalogueKeyWrong(ManifestError):
    kind = "catalogue-key-wrong"
    title = "Index was not signed by the catalogue's key, or was altered"


def kinds() -> dict[str, tuple[str, StatusHint]]:
    """Every kind of refusal with its title and status hint; the documentation is tested by it."""
    found: dict[str, tuple[str, StatusHint]] = {}
    waiting: list[type[ManifestError]] = [ManifestError]
    while waiting:
        error = waiting.pop()
        found.setdefault(error.kind, (error.title, error.status_hint))
        waiting.extend(error.__subclasses__())
    found.update(MANIFEST_KINDS)
    return dict(sorted(found.items()))


MANIFEST_KINDS: dict[str, tuple[str, StatusHint]] = {
    "manifest-too-large": ("Manifest is larger than 64 KiB", "too-large"),
    "manifest-encoding": ("Manifest is not UTF-8", "invalid"),
    "manifest-syntax": ("Manifest is not valid YAML", "invalid"),
    "manifest-alias": ("YAML anchors and aliases are not accepted", "invalid"),
    "manifest-tag": ("YAML tags are not accepted", "invalid"),
    "manifest-directive": ("YAML directives and several documents are not accepted", "invalid"),
    "manifest-duplicate-key": ("A key is given twice", "invalid"),
    "manifest-too-deep": ("Manifest is nested too deeply", "invalid"),
    "manifest-forbidden-character": ("A text holds a character that is not accepted", "invalid"),
    "manifest-number-range": ("A number is out of range", "invalid"),
    "manifest-number-not-finite": ("A number is not finite", "invalid"),
    "manifest-missing-key": ("A key is missing", "invalid"),
    "manifest-unknown-key": ("A key is unknown", "invalid"),
    "manifest-invalid-value": ("A value is invalid", "invalid"),
    "manifest-invalid-name": ("Plugin name is invalid", "invalid"),
    "manifest-reserved-name": ("Plugin name is reserved", "invalid"),
    "manifest-invalid-version": ("Version is not SemVer 2.0", "invalid"),
    "manifest-invalid-licence": ("Licence is not an SPDX expression", "invalid"),
    "manifest-invalid-url": ("Address is not a plain https URL", "invalid"),
    "manifest-invalid-path": ("Path leaves the package", "invalid"),
    "manifest-invalid-entry-point": ("Entry point is invalid", "invalid"),
    "manifest-invalid-cron": ("Schedule is invalid", "invalid"),
    "manifest-invalid-time-zone": ("Time zone is unknown", "invalid"),
    "manifest-invalid-event": ("Event type is invalid", "invalid"),
    "manifest-invalid-network": ("Network permission is invalid", "invalid"),
    "manifest-invalid-secret": ("Name of a secret is invalid", "invalid"),
    "manifest-invalid-service": ("Service asks for what services have not", "invalid"),
    "manifest-self-dependency": ("Plugin depends on itself", "invalid"),
    "manifest-invalid-size": ("Size is invalid", "invalid"),
    "manifest-invalid-duration": ("Duration is invalid", "invalid"),
    "manifest-limit-out-of-range": ("Limit is outside what the owner allows", "invalid"),
    "manifest-invalid-schema": ("Configuration schema is invalid", "invalid"),
    "manifest-invalid-example": ("Example does not fit the configuration schema", "invalid"),
    "manifest-missing-file": ("A file that the manifest names is not in the package", "invalid"),
}
