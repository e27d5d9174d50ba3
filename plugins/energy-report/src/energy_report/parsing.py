"""Single cells: numbers and timestamps as meters and utilities write them."""

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

_SPACES = re.compile("[ \u00a0\u202f']")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,2})?")
_NUMERIC_DATE = re.compile(
    r"(\d{1,2})([./-])(\d{1,2})[./-](\d{4}|\d{2})(?:[ T,]+(\d{1,2}):(\d{2})(?::(\d{2}))?)?"
)
_ISO_24 = re.compile(r"(\d{4}-\d{2}-\d{2})[ T]24:00(?::00)?(.*)")
_YEAR_SLASH = re.compile(r"(\d{4})/(\d{1,2})/(\d{1,2})")
FIRST_YEAR = 1990  # no smart meter is older; an earlier year is a slip


def parse_number(text: str, *, is_comma_decimal: bool) -> float:
    """Raises: ValueError with the reason."""
    bare = _SPACES.sub("", text.strip())
    if not bare:
        raise ValueError("the reading is missing")
    if is_comma_decimal:
        bare = bare.replace(".", "").replace(",", ".")
    elif "," in bare:
        if not re.fullmatch(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?", bare):
            raise ValueError("a comma where a decimal point was expected")
        bare = bare.replace(",", "")
    if not _NUMBER.fullmatch(bare):
        raise ValueError("the reading is not a number")
    return float(bare)


def parse_timestamp(text: str, *, date_order: str) -> datetime:
    """With an offset if one was written, else naive. Raises: ValueError with the reason."""
    bare = text.strip()
    if not bare:
        raise ValueError("the timestamp is missing")
    if bare.isdigit() and len(bare) in (10, 13):
        return datetime.fromtimestamp(int(bare[:10]), UTC)
    moment = _numeric(bare, date_order) or _iso(bare)
    if moment is None:
        raise ValueError("the timestamp is not understood")
    if not FIRST_YEAR <= moment.year <= 2200:
        raise ValueError(f"the year {moment.year} cannot be right")
    return moment


def _iso(text: str) -> datetime | None:
    extra = timedelta()
    if match := _ISO_24.fullmatch(text):
        text, extra = f"{match[1]}T00:00{match[2]}", timedelta(days=1)
    text = _YEAR_SLASH.sub(lambda m: f"{m[1]}-{int(m[2]):02}-{int(m[3]):02}", text)
    try:
        return datetime.fromisoformat(text) + extra
    except ValueError:
        return None


def _numeric(text: str, date_order: str) -> datetime | None:
    match = _NUMERIC_DATE.fullmatch(text)
    if match is None:
        return None
    first, second = int(match[1]), int(match[3])
    is_month_first = match[2] == "/" and date_order == "mdy"
    day, month = (second, first) if is_month_first else (first, second)
    year = int(match[4]) + (2000 if len(match[4]) == 2 else 0)
    hour, minute, second_of = (int(match[n] or 0) for n in (5, 6, 7))
    extra = timedelta()
    if (hour, minute, second_of) == (24, 0, 0):
        hour, extra = 0, timedelta(days=1)
    try:
        return datetime(year, month, day, hour, minute, second_of) + extra  # noqa: DTZ001
    except ValueError:
        return None


def to_seconds(moment: datetime, zone: ZoneInfo, previous: int | None) -> int:
    """Seconds since 1970. Raises: ValueError for a time that the zone's clocks skipped.

    A naive time in the hour that is repeated in autumn is the first one, unless the readings
    have come past that already.
    """
    if moment.tzinfo is not None:
        return int(moment.timestamp())
    local = moment.replace(tzinfo=zone)
    seconds = int(local.timestamp())
    if datetime.fromtimestamp(seconds, zone).replace(tzinfo=None) != moment.replace(microsecond=0):
        raise ValueError(f"clocks in {zone.key} skipped this time")
    if previous is not None and seconds <= previous:
        second = int(local.replace(fold=1).timestamp())
        if second > previous:
            return second
    return seconds
