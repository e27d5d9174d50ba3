"""Plain text of strangers, made fit to be shown."""

import re
import unicodedata

# These reorder or hide text: Unicode Technical Report 36, "Trojan Source" (CVE-2021-42574).
_INVISIBLE = re.compile(
    "[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f"
    "\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
_NO_SLUG = re.compile(r"[^a-z0-9]+")


def visible(text: str) -> str:
    """Name every control, bidirectional and zero-width character instead of obeying it."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _INVISIBLE.sub(lambda match: f"⟨U+{ord(match.group()):04X}⟩", text)


def line(text: str, limit: int = 200) -> str:
    """One visible line of at most `limit` characters."""
    flat = " ".join(visible(text).split())
    return flat if len(flat) <= limit else flat[: limit - 1].rstrip() + "…"


def slug(text: str, limit: int = 60) -> str:
    """An anchor of `a-z`, `0-9` and `-`; `section` when nothing is left of the text."""
    plain = (
        unicodedata.normalize("NFKD", text.replace("ß", "ss")).encode("ascii", "ignore").decode()
    )
    return _NO_SLUG.sub("-", plain.lower()).strip("-")[:limit].rstrip("-") or "section"


def decode(data: bytes) -> tuple[str, bool]:
    """The text of a file, and whether it was UTF-8 as it has to be."""
    try:
        return data.decode("utf-8-sig"), True
    except UnicodeDecodeError:
        return data.decode("utf-8", "replace"), False


def size(size_bytes: int) -> str:
    """A size for people, in binary units: 1536 is `1.5 KiB`."""
    value, units = float(size_bytes), ["bytes", "KiB", "MiB", "GiB"]
    while value >= 1024 and len(units) > 1:
        value, units = value / 1024, units[1:]
    return f"{value:.10g} {units[0]}" if value.is_integer() else f"{value:.1f} {units[0]}"


def duration(seconds: float) -> str:
    """A duration for people: 90 is `1 min 30 s`."""
    if seconds < 60:
        return f"{seconds:g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [(hours, "h"), (minutes, "min"), (rest, "s")]
    return " ".join(f"{value} {unit}" for value, unit in parts if value)


def count(number: int, one: str, many: str | None = None) -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
