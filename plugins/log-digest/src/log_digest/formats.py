"""The forms of lines that are understood, each a function that gives an Entry or None."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from log_digest.model import LEVELS, Entry

Format = Callable[[str], Entry | None]

_MONTHS = {
    name: number
    for number, name in enumerate(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), 1
    )
}
_LEVEL_WORDS = {
    "emerg": "critical", "emergency": "critical", "panic": "critical", "alert": "critical",
    "crit": "critical", "critical": "critical", "fatal": "critical",
    "err": "error", "error": "error", "severe": "error",
    "warn": "warning", "warning": "warning",
    "notice": "notice", "info": "info", "information": "info",
    "debug": "debug", "trace": "debug", "verbose": "debug",
}  # fmt: skip
_LEVEL_WORD = re.compile(
    r"(?<![\w./=-])(emerg(?:ency)?|panic|alert|crit(?:ical)?|fatal|err(?:or)?|severe|warn(?:ing)?|"
    r"notice|info(?:rmation)?|debug|trace|verbose)(?![\w/-])",
    re.IGNORECASE,
)
_TROUBLE = re.compile(
    r"(?i)\b(segfault|out of memory|oom-kill\w*|i/o error|call trace|traceback|exception|"
    r"failed password|authentication failure|connection refused|no space left|"
    r"read-only file system|remounting filesystem|hardware error|link is down)\b"
)

# https://httpd.apache.org/docs/2.4/logs.html#combined and nginx's default, which is the same
_ACCESS = re.compile(
    r"(?P<client>\S{1,255}) \S+ .{1,255}? \[(?P<at>[^\]]{10,40})\] "
    r'"(?P<request>(?:[^"\\]|\\.)*)" (?P<status>\d{3}) (?P<size>\d+|-)'
    r'(?: "(?:[^"\\]|\\.)*" "(?P<agent>(?:[^"\\]|\\.)*)")?'
)
_REQUEST = re.compile(r"([A-Z]{1,20}) (\S+)(?: HTTP/[\d.]+)?")
_NGINX_ERROR = re.compile(r"(\d{4}/\d\d/\d\d \d\d:\d\d:\d\d) \[(\w+)\] \d+#\d+: (?:\*\d+ )?(.*)")
_NGINX_CLIENT = re.compile(r"\bclient: ([0-9A-Fa-f.:]+)")
_SYSLOG = re.compile(
    r"(?:<(\d{1,3})>)?([A-Z][a-z]{2}) {1,2}(\d{1,2}) (\d\d:\d\d:\d\d) (\S+) "
    r"([^:\[\s]{1,60})(?:\[\d+\])?: (.*)"
)
_SYSLOG_5424 = re.compile(
    r"<(\d{1,3})>1 (\S+) (\S+) (\S+) \S+ \S+ (?:-|(?:\[(?:[^\]\\]|\\.)*\])+) ?(.*)"
)
_JOURNAL = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\S*) (\S+) ([^:\[\s]{1,60})(?:\[\d+\])?: (.*)"
)
_DATED = re.compile(
    r"\[?(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?)\]?\s+(.*)"
)
_FROM = re.compile(
    r"(?:\bfrom\b|\brhost=|\bSRC=)\s*([0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9A-Fa-f:]*:[0-9A-Fa-f:]+)"
)
_SEVERITIES = ("critical", "critical", "critical", "error", "warning", "notice", "info", "debug")


def access(line: str) -> Entry | None:
    match = _ACCESS.match(line)
    if match is None:
        return None
    request = _REQUEST.fullmatch(match["request"])
    status = int(match["status"])
    return Entry(
        message=f'"{match["request"]}" {status}',
        at=_clf(match["at"]),
        level="error" if status >= 500 else "",
        client=match["client"],
        method=request[1] if request else "",
        path=request[2] if request else "",
        status=status,
        size_bytes=int(match["size"]) if match["size"] != "-" else 0,
        agent=match["agent"] or "",
    )


def nginx_error(line: str) -> Entry | None:
    match = _NGINX_ERROR.match(line)
    if match is None:
        return None
    client = _NGINX_CLIENT.search(match[3])
    return Entry(
        message=match[3],
        at=_iso(match[1].replace("/", "-")),
        level=_LEVEL_WORDS.get(match[2].lower(), ""),
        source="nginx",
        client=client[1] if client else "",
    )


def syslog_5424(line: str) -> Entry | None:
    match = _SYSLOG_5424.match(line)
    if match is None:
        return None
    return _of_system(
        match[5], source=match[4], at=_iso(match[2]), level=_SEVERITIES[int(match[1]) % 8]
    )


def syslog(line: str) -> Entry | None:
    """RFC 3164, which has no year: the time stays unknown rather than wrong by years."""
    match = _SYSLOG.match(line)
    if match is None or match[2] not in _MONTHS:
        return None
    level = _SEVERITIES[int(match[1]) % 8] if match[1] else ""
    return _of_system(match[7], source=match[6], at=None, level=level)


def journal(line: str) -> Entry | None:
    match = _JOURNAL.match(line)
    if match is None:
        return None
    return _of_system(match[4], source=match[3], at=_iso(match[1]), level="")


def json_line(line: str) -> Entry | None:
    if not line.startswith("{"):
        return None
    try:
        document = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict):
        return None
    message = _first(document, "message", "msg", "event", "log", "MESSAGE")
    return Entry(
        message=message or line,
        at=_iso(_first(document, "timestamp", "time", "ts", "@timestamp")),
        level=_LEVEL_WORDS.get(_first(document, "level", "severity", "lvl").lower(), ""),
        source=_first(document, "logger", "service", "name", "SYSLOG_IDENTIFIER"),
        client=_first(document, "client", "remote_addr", "client_ip"),
    )


def dated(line: str) -> Entry | None:
    match = _DATED.match(line)
    if match is None:
        return None
    return Entry(message=match[2], at=_iso(match[1]), level=level_of(match[2]))


ALL: dict[str, Format] = {
    "access": access,
    "nginx-error": nginx_error,
    "syslog-5424": syslog_5424,
    "syslog": syslog,
    "journal": journal,
    "json": json_line,
    "dated": dated,
}


def level_of(message: str) -> str:
    """The worst that the first level word or a known sign of trouble says."""
    word = _LEVEL_WORD.search(message[:120])
    said = _LEVEL_WORDS[word[1].lower()] if word else ""
    if _TROUBLE.search(message[:1000]):
        said = max(said or "debug", "error", key=LEVELS.index)
    return said


def _of_system(message: str, *, source: str, at: datetime | None, level: str) -> Entry:
    client = _FROM.search(message[:1000])
    seen = level_of(message)
    worst = max((level or "debug", seen or "debug"), key=LEVELS.index)
    return Entry(
        message=message,
        at=at,
        level=worst if level or seen else "",
        source=source,
        client=client[1] if client else "",
    )


def _first(document: dict[str, Any], *keys: str) -> str:
    found = next((document[key] for key in keys if document.get(key) not in (None, "")), "")
    return found if isinstance(found, str) else str(found)[:1000]


def _clf(text: str) -> datetime | None:
    """`10/Oct/2000:13:55:36 -0700`; strptime would ask the locale for the month."""
    match = re.fullmatch(r"(\d{2})/([A-Z][a-z]{2})/(\d{4}):(\d\d:\d\d:\d\d) ([+-]\d\d)(\d\d)", text)
    if match is None or match[2] not in _MONTHS:
        return None
    month = _MONTHS[match[2]]
    return _iso(f"{match[3]}-{month:02}-{match[1]}T{match[4]}{match[5]}:{match[6]}")


def _iso(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text.replace(",", "."))
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
