"""What the person or the next program sees: tables on a terminal, plain text in a pipe, or JSON.

Everything from a server or a package may be hostile: control characters are shown, never sent to
the terminal.
"""

import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from heimnetz_manifest import ManifestError
    from heimnetz_sdk.errors import HeimnetzError

LINE_CHARACTERS = 100
LAST_COLUMN_CHARACTERS = 30
# C0 except tab and newline, DEL, C1, the marks that reorder text (Unicode TR36, 3.1), and tags,
# which spell words that only a program reads.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff"
    "\U000e0000-\U000e0fff]"
)


def visible(text: object) -> str:
    r"""The text with each control character as an escape, such as `\x1b`."""
    return _INVISIBLE.sub(_escape, str(text))


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _json_escape(match: re.Match[str]) -> str:
    return json.dumps(match[0])[1:-1] if match[0] != "\x7f" else "\\u007f"


def to_json(document: object) -> str:
    """What fits on a line stays on it, and nothing in it drives a terminal."""
    return _INVISIBLE.sub(_json_escape, _laid_out(document, ""))


def _laid_out(value: object, indent: str) -> str:
    short = json.dumps(value, ensure_ascii=False, default=str)
    is_nested = isinstance(value, dict) and any(isinstance(v, dict | list) for v in value.values())
    if len(short) + len(indent) <= LINE_CHARACTERS and not is_nested:
        return short
    inner = indent + "  "
    if isinstance(value, dict) and value:
        pairs = (
            f"{json.dumps(str(key), ensure_ascii=False)}: {_laid_out(item, inner)}"
            for key, item in value.items()
        )
        return "{\n" + ",\n".join(inner + pair for pair in pairs) + f"\n{indent}}}"
    if isinstance(value, list) and value:
        if not any(isinstance(item, dict | list) for item in value):
            texts = [json.dumps(item, ensure_ascii=False, default=str) for item in value]
            return "[\n" + _filled(texts, inner) + f"\n{indent}]"
        return "[\n" + ",\n".join(inner + _laid_out(v, inner) for v in value) + f"\n{indent}]"
    return short


def _filled(texts: Sequence[str], indent: str) -> str:
    lines, line = [], indent
    for number, text in enumerate(texts):
        part = text + ("," if number + 1 < len(texts) else "")
        if line.strip() and len(line) + len(part) + 1 > LINE_CHARACTERS:
            lines.append(line.rstrip())
            line = indent
        line += part + " "
    return "\n".join([*lines, line.rstrip()])


def is_terminal() -> bool:
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def has_colour() -> bool:
    return is_terminal() and not os.environ.get("NO_COLOR")


def show(text: object = "") -> None:
    sys.stdout.write(visible(text) + "\n")


def show_json(document: object) -> None:
    sys.stdout.write(to_json(document) + "\n")


def show_report(text: str) -> None:
    """A finished document, JSON or text, as it is but for characters that drive a terminal."""
    escape = _json_escape if text.lstrip().startswith(("{", "[")) else _escape
    sys.stdout.write(_INVISIBLE.sub(escape, text.removesuffix("\n")) + "\n" if text else "")


def note(text: object) -> None:
    """For the person only: to standard error, so that a pipe gets the answer alone."""
    sys.stderr.write(visible(text) + "\n")
    sys.stderr.flush()


