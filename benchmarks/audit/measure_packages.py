"""Measures findings of high severity or above, time and memory on packages that people trust.

python -m benchmarks.audit.measure_packages SITE_PACKAGES [NAME...]
"""

import resource
import sys
import time
from collections import Counter
from pathlib import Path

from heimnetz_audit import Severity, SourceTree, audit


def main() -> None:
    root = Path(sys.argv[1])
    names = sys.argv[2:] or sorted(
        p.name
        for p in root.iterdir()
        if p.is_dir() and not p.name.endswith((".dist-info", ".libs"))
    )
    lines = high = noisy = 0
    spent = 0.0
    reasons: Counter[str] = Counter()
    for name in names:
        begin = time.process_time()
        report = audit(SourceTree.from_path(root / name), source_only=True)
        took = time.process_time() - begin
        found = [f for f in report.findings if f.severity >= Severity.HIGH]
        lines += report.lines
        high += len(found)
        noisy += bool(found)
        spent += took
        reasons.update(f.rule for f in found)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(
            f"{name:24} {report.lines:7} lines {took:6.1f} s  high {len(found):3}  "
            f"{report.grade} {report.score:3}  unknown {len(report.unknowns):3}  {memory} MiB",
            flush=True,
        )
        for finding in found:
            print(f"    {finding.file}:{finding.line} {finding.rule}: {finding.message}")
            for step in finding.flow[-4:]:
                print(f"        {step.file}:{step.line}: {step.text[:100]}")
        for unknown in report.unknowns[:4]:
            print(f"    ? {unknown.file}: {unknown.why}")
    print(f"{lines} lines, {spent:.0f} s, {lines / max(spent, 0.01):.0f} lines a second")
    share = high / max(lines, 1) * 1000
    print(f"{high} high, {share:.4f} per 1,000 lines, in {noisy} of {len(names)}")
    print(reasons.most_common())


if __name__ == "__main__":
    main()
