"""From entries to what is worth reading."""

import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from statistics import median
from typing import Any

from log_digest.model import LEVELS, Entry, Pattern, Place, Tally, shown

PATTERNS = 20_000
RARE = 2  # a pattern that came so often or less is unusual, in a log of some length
MANY_LINES = 100
BURST_FACTOR = 10

_VARIABLE = re.compile(
    r"""(?P<uuid>\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b)
      | (?P<ip>(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.])(?::\d+)?)
      | (?P<ip6>(?<![\w:])(?:[0-9a-fA-F]{1,4}:){2,7}[0-9a-fA-F:]{0,39}(?![\w:]))
      | (?P<hex>\b0x[0-9a-fA-F]+\b|\b(?=[0-9]*[a-f])(?=[a-f]*\d)[0-9a-f]{8,}\b)
      | (?P<text>"(?:[^"\\]|\\.){0,400}"|'[^']{0,400}')
      | (?P<number>(?<![A-Za-z_])\d+(?:[.,:]\d+)*)""",
    re.VERBOSE,
)
# What scanners of the internet ask every web server for.
_PROBE = re.compile(
    r"(?i)(/\.(?:env|git|aws|ssh|svn)\b|wp-(?:login|admin|content)|xmlrpc\.php|phpmyadmin|/cgi-bin/|"
    r"\.\./|%2e%2e|/etc/passwd|(?:union[+%20 ]+select)|<script|%3cscript|\$\{jndi:|/boaform|"
    r"eval-stdin|/actuator|/solr/|\\x16\\x03)"
)
_FAILED_LOGIN = re.compile(
    r"(?i)(failed password|authentication failure|invalid user|failed login|login failed|"
    r"maximum authentication attempts|no supported authentication methods)"
)


def pattern_of(message: str) -> str:
    """The message with everything variable replaced by what kind of thing it was."""
    return _VARIABLE.sub(lambda match: f"<{match.lastgroup}>", message[:2000])