def show_table(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Aligned on a terminal; a line a row with tabs between in a pipe."""
    cells = [["" if cell is None else visible(cell) for cell in row] for row in rows]
    if not is_terminal():
        flat = [[re.sub(r"[\t\n]+", " ", cell) for cell in row] for row in cells]
        for row in ([header.upper() for header in headers], *flat):
            sys.stdout.write("\t".join(row) + "\n")
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for header in headers[:-1]:
        table.add_column(header, no_wrap=True)
    table.add_column(headers[-1], overflow="fold")
    for row in cells:
        table.add_row(*(Text(cell, style=_style(cell)) for cell in row))
    # Identifiers are there to be copied: a narrow terminal breaks the line, and no cell is cut.
    widths = [max(map(len, column)) + 2 for column in zip(headers, *cells, strict=True)]
    room = sum(widths[:-1]) + min(widths[-1], LAST_COLUMN_CHARACTERS)
    console = Console(no_color=not has_colour(), highlight=False)
    console.width = max(console.width, room)
    console.print(table)


GOOD = frozenset({"ok", "approved", "up", "healthy", "ready", "resolved", "A", "B"})
BAD = frozenset(
    {"rejected", "down", "unhealthy", "quarantined", "firing", "critical", "high", "D", "E", "F"}
    | {"error", "timeout", "cpu_limit", "out_of_memory", "pids_limit", "disk_limit"}
    | {"output_limit", "refused", "interrupted", "image_unavailable", "engine_error", "killed"}
)


def _style(cell: str) -> str:
    if cell in GOOD:
        return "green"
    return "red" if cell in BAD else ""


def show_facts(facts: Mapping[str, object]) -> None:
    """Name and value, one pair a line; what is None or empty is left out."""
    known = {name: value for name, value in facts.items() if value not in (None, "", {}, [], ())}
    width = max((len(name) for name in known), default=0)
    for name, value in known.items():
        show(f"{name:<{width}}  {value}")


class Progress:
    """One line that says what is going on, on standard error."""

    def __init__(self, status: Any = None) -> None:
        self._status = status
        self._last = ""

    def update(self, text: str) -> None:
        if text == self._last:
            return
        self._last = text
        if self._status is None:
            note(text)
            return
        from rich.text import Text

        self._status.update(Text(visible(text)))


@contextmanager
def progress(text: str) -> Iterator[Progress]:
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        plain = Progress()
        plain.update(text)
        yield plain
        return
    from rich.console import Console

    console = Console(stderr=True, no_color=bool(os.environ.get("NO_COLOR")))
    with console.status("") as status:
        line = Progress(status)
        line.update(text)
        yield line


def size(size_bytes: int | None) -> str:
    if size_bytes is None:
        return ""
    amount = float(size_bytes)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024 or unit == "GiB":
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    raise AssertionError("unreachable: GiB returns")


def seconds(duration: float | None) -> str:
    if duration is None:
        return ""
    return f"{duration * 1000:.0f} ms" if duration < 1 else f"{duration:.1f} s"


def span(duration: float | None) -> str:
    """Roughly, for what lies days ahead."""
    if duration is None:
        return ""
    minutes = int(duration // 60)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // 1440} d"


@contextmanager
def screen() -> Iterator[Callable[[], None]]:
    """A screen of its own on the terminal, given back at the end; the call empties it."""
    from rich.console import Console

    console = Console()
    with console.screen(hide_cursor=True):
        yield console.clear


def list_mistakes(error: "ManifestError", path: Path) -> str:
    """A line for each mistake, as compilers write them: file:line:column."""
    from heimnetz_manifest import MANIFEST_NAME

    mistakes = getattr(error, "mistakes", ())
    if not mistakes:
        return f"{path}: {error.detail} ({error.kind})"
    file = path / MANIFEST_NAME if path.is_dir() else path
    lines = [f"{file} has {len(mistakes)} mistake{'s' if len(mistakes) > 1 else ''}"]
    for mistake in mistakes:
        place = f":{mistake.line}:{mistake.column}" if mistake.line else ""
        hint = f" (did you mean {mistake.suggestion}?)" if mistake.suggestion else ""
        lines.append(f"{file}{place}: {mistake.pointer or '/'}: {mistake.detail}{hint}")
    return "\n".join(lines)


def explain(error: "HeimnetzError") -> str:
    """What the platform answered, and what to do; a line for each mistake."""
    from heimnetz_sdk.errors import ServerError, Unauthenticated, UnexpectedAnswer

    status = f" ({error.problem}, {error.status})" if error.status else ""
    lines = [f"{error.detail}{status}"]
    for mistake in error.mistakes:
        place = f"line {mistake.line}: " if mistake.line else ""
        pointer = f"{mistake.pointer or '/'}: " if mistake.pointer or not place else ""
        hint = f" ({mistake.suggestion})" if mistake.suggestion else ""
        lines.append(f"  {place}{pointer}{mistake.detail}{hint}")
    if isinstance(error, Unauthenticated):
        lines.append("  log in again: heimnetz login")
    if isinstance(error, ServerError | UnexpectedAnswer) and error.trace_id:
        lines.append(f"  trace {error.trace_id} finds it in the services' logs")
    return "\n".join(lines)


def when(moment: datetime | None) -> str:
    """In the reader's time zone, to the second."""
    if moment is None:
        return ""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")
