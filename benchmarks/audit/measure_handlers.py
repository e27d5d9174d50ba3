"""Measures the engine on the handlers of `handlers.py`: mean of true minus false positive rate.

    python -m benchmarks.audit.measure_handlers [SEED] [--show]

Seeds 1 to 9 were used while the engine was written; 100 and above were kept aside.
"""

import sys
from collections import defaultdict

from benchmarks.audit.handlers import samples

from heimnetz_audit import SourceTree, audit

FAMILIES = [
    {22, 23, 35, 36, 73}, {78, 77, 88}, {79, 80, 83, 87, 116}, {89, 564, 943}, {90}, {94, 95, 96},
    {328, 326, 327, 759, 760, 916}, {330, 331, 335, 336, 337, 338}, {501}, {502}, {601},
    {611, 776, 827}, {614, 311, 319, 1004}, {643, 91},
]  # fmt: skip


def rates(seed: int, *, is_shown: bool = False) -> dict[str, tuple[float, float]]:
    """True and false positive rate by category."""
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for sample in samples(seed):
        report = audit(SourceTree.from_files({sample.name: sample.text.encode()}), source_only=True)
        family = next(f for f in FAMILIES if sample.cwe in f)
        is_found = any(finding.cwe in family for finding in report.findings)
        row = counts[sample.category]
        row[0 if sample.is_vulnerable else 2] += is_found
        row[1 if sample.is_vulnerable else 3] += 1
        if is_found != sample.is_vulnerable and is_shown:
            print("=" * 70, sample.name, "vulnerable" if sample.is_vulnerable else "harmless")
            print(sample.text[sample.text.index("@app.route") :])
        if report.unknowns:
            print(sample.name, report.unknowns)
    return {
        name: (found / positives, wrong / negatives)
        for name, (found, positives, wrong, negatives) in counts.items()
    }


def score(found: dict[str, tuple[float, float]]) -> float:
    return sum(true - false for true, false in found.values()) / len(found)


def main() -> None:
    arguments = [a for a in sys.argv[1:] if a != "--show"]
    found = rates(int(arguments[0]) if arguments else 1, is_shown="--show" in sys.argv)
    for name, (true, false) in found.items():
        print(f"{name:16} TPR {true:.2f}  FPR {false:.2f}  {true - false:+.2f}")
    print(f"mean {score(found):.3f}")


if __name__ == "__main__":
    main()
