"""A run's log: lines with time and stream, bounded, secrets masked, nothing a terminal obeys."""

import base64
import re
import unicodedata
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from urllib.parse import quote, quote_plus

from heimnetz_sandbox.model import LogLine

MAX_LINE_CHARACTERS = 8 * 1024
# Shorter secrets would mask half of every log, and are no secrets.
MIN_SECRET_CHARACTERS = 4
# So many characters of base64 are six bytes' own in every alignment; fewer occur by chance.
MIN_BASE64_CHARACTERS = 7
MASK = "***"

# Controls but tab, separators, and what reorders text on a screen (CVE-2021-42574).
_HIDDEN = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufff9-\ufffb\ud800-\udfff]"
)


def visible(text: str) -> str:
    return _HIDDEN.sub(lambda found: _escape(found[0]), text)


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


class Masker:
    """Replaces given secrets, also in base64 and URL encoding, whole and by line."""

    def __init__(self, secrets: Iterable[str]) -> None:
        forms: set[str] = set()
        for secret in secrets:
            for part in (secret, *secret.splitlines()):
                if len(part) >= MIN_SECRET_CHARACTERS:
                    forms |= _forms(part)
        longest_first = sorted(forms, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if forms else None
        self.count = 0

    def mask(self, text: str) -> str:
        if self._pattern is None:
            return text
        masked, count = self._pattern.subn(MASK, text)
        self.count += count
        return masked


def _forms(secret: str) -> set[str]:
    raw = secret.encode("utf-8", "replace")
    forms = {secret, quote(secret, safe=""), quote_plus(secret), raw.hex()}
    # Base64 of a longer text holds the secret's in one of three alignments.
    for shift in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            text = encode(b"\0" * shift + raw).decode().rstrip("=")
            start = (0, 2, 3)[shift]
            inner = text[start : len(text) - 1 if (shift + len(raw)) % 3 else None]
            if len(inner) >= MIN_BASE64_CHARACTERS:
                forms.add(inner)
    return {form for form in forms if len(form) >= MIN_SECRET_CHARACTERS}


class Log:
    """Takes text in any portions; `on_full` is called once, when there is more than is kept."""

    def __init__(
        self, max_bytes: int, masker: Masker, on_full: Callable[[], None] = lambda: None
    ) -> None:
        self._room = max_bytes
        self._note_room = max_bytes
        self._max_bytes = max_bytes
        self.masker = masker
        self.on_full = on_full
        self._open: dict[str, str] = {}
        self.pending: list[LogLine] = []
        self.is_truncated = False

    def write(self, stream: str, text: str) -> None:
        if self.is_truncated:
            return
        *whole, rest = (self._open.pop(stream, "") + text).split("\n")
        while len(rest) > MAX_LINE_CHARACTERS:
            whole.append(rest[:MAX_LINE_CHARACTERS])
            rest = rest[MAX_LINE_CHARACTERS:]
        for line in whole:
            self._add(stream, line)
        if rest and not self.is_truncated:
            self._open[stream] = rest

    def end(self) -> None:
        """Keep the lines that have no end yet."""
        for stream, rest in tuple(self._open.items()):
            self._add(stream, rest)
        self._open.clear()

    def say(self, text: str) -> None:
        """A line of our own, which the bound does not hit."""
        self.pending.append(LogLine(datetime.now(UTC), "sandbox", text))

    def note(self, text: str) -> None:
        """As `say`, of what the plugin named: masked, and nothing a terminal obeys."""
        line = visible(self.masker.mask(text))[:MAX_LINE_CHARACTERS]
        self._note_room -= len(line.encode()) + 1
        if self._note_room >= 0:
            self.say(line)

    def reopen(self) -> None:
        """As much room as in the beginning."""
        self._room = self._note_room = self._max_bytes
        self.is_truncated = False

    def _add(self, stream: str, line: str) -> None:
        if self.is_truncated:
            return
        while line is not None:
            part, line = line[:MAX_LINE_CHARACTERS], line[MAX_LINE_CHARACTERS:] or None  # type: ignore[assignment]
            text = visible(self.masker.mask(part.removesuffix("\r")))
            size = len(text.encode()) + 1
            if size > self._room:
                self._truncate(stream, text)
                return
            self._room -= size
            self.pending.append(LogLine(datetime.now(UTC), stream, text))

    def _truncate(self, stream: str, text: str) -> None:
        kept = text.encode()[: max(self._room - 1, 0)].decode("utf-8", "ignore")
        if kept:
            self.pending.append(LogLine(datetime.now(UTC), stream, kept))
        self.is_truncated = True
        self._open.clear()
        self.say(f"log truncated: the plugin wrote more than {self._max_bytes} bytes")
        self.on_full()


def safe_reason(text: str, masker: Masker, max_characters: int = 1000) -> str:
    """What a plugin says of its own end, fit to be shown anywhere."""
    shown = visible(unicodedata.normalize("NFC", masker.mask(text.replace("\n", " "))))
    return shown if len(shown) <= max_characters else shown[:max_characters] + "…"
