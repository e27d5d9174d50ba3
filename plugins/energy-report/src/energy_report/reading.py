"""Files, read line by line: encoding, delimiter, header and columns are recognised."""

import codecs
import csv
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from energy_report.model import Readings, ReadingsError
from energy_report.parsing import parse_number, parse_timestamp, to_seconds

SAMPLE_LINES = 60
DELIMITERS = (";", "\t", "|", ",")
TIMESTAMP = {
    "timestamp", "datetime", "zeitstempel", "zeitpunkt", "date/time", "date time", "time stamp",
    "datum/zeit", "datum/uhrzeit", "datum und uhrzeit", "interval start", "start", "von", "from",
    "ab-zeitpunkt", "time", "zeit", "date", "datum",
}  # fmt: skip
DATE = {"date", "datum", "tag", "day"}
TIME = {"time", "zeit", "uhrzeit", "von", "start", "from", "ab"}
VALUE = {
    "value", "wert", "consumption", "verbrauch", "energy", "energie", "import", "bezug", "usage",
    "menge", "reading", "zählerstand", "zaehlerstand", "messwert", "kwh", "wh", "kw", "w",
    "leistung", "power",
}  # fmt: skip
UNITS = {"kwh": "kWh", "wh": "Wh", "kw": "kW", "w": "W"}
_UNIT = re.compile(r"(?<![a-z])(kwh|wh|kw|w)(?![a-z])", re.IGNORECASE)


@dataclass(frozen=True)
class Settings:
    zone: ZoneInfo
    date_order: str = "dmy"
    decimal: str = "auto"
    timestamp_column: str | None = None
    value_column: str | None = None

    @classmethod
    def of(cls, config: Mapping[str, object]) -> "Settings":
        """Raises: ReadingsError for a time zone that does not exist."""
        name = str(config.get("time_zone") or "Europe/Berlin")
        try:
            zone = ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ReadingsError(f"the time zone {name!r} does not exist") from None
        return cls(
            zone=zone,
            date_order=str(config.get("date_order") or "dmy"),
            decimal=str(config.get("decimal") or "auto"),
            timestamp_column=_text(config.get("timestamp_column")),
            value_column=_text(config.get("value_column")),
        )


@dataclass(frozen=True)
class Layout:
    """Where in a line the reading is; columns count from 0."""

    delimiter: str
    first_line: int
    timestamp: tuple[int, ...]
    value: int
    is_comma_decimal: bool
    unit: str | None


def read(file: Path, name: str, settings: Settings, readings: Readings) -> None:
    """Add a file's readings; rows that cannot be used are noted and passed over.

    Raises: ReadingsError, if the file as a whole makes no sense.
    """
    encoding = _encoding(file, name)
    with file.open(encoding=encoding, errors="replace", newline=None) as stream:
        sample = list(islice(stream, SAMPLE_LINES))
    layout = recognise(sample, name, settings)
    if layout.unit is not None:
        readings.units.add(layout.unit)
    readings.files.append(name)
    previous: int | None = None
    with file.open(encoding=encoding, errors="replace", newline=None) as stream:
        for number, line in enumerate(stream, 1):
            if number < layout.first_line or not line.strip(" \t\r\n;,|\x00"):
                continue
            try:
                cells = _cells(line, layout.delimiter)
                if len(cells) <= max(*layout.timestamp, layout.value):
                    raise ValueError(f"{len(cells)} columns are too few")
                moment = parse_timestamp(
                    " ".join(cells[column].strip() for column in layout.timestamp),
                    date_order=settings.date_order,
                )
                value = parse_number(cells[layout.value], is_comma_decimal=layout.is_comma_decimal)
                if value < 0:
                    raise ValueError("the reading is negative")
                seconds = to_seconds(moment, settings.zone, previous)
            except ValueError as error:
                readings.bad_rows.add(name, number, str(error), line)
                continue
            readings.add(seconds, value, number)
            previous = seconds


def recognise(sample: list[str], name: str, settings: Settings) -> Layout:
    """Raises: ReadingsError."""
    lines = [(number, line) for number, line in enumerate(sample, 1) if line.strip()]
    if not lines:
        raise ReadingsError(f"{name} is empty")
    delimiter = _delimiter([line for _, line in lines])
    if delimiter is None:
        number, line = lines[0]
        raise ReadingsError(
            f"{name}, line {number}: no columns found in {line.strip()[:60]!r}; "
            "they are separated by a semicolon, comma, tab or |"
        )
    rows = [(number, _cells(line, delimiter)) for number, line in lines]
    for index, (number, header) in enumerate(rows):
        columns = _columns(header, [row for _, row in rows[index + 1 :]], settings)
        if columns is None:
            continue
        timestamp, value = columns
        body = [row for _, row in rows[index + 1 :] if len(row) > value]
        unit = _UNIT.search(header[value])
        return Layout(
            delimiter=delimiter,
            first_line=number + 1,
            timestamp=timestamp,
            value=value,
            is_comma_decimal=_is_comma_decimal(body, value, settings),
            unit=UNITS[unit[1].lower()] if unit else None,
        )
    return _without_header(rows, name, delimiter, settings)


