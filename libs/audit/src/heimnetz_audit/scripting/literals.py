"""Texts, numbers and patterns as JavaScript writes them."""

import re
from typing import Any, Final

_ESCAPE: Final = re.compile(
    r"\\(?:u\{([0-9a-fA-F]{1,6})\}|u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|([0-7]{1,3})"
    r"|(\r\n|[\s\S]))"
)
_LETTERS: Final = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "\n": "",
                   "\r\n": "", "\r": "", "\u2028": "", "\u2029": ""}  # fmt: skip
_NAMED_GROUP: Final = re.compile(r"\(\?<(?=[A-Za-z_$])")
_DIGITS_LIMIT: Final = 60


def text(raw: str) -> str:
    """What stands between quotes, with its escapes resolved."""
    return _ESCAPE.sub(_resolved, raw) if "\\" in raw else raw


def _resolved(found: "re.Match[str]") -> str:
    braces, four, two, octal, other = found.groups()
    digits = braces or four or two
    if digits is not None:
        number = int(digits, 16)
        # Half of a pair of surrogates is no character that could be written to a report.
        return chr(number) if number < 0xD800 or 0xDFFF < number < 0x110000 else "\ufffd"
    if octal is not None:
        return chr(int(octal, 8))
    return _LETTERS.get(other, str(other))


def number(raw: str) -> Any:
    """An int or a float; None when it is none that is worth computing."""
    digits = raw.replace("_", "").removesuffix("n").lower()
    if len(digits) > _DIGITS_LIMIT:
        return None
    try:
        if digits[:2] in ("0x", "0b", "0o"):
            return int(digits, 0)
        value = float(digits)
    except ValueError:
        return None
    return int(value) if value.is_integer() and abs(value) < 1 << 53 else value


def pattern(raw: str) -> str:
    """A regular expression in Python's spelling."""
    return _NAMED_GROUP.sub("(?P<", raw.replace("\\/", "/").replace("\\$", "[$]"))