@dataclass
class Digest:
    """Takes entry after entry; memory is bounded by the capacities of its tallies."""

    lines: int = 0
    ignored: int = 0
    not_understood: int = 0
    first_not_understood: list[dict[str, Any]] = field(default_factory=list)
    first: datetime | None = None
    last: datetime | None = None
    errors: int = 0
    levels: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    patterns: dict[str, Pattern] = field(default_factory=dict)
    is_exact: bool = True
    clients: Tally = field(default_factory=Tally)
    client_bytes: Tally = field(default_factory=Tally)
    client_errors: Tally = field(default_factory=Tally)
    sources: Tally = field(default_factory=Tally)
    paths: Tally = field(default_factory=Tally)
    missing: Tally = field(default_factory=Tally)
    failing: Tally = field(default_factory=Tally)
    agents: Tally = field(default_factory=Tally)
    probes: Tally = field(default_factory=Tally)
    probing_clients: Tally = field(default_factory=Tally)
    failed_logins: Tally = field(default_factory=Tally)
    minutes: Tally = field(default_factory=Tally)

    def take(self, entry: Entry, place: Place, line: str) -> None:
        self.lines += 1
        self._time(entry.at)
        if entry.level:
            self.levels[entry.level] += 1
        if entry.is_error:
            self.errors += 1
        if entry.client:
            self.clients.add(shown(entry.client))
            if entry.is_error or entry.status >= 400:
                self.client_errors.add(shown(entry.client))
        if entry.source:
            self.sources.add(shown(entry.source))
        if entry.status:
            self._request(entry)
        elif _FAILED_LOGIN.search(entry.message[:1000]):
            self.failed_logins.add(shown(entry.client) or "unknown")
        self._pattern(entry, place, line)

    def refuse(self, place: Place, line: str) -> None:
        self.lines += 1
        self.not_understood += 1
        if len(self.first_not_understood) < 10:
            self.first_not_understood.append(
                {"file": place.file, "line": place.line, "text": shown(line)}
            )

    def _time(self, at: datetime | None) -> None:
        if at is None:
            return
        self.first = at if self.first is None or at < self.first else self.first
        self.last = at if self.last is None or at > self.last else self.last
        self.minutes.add(at.strftime("%Y-%m-%dT%H:%MZ"))

    def _request(self, entry: Entry) -> None:
        self.statuses[str(entry.status)] += 1
        path = shown(entry.path.partition("?")[0]) or "(no path)"
        self.paths.add(path)
        self.client_bytes.add(shown(entry.client), entry.size_bytes)
        if entry.agent:
            self.agents.add(shown(entry.agent))
        if entry.status == 404:
            self.missing.add(path)
        if entry.status >= 500:
            self.failing.add(path)
        if _PROBE.search(entry.message[:2000]):
            self.probes.add(shown(entry.path) or shown(entry.message))
            self.probing_clients.add(shown(entry.client))

    def _pattern(self, entry: Entry, place: Place, line: str) -> None:
        key = (
            f"{entry.method or '?'} {pattern_of(entry.path.partition('?')[0])} {entry.status}"
            if entry.status
            else f"{entry.source}: {pattern_of(entry.message)}"
        )
        known = self.patterns.get(key)
        if known is not None:
            known.count += 1
            return
        if len(self.patterns) >= PATTERNS:
            self._forget()
        self.patterns[key] = Pattern(1, place, shown(line), entry.level, entry.is_error)

    def _forget(self) -> None:
        """Drop half of the patterns, harmless and rare ones first."""
        order = sorted(self.patterns.items(), key=lambda item: (item[1].is_error, item[1].count))
        self.patterns = dict(order[len(order) // 2 :])
        self.is_exact = False

    def report(self, top: int) -> dict[str, Any]:
        return {
            "lines": self.lines,
            "ignored": self.ignored,
            "first": self.first.isoformat() if self.first else None,
            "last": self.last.isoformat() if self.last else None,
            "errors": {
                "count": self.errors,
                "kinds": [
                    _described(key, pattern) for key, pattern in self._sorted(is_error=True)[:top]
                ],
            },
            "levels": dict(sorted(self.levels.items())),
            "top_talkers": {
                "clients": [
                    {
                        "client": client,
                        "lines": count,
                        "errors": self.client_errors.counts.get(client, 0),
                        "size_bytes": self.client_bytes.counts.get(client, 0),
                    }
                    for client, count in self.clients.top(top)
                ],
                "sources": _listed(self.sources, "source", top),
            },
            "web": self._web(top) if self.statuses else None,
            "unusual": self._unusual(top),
            "not_understood": {
                "count": self.not_understood,
                "first": self.first_not_understood,
            },
            "is_exact": self.is_exact and self.clients.is_exact and self.paths.is_exact,
        }

    def _web(self, top: int) -> dict[str, Any]:
        return {
            "statuses": dict(sorted(self.statuses.items())),
            "paths": _listed(self.paths, "path", top),
            "missing": _listed(self.missing, "path", top),
            "failing": _listed(self.failing, "path", top),
            "agents": _listed(self.agents, "agent", top),
        }

    def _unusual(self, top: int) -> dict[str, Any]:
        rare = [
            _described(key, pattern)
            for key, pattern in sorted(
                self.patterns.items(),
                key=lambda item: (-_rank(item[1].level), item[1].count, item[0]),
            )
            if pattern.count <= RARE
        ]
        return {
            "rare_lines": rare[:top] if self.lines >= MANY_LINES else [],
            "bursts": self._bursts(top),
            "probes": {
                "count": sum(self.probes.counts.values()),
                "clients": _listed(self.probing_clients, "client", top),
                "asked_for": _listed(self.probes, "path", top),
            },
            "failed_logins": {
                "count": sum(self.failed_logins.counts.values()),
                "clients": _listed(self.failed_logins, "client", top),
            },
        }

    def _bursts(self, top: int) -> list[dict[str, Any]]:
        """Minutes with ten times as many lines as the middle one has."""
        counts = self.minutes.counts
        if len(counts) < 10:
            return []
        usual = median(counts.values())
        return [
            {"minute": minute, "lines": count, "usual": usual}
            for minute, count in self.minutes.top(top)
            if count >= max(BURST_FACTOR * usual, 30)
        ]

    def _sorted(self, *, is_error: bool) -> list[tuple[str, Pattern]]:
        found = [item for item in self.patterns.items() if item[1].is_error is is_error]
        return sorted(found, key=lambda item: (-item[1].count, item[0]))


def _rank(level: str) -> int:
    return LEVELS.index(level) if level in LEVELS else 1


def _described(key: str, pattern: Pattern) -> dict[str, Any]:
    return {
        "pattern": shown(key),
        "count": pattern.count,
        "level": pattern.level or None,
        "file": pattern.first.file,
        "line": pattern.first.line,
        "example": pattern.example,
    }


def _listed(tally: Tally, name: str, top: int) -> list[dict[str, Any]]:
    return [{name: key, "count": count} for key, count in tally.top(top)]