def _columns(
    header: list[str], body: list[list[str]], settings: Settings
) -> tuple[tuple[int, ...], int] | None:
    names = [cell.strip().strip('"').lower() for cell in header]
    bare = [re.sub(r"\s*[\[(].*$", "", name) for name in names]
    if settings.timestamp_column or settings.value_column:
        wanted = [settings.timestamp_column, settings.value_column]
        if any(want and want.strip().lower() not in names for want in wanted):
            return None
    timestamp = _index(names, settings.timestamp_column)
    value = _index(names, settings.value_column)
    times: tuple[int, ...] | None = None if timestamp is None else (timestamp,)
    if times is None:
        times = _timestamp_columns(bare, body)
    if times is None:
        return None
    if value is None:
        value = _value_column({n: name for n, name in enumerate(names) if n not in times})
    return None if value is None else (times, value)


def _value_column(names: Mapping[int, str]) -> int | None:
    """The first with a unit, else the first that says what it is, else one that hints at it."""
    tests: tuple[Callable[[str], object], ...] = (
        _UNIT.search,
        lambda name: re.sub(r"\s*[\[(].*$", "", name) in VALUE,
        lambda name: VALUE & set(re.split(r"[\s_-]+", name)),
    )
    return next((n for test in tests for n, name in names.items() if test(name)), None)


def _timestamp_columns(names: list[str], body: list[list[str]]) -> tuple[int, ...] | None:
    date = next((column for column, name in enumerate(names) if name in DATE), None)
    time = next(
        (column for column, name in enumerate(names) if name in TIME and column != date), None
    )
    if date is not None and time is not None:
        row = next((row for row in body if len(row) > max(date, time)), None)
        if row is not None and ":" not in row[date] and ":" in row[time]:
            return (date, time)
    found = next((column for column, name in enumerate(names) if name in TIMESTAMP), None)
    return None if found is None else (found,)


def _without_header(
    rows: list[tuple[int, list[str]]], name: str, delimiter: str, settings: Settings
) -> Layout:
    for index, (number, row) in enumerate(rows):
        try:
            parse_timestamp(row[0], date_order=settings.date_order)
        except ValueError:
            continue
        body = [later for _, later in rows[index:]]
        for column in range(1, len(row)):
            is_comma = _is_comma_decimal(body, column, settings)
            try:
                parse_number(row[column], is_comma_decimal=is_comma)
            except ValueError:
                continue
            return Layout(delimiter, number, (0,), column, is_comma, None)
    number, row = rows[0]
    raise ReadingsError(
        f"{name}, line {number}: no column with timestamps and no column with readings "
        f"recognised in {delimiter.join(row).strip()[:60]!r}; "
        "name them in the configuration (timestamp_column, value_column)"
    )


def _is_comma_decimal(body: list[list[str]], column: int, settings: Settings) -> bool:
    if settings.decimal != "auto":
        return settings.decimal == "comma"
    cells = [row[column].strip() for row in body if len(row) > column]
    # "1.500" may be either; one or two digits behind the point, or four, are no thousands.
    if any(re.fullmatch(r"[+-]?[\d,]*\.(\d{1,2}|\d{4,})", cell) for cell in cells):
        return False
    return any(re.fullmatch(r"[+-]?[\d. ]*,\d+", cell) for cell in cells)


def _delimiter(lines: list[str]) -> str | None:
    """The first that splits most lines into equally many columns."""
    for delimiter in DELIMITERS:
        counts = Counter(len(_cells(line, delimiter)) for line in lines)
        columns, lines_with = counts.most_common(1)[0]
        if columns > 1 and lines_with * 2 >= len(lines):
            return delimiter
    return None


def _cells(line: str, delimiter: str) -> list[str]:
    line = line.rstrip("\r\n")
    if '"' not in line:
        return line.split(delimiter)
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error as error:
        raise ValueError(str(error)) from None


def _encoding(file: Path, name: str) -> str:
    with file.open("rb") as stream:
        head = stream.read(256 * 1024)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if head.count(0) * 20 > len(head):
        raise ReadingsError(f"{name} is no text file")
    try:
        codecs.getincrementaldecoder("utf-8-sig")().decode(head)
    except UnicodeDecodeError:
        return "cp1252"  # what utilities' Windows programs write
    return "utf-8-sig"


def _index(names: list[str], wanted: str | None) -> int | None:
    return names.index(wanted.strip().lower()) if wanted else None


def _text(value: object) -> str | None:
    return str(value) if value else None
