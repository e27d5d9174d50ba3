"""Sentences that several reporters say, and the escaping of text that a package brings."""

from heimnetz_audit.model import Report, Severity

_OPENINGS = {
    Severity.CRITICAL: "This code does something that only harmful code does.",
    Severity.HIGH: "This code has a serious weakness or a harmful part.",
    Severity.MEDIUM: "This code has places that a person should look at.",
    Severity.LOW: "This code has small weaknesses.",
    Severity.INFO: "Nothing in this code is dangerous.",
}


def summary(report: Report) -> str:
    worst = report.worst
    opening = "Nothing dangerous was found." if worst is None else _OPENINGS[worst]
    if report.unknowns:
        opening += " Some of it could not be looked at."
    count = len(report.findings)
    noun = "finding" if count == 1 else "findings"
    return f"{opening} Grade {report.grade}, {report.score} of 100 points, {count} {noun}."


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
