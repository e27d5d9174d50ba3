"""What the audit engine finds, leaves alone, and takes."""

import importlib.util
import resource
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.audit.measure_handlers import rates, score
from benchmarks.figures import Figure

from heimnetz_audit import Severity, SourceTree, audit

# Kept aside while the engine was written.
SEEDS = range(100, 105)
# Packages that many people trust, as they are installed beside this.
TRUSTED = """
    anyio asyncpg click cryptography docker fastapi h11 httpx hypothesis jinja2 jsonschema
    markdown_it nats pydantic pytest rich starlette structlog typer uvicorn
""".split()


def measure() -> Iterator[Figure]:
    yield Figure(
        f"own handlers in 14 categories, seeds {SEEDS[0]} to {SEEDS[-1]}: true less false rate",
        sum(score(rates(seed)) for seed in SEEDS) / len(SEEDS),
        "",
        to_reach="0.85 on other people's",
    )
    lines = high = noisy = 0
    began = time.perf_counter()
    for name in TRUSTED:
        spec = importlib.util.find_spec(name)
        assert spec is not None, name
        assert spec.origin is not None, name
        report = audit(SourceTree.from_path(Path(spec.origin).parent), source_only=True)
        found = sum(finding.severity >= Severity.HIGH for finding in report.findings)
        lines += report.lines
        high += found
        noisy += bool(found)
    spent = time.perf_counter() - began
    yield Figure(
        f"speed on {lines:,} lines of {len(TRUSTED)} trusted packages", lines / spent, "lines/s"
    )
    yield Figure(
        f"findings of high and above in them, in {noisy} packages",
        high / lines * 1000,
        "per 1,000 lines",
        to_reach="0.02",
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    yield Figure("memory of the process that did it, at most", peak, "MiB", to_reach="under 400")
