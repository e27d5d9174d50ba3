"""From lost points to the score and the grade."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

from heimnetz_audit.model.findings import Severity
from heimnetz_audit.model.report import Deduction

#: No number of findings of one severity alone costs more than this.
CEILING: Final[Mapping[Severity, float]] = {
    Severity.INFO: 0.0,
    Severity.LOW: 8.0,
    Severity.MEDIUM: 30.0,
    Severity.HIGH: 75.0,
    Severity.CRITICAL: 100.0,
}
GRADES: Final = ((90, "A"), (75, "B"), (60, "C"), (40, "D"), (20, "E"), (0, "F"))


def score(deductions: Iterable[Deduction]) -> int:
    """From 0 to 100; 100 means that nothing was found that costs points."""
    costs: dict[Severity, float] = defaultdict(float)
    for deduction in deductions:
        costs[deduction.finding.severity] += deduction.weight
    lost = sum(min(cost, CEILING[severity]) for severity, cost in costs.items())
    return max(0, 100 - math.ceil(lost))


def grade(points: int) -> str:
    return next(letter for least, letter in GRADES if points >= least)
