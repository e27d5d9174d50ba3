"""The score: how many points a finding costs, and what would win them back.

The score is a sum with a ceiling for each severity, so that one more finding never
raises it, and repeated findings of one rule cost less each time than the first.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

from heimnetz_audit.model import Confidence, Deduction, Finding, Severity

#: Points that the first finding of a rule costs; half of it for each following one.
WEIGHTS: Final[Mapping[Severity, float]] = {
    Severity.INFO: 0.0,
    Severity.LOW: 1.0,
    Severity.MEDIUM: 6.0,
    Severity.HIGH: 22.0,
    Severity.CRITICAL: 45.0,
}
_CERTAINTY: Final = {Confidence.LOW: 0.4, Confidence.MEDIUM: 0.8, Confidence.HIGH: 1.0}


def weigh(findings: Iterable[Finding], remedies: Mapping[str, str]) -> tuple[Deduction, ...]:
    """What each finding costs, in the order of the findings."""
    by_rule: dict[tuple[str, Severity], list[Finding]] = defaultdict(list)
    ordered = list(findings)
    for finding in ordered:
        by_rule[finding.rule, finding.severity].append(finding)
    weights: dict[int, float] = {}
    for (_, severity), same in by_rule.items():
        for rank, finding in enumerate(sorted(same, key=lambda f: -_CERTAINTY[f.confidence])):
            weights[id(finding)] = WEIGHTS[severity] * _CERTAINTY[finding.confidence] * 0.5**rank
    return tuple(
        Deduction(
            finding,
            round(weights[id(finding)], 2),
            finding.remedy or remedies.get(finding.rule, ""),
        )
        for finding in ordered
    )
