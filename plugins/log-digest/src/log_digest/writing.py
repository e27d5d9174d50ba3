"""The report as a page for a person, in Markdown."""

import re
from typing import Any

_MARKUP = re.compile(r"([\\`*_{}\[\]()#+!|<>~-])")


def write(report: dict[str, Any]) -> str:
    lines = ["# Log digest", "", _head(report), ""]
    lines += _section("Errors", _errors(report["errors"]["kinds"]))
    talkers = report["top_talkers"]
    lines += _section(
        "Top talkers",
        [
            f"- {_plain(c['client'])}: {c['lines']:,} lines, {c['errors']:,} with an error"
            for c in talkers["clients"]
        ]
        or [f"- {_plain(s['source'])}: {s['count']:,} lines" for s in talkers["sources"]],
    )
    if report["web"]:
        statuses = ", ".join(f"{key}: {n:,}" for key, n in report["web"]["statuses"].items())
        lines += _section("Answers of the web server", [f"- {statuses}"])
        lines += _section(
            "Asked for and not there",
            [f"- {_plain(p['path'])}: {p['count']:,}" for p in report["web"]["missing"]],
        )
    lines += _unusual(report["unusual"])
    lines += _section(
        "Not understood",
        [
            f"- {_plain(row['file'])}, line {row['line']}: {_plain(row['text'])}"
            for row in report["not_understood"]["first"]
        ],
    )
    return "\n".join(lines).rstrip() + "\n"


def _head(report: dict[str, Any]) -> str:
    when = f", {report['first']} to {report['last']}" if report["first"] else ""
    return (
        f"{report['lines']:,} lines{when}; {report['errors']['count']:,} of them errors, "
        f"{report['not_understood']['count']:,} not understood."
    )


def _errors(kinds: list[dict[str, Any]]) -> list[str]:
    return [
        f"- {kind['count']:,} times: {_plain(kind['example'])} "
        f"({_plain(kind['file'])}, line {kind['line']})"
        for kind in kinds
    ]


def _unusual(unusual: dict[str, Any]) -> list[str]:
    found = [
        f"- {burst['lines']:,} lines in the minute of {burst['minute']}; usual are "
        f"{burst['usual']:g}"
        for burst in unusual["bursts"]
    ]
    if unusual["failed_logins"]["count"]:
        clients = ", ".join(
            f"{_plain(c['client'])} ({c['count']:,})" for c in unusual["failed_logins"]["clients"]
        )
        found.append(f"- {unusual['failed_logins']['count']:,} failed log-ins: {clients}")
    if unusual["probes"]["count"]:
        clients = ", ".join(
            f"{_plain(c['client'])} ({c['count']:,})" for c in unusual["probes"]["clients"]
        )
        found.append(f"- {unusual['probes']['count']:,} requests look for weak spots: {clients}")
    found += [
        f"- {_plain(row['example'])} ({_plain(row['file'])}, line {row['line']})"
        for row in unusual["rare_lines"]
    ]
    return _section("Unusual", found)


def _section(title: str, rows: list[str]) -> list[str]:
    return [f"## {title}", "", *rows, ""] if rows else []


def _plain(text: str) -> str:
    """A log may hold anything; none of it becomes markup."""
    return _MARKUP.sub(r"\\\1", text)
