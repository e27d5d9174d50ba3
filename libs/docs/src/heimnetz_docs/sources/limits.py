"""The caps of a run, and which of them differ from what everybody gets."""

from heimnetz_docs import text
from heimnetz_docs.model import Cell, Look, Paragraph, Section, Subject, Table, Tone
from heimnetz_manifest import Limits


def describe(subject: Subject) -> Section:
    asked, usual = subject.manifest.limits, Limits()
    rows = []
    for name, info in Limits.model_fields.items():
        value, default = getattr(asked, name), getattr(usual, name)
        mark = (
            Cell("usual")
            if value == default
            else Cell(
                f"asks for {_more_or_less(value, default)}; usual: {shown(name, default)}",
                Look.MARK,
                Tone.NOTE,
            )
        )
        rows.append((Cell(info.description or name), Cell(shown(name, value), Look.CODE), mark))
    note = Paragraph((Cell("A run that exceeds a limit ends, and its outcome says which."),))
    table = Table("Limits of one run", ("Limit", "Value", "Compared"), tuple(rows))
    return Section("limits", "Limits", (table, note), asked.model_dump(mode="json"))


def shown(name: str, value: float | None) -> str:
    if value is None:
        return "unlimited"
    if name.endswith("_bytes"):
        return text.size(int(value))
    if name.endswith("_seconds"):
        return text.duration(value)
    return f"{value:g}"


def _more_or_less(value: float | None, default: float | None) -> str:
    if value is None:
        return "no limit"
    return "more" if default is not None and value > default else "less"
