"""Sentences that several reporters say, and the escaping of text that a package brings."""

from heimnetz_audit.model import Report, Severity
from heimnetz_audit.model.drift import Drift
from heimnetz_audit.model.waivers import Expired, Standing, Waiver

_OPENINGS = {
    Severity.CRITICAL: "This code does something that only harmful code does.",
    Severity.HIGH: "This code has a serious weakness or a harmful part.",
    Severity.MEDIUM: "This code has places that a person should look at.",
    Severity.LOW: "This code has small weaknesses.",
    Severity.INFO: "Nothing in this code is dangerous.",
}


def summary(report: Report, standing: Standing | None = None) -> str:
    is_plain = standing is None or standing.is_plain
    counted = report.findings if standing is None or is_plain else standing.open_findings
    worst = max((finding.severity for finding in counted), default=None)
    opening = "Nothing dangerous was found." if worst is None else _OPENINGS[worst]
    if report.unknowns:
        opening += " Some of it could not be looked at."
    count = len(counted)
    noun = "finding" if count == 1 else "findings"
    if standing is None or is_plain:
        return f"{opening} Grade {report.grade}, {report.score} of 100 points, {count} {noun}."
    return (
        f"{opening} Grade {standing.grade}, {standing.score} of 100 points, {count} {noun}, "
        f"{len(report.findings) - count} more waived by the owner "
        f"(grade {report.grade}, {report.score} of 100 with them)."
    )


def dated(report: Report) -> str:
    """Until when the known vulnerabilities go; empty where none were compared."""
    known = report.advisories
    return "" if known is None else f"Known vulnerabilities: {known.count}, as of {known.as_of}."


def waived(waiver: Waiver) -> str:
    return f"Waived until {waiver.expires_on}: {waiver.reason}"


def expired(each: Expired) -> str:
    waiver = each.waiver
    noun = "finding" if each.findings == 1 else "findings"
    return (
        f"{waiver.rule} in {waiver.plugin} {waiver.version}, files {waiver.files}: ended after "
        f"{waiver.expires_on}, would have covered {each.findings} {noun} ({waiver.reason})"
    )


def drifted(drift: Drift) -> list[str]:
    """A line a change, as the package wrote it; the first one says since when."""
    lines = [f"New, and gone, since {drift.since or 'the version before'}:"]
    lines += [f"{'+' if c.is_new else '-'} {c.kind}: {c.what}" for c in drift.changes]
    if not drift.changes:
        lines.append("nothing")
    if drift.left_out:
        lines.append(f"and {drift.left_out} more")
    return lines


def plain(text: str) -> str:
    """Without control and direction characters, which would act on the reader's screen."""
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)


def markdown(text: str) -> str:
    escaped = plain(text)
    for character in "\\`*_{}[]<>#|!~":
        escaped = escaped.replace(character, "\\" + character)
    return escaped


def fenced(text: str) -> str:
    """Text for a code block that it cannot close."""
    return plain(text).replace("```", "'''")
