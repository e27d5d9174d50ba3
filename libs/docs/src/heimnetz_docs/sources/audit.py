"""What the auditor found, or that it has not looked yet."""

from heimnetz_docs.model import (
    Audit,
    Block,
    Bullets,
    Cell,
    Facts,
    Finding,
    Look,
    Notice,
    Section,
    Subject,
    Table,
    Tone,
)
from heimnetz_docs.text import count

MAX_FINDINGS = 50
SEVERITIES = ("critical", "high", "medium", "low", "info")
TONES = {"critical": Tone.DANGER, "high": Tone.DANGER, "medium": Tone.WARNING, "low": Tone.NOTE}
VERDICTS = {
    "approve": ("approved by the owner's policy", Tone.GOOD),
    "review": ("a person has to decide", Tone.WARNING),
    "reject": ("rejected by the owner's policy", Tone.DANGER),
}


def describe(subject: Subject) -> Section:
    audit = subject.known.audit
    if audit is None:
        notice = Notice(Tone.NOTE, "This version has not been audited yet.")
        return Section("audit", "Audit", (notice,))
    verdict, _ = VERDICTS.get(audit.verdict, (audit.verdict, Tone.NEUTRAL))
    blocks: list[Block] = [
        Facts(
            (
                ("Grade", Cell(audit.grade, Look.CODE)),
                ("Score", Cell(f"{audit.score:g}", Look.CODE)),
                ("Verdict", Cell(verdict)),
                ("Findings", Cell(tally(audit))),
            )
        )
    ]
    if audit.reasons:
        blocks.append(Bullets(tuple((Cell(reason),) for reason in audit.reasons)))
    blocks += [Notice(Tone.WARNING, f"Not looked at: {what}") for what in audit.limitations[:10]]
    if audit.findings:
        blocks.append(_findings(audit))
    return Section("audit", "Audit", tuple(blocks), _facts(audit))


def tally(audit: Audit) -> str:
    """How many findings of each severity: `2 high, 1 low`, or `none`."""
    known = [f"{audit.counts[name]} {name}" for name in SEVERITIES if audit.counts.get(name)]
    return ", ".join(known) or "none"


def _findings(audit: Audit) -> Table:
    worst_first = sorted(audit.findings, key=_order)
    rows = tuple(
        (
            Cell(item.severity, Look.MARK, TONES.get(item.severity, Tone.NEUTRAL)),
            Cell(item.title),
            Cell(f"{item.path}:{item.line}" if item.line else item.path or "-", Look.CODE),
            Cell(item.rule, Look.CODE, href=item.page),
        )
        for item in worst_first[:MAX_FINDINGS]
    )
    left = len(worst_first) - len(rows)
    caption = "Findings, worst first" + (
        f"; {count(left, 'more finding')} in the report" if left else ""
    )
    return Table(caption, ("Severity", "Finding", "Where", "Rule"), rows)


def _order(finding: Finding) -> tuple[int, str, int, str]:
    rank = SEVERITIES.index(finding.severity) if finding.severity in SEVERITIES else len(SEVERITIES)
    return rank, finding.path, finding.line or 0, finding.rule


def _facts(audit: Audit) -> dict[str, object]:
    return {
        "score": audit.score,
        "grade": audit.grade,
        "verdict": audit.verdict,
        "counts": dict(audit.counts),
        "reasons": list(audit.reasons),
        "limitations": list(audit.limitations),
        "findings": [
            {
                "rule": item.rule,
                "severity": item.severity,
                "title": item.title,
                "path": item.path,
                "line": item.line,
            }
            for item in sorted(audit.findings, key=_order)
        ],
    }
