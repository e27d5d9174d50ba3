"""Measures the engine on the handlers of `handlers.py`: mean of true minus false positive rate.

    python benchmarks/audit/measure_handlers.py [SEED] [--show]

Seeds 1 to 9 were used while the engine was written; 100 and above were kept aside.
"""

import sys
from collections import defaultdict

from handlers import samples

from heimnetz_audit import SourceTree, audit

FAMILIES = [
    {22, 23, 35, 36, 73}, {78, 77, 88}, {79, 80, 83, 87, 116}, {89, 564, 943}, {90}, {94, 95, 96},
    {328, 326, 327, 759, 760, 916}, {330, 331, 335, 336, 337, 338}, {501}, {502}, {601},
    {611, 776, 827}, {614, 311, 319, 1004}, {643, 91},
]  # fmt: skip


def main() -> None:
    arguments = [a for a in sys.argv[1:] if a != "--show"]
    seed = int(arguments[0]) if arguments else 1
    counts = defaultdict(lambda: [0, 0, 0, 0])
    for sample in samples(seed):
        report = audit(SourceTree.from_files({sample.name: sample.text.encode()}), source_only=True)
        family = next(f for f in FAMILIES if sample.cwe in f)
        is_found = any(finding.cwe in family for finding in report.findings)
        row = counts[sample.category]
        row[0 if sample.is_vulnerable else 2] += is_found
        row[1 if sample.is_vulnerable else 3] += 1
        if is_found != sample.is_vulnerable and "--show" in sys.argv:
            print("=" * 70, sample.name, "vulnerable" if sample.is_vulnerable else "harmless")
            print(sample.text[sample.text.index("@app.route") :])
        if report.unknowns:
            print(sample.name, report.unknowns)
    total = 0.0
    for name, (found, positives, wrong, negatives) in counts.items():
        value = found / positives - wrong / negatives
        total += value
        print(f"{name:16} TPR {found / positives:.2f}  FPR {wrong / negatives:.2f}  {value:+.2f}")
    print(f"mean {total / len(counts):.3f}")


if __name__ == "__main__":
    main()
