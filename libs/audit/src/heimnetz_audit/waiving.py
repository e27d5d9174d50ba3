"""Reads the owner's waivers, and counts a report without what they cover."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any, Final

from heimnetz_audit import checks, judging
from heimnetz_audit.model import Finding, Report, grade, score
from heimnetz_audit.model.waivers import Expired, InvalidPolicy, Standing, Waiver

WAIVERS_LIMIT: Final = 1_000
TEXT_CHARACTERS: Final = 500
_NEEDED: Final = ("rule", "plugin", "reason", "expires_on")
_KNOWN: Final = (*_NEEDED, "version", "files")
_RULES: Final = tuple(sorted(check.rule for check in checks.ALL))


def read_waivers(entries: Any) -> tuple[Waiver, ...]:
    """Raises: InvalidPolicy, with the number of the entry, from 0."""
    if not isinstance(entries, list | tuple):
        raise InvalidPolicy("waivers: a list is needed")
    if len(entries) > WAIVERS_LIMIT:
        raise InvalidPolicy(f"waivers: more than {WAIVERS_LIMIT}")
    return tuple(_read(f"waivers[{number}]", entry) for number, entry in enumerate(entries))


def _read(place: str, entry: Any) -> Waiver:
    if not isinstance(entry, Mapping):
        raise InvalidPolicy(f"{place}: a mapping is needed, with {', '.join(_NEEDED)}")
    for name in entry:
        if name not in _KNOWN:
            raise InvalidPolicy(f"{place}: unknown entry {name!r}; known are {', '.join(_KNOWN)}")
    for name in _NEEDED:
        if name not in entry:
            raise InvalidPolicy(f"{place}: {name} is missing{_HINTS.get(name, '')}")
    return Waiver(
        rule=_rule(place, _text(place, "rule", entry["rule"])),
        plugin=_text(place, "plugin", entry["plugin"]),
        version=_text(place, "version", entry.get("version", "*")),
        files=_text(place, "files", entry.get("files", "*")),
        reason=_text(place, "reason", entry["reason"]),
        expires_on=_day(place, entry["expires_on"]),
    )


_HINTS: Final = {
    "reason": "; say why the finding is accepted",
    "expires_on": "; a waiver has a last day, such as 2027-06-30",
    "plugin": "; name the plugin, or * for every one",
}


def _text(place: str, name: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        # Without quotes YAML reads 1.0 as a number.
        raise InvalidPolicy(f"{place}: {name} is no text; put it in quotes")
    if len(value) > TEXT_CHARACTERS:
        raise InvalidPolicy(f"{place}: {name} is longer than {TEXT_CHARACTERS} characters")
    return value.strip()


def _rule(place: str, rule: str) -> str:
    if not any(fnmatchcase(known, rule) for known in _RULES):
        near = get_close_matches(rule, _RULES, n=1)
        meant = f"; is {near[0]} meant?" if near else ""
        raise InvalidPolicy(f"{place}: there is no rule {rule!r}{meant}")
    return rule


def _day(place: str, value: Any) -> date:
    if isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError as error:
            raise InvalidPolicy(
                f"{place}: expires_on is no date such as 2027-06-30: {value[:40]!r}"
            ) from error
    if not isinstance(value, date) or isinstance(value, datetime):
        raise InvalidPolicy(f"{place}: expires_on is no date such as 2027-06-30")
    return value


def waive(
    report: Report, waivers: Iterable[Waiver], *, plugin: str, version: str, today: date | None
) -> Standing:
    """The first waiver in the policy that covers a finding is the one that is named.

    Where the day is not known, no waiver has an effect.
    """
    meant = [waiver for waiver in waivers if waiver.is_about(plugin, version)]
    current = [w for w in meant if today is not None and not w.has_ended(today)]
    covering = tuple(_first(current, finding) for finding in report.findings)
    open_findings = tuple(
        finding for finding, waiver in zip(report.findings, covering, strict=True) if waiver is None
    )
    expired = tuple(
        Expired(waiver, sum(map(waiver.covers, report.findings)))
        for waiver in meant
        if today is not None and waiver.has_ended(today)
    )
    points, letter, deductions = report.score, report.grade, report.deductions
    if len(open_findings) < len(report.findings):
        remedies = {deduction.finding.rule: deduction.remedy for deduction in deductions}
        deductions = judging.weigh(open_findings, remedies)
        points = score(deductions)
        letter = grade(points)
    return Standing(
        open_findings=open_findings,
        waivers=covering,
        expired=expired,
        score=points,
        grade=letter,
        deductions=deductions,
    )


def _first(waivers: Iterable[Waiver], finding: Finding) -> Waiver | None:
    return next((waiver for waiver in waivers if waiver.covers(finding)), None)
