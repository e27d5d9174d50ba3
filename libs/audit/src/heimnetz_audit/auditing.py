"""An audit from end to end: read, ask every check, judge."""

import multiprocessing
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from typing import Final

from heimnetz_audit import checks, drifting, inferring, judging, pinning
from heimnetz_audit.examining import Desk, Examiner, Memory, Outcome, digests, keep_best, keys
from heimnetz_audit.model import (
    Advisories,
    DeclaredPermissions,
    Finding,
    Package,
    Report,
    SourceTree,
    grade,
    score,
)
from heimnetz_audit.model.report import Dated
from heimnetz_audit.reading import is_python
from heimnetz_audit.rules import ENGINE_VERSION
from heimnetz_audit.scripting import is_script

#: The modules and the scripts of a tree.
Files = tuple[tuple[str, ...], tuple[str, ...]]


def audit(
    tree: SourceTree,
    *,
    source_only: bool = False,
    declared: DeclaredPermissions | None = None,
    memory: Memory | None = None,
    processes: int = 1,
    before: SourceTree | None = None,
    advisories: Advisories | None = None,
) -> Report:
    """Deterministic, and without an exception whatever the tree holds.

    `source_only` leaves out what concerns a package as a whole: its lock file, its manifest.
    With a `memory`, modules that did not change since the last audit, and reach none that did,
    are not looked at again. More `processes` change the time, never the answer. `before` is the
    version that the tree is compared with. Without `advisories` it is not known whether what the
    package depends on has known vulnerabilities.
    """
    report = _audit(tree, source_only, declared, memory, processes, advisories)
    if before is None:
        return report
    old = _audit(before, source_only, None, memory, processes, advisories)
    drift = drifting.compare((before, old), (tree, report))
    desk = Desk()
    for check, hit in checks.version_drift.ask(drift):
        desk.add(check, hit)
    return replace(_judged(report, [*report.findings, *desk.findings()]), drift=drift)


def _judged(report: Report, findings: Iterable[Finding]) -> Report:
    best = keep_best(findings)
    deductions = judging.weigh(best, {check.rule: check.remedy for check in checks.ALL})
    points = score(deductions)
    return replace(report, findings=best, deductions=deductions, score=points, grade=grade(points))


def _audit(
    tree: SourceTree,
    source_only: bool,
    declared: DeclaredPermissions | None,
    memory: Memory | None,
    processes: int,
    advisories: Advisories | None,
) -> Report:
    names = sorted(tree.files)
    python = tuple(name for name in names if _is_python(tree, name))
    known = frozenset(python)
    scripts = tuple(n for n in names if n not in known and _is_script(tree, n))
    everything = (*python, *scripts)
    outcomes = _examine(tree, python, scripts, memory, processes)
    pinned = pinning.read(tree)
    needs = {
        module: (name, line)
        for name, outcome in zip(reversed(everything), reversed(outcomes), strict=True)
        for module, line in outcome.needs
        if not _is_of_tests(name)
    }
    package = Package(
        tree=tree, python_files=python, pinned=pinned, needs=needs, advisories=advisories
    )
    desk = Desk()
    desk.ask_package(package, source_only=source_only)
    reach = inferring.Reach()
    for outcome in outcomes:
        reach.merge(outcome.reach)
    inferred = inferring.conclude(reach)
    difference = inferring.compare(declared, inferred) if declared is not None else None
    if difference is not None and declared is not None:
        for check, hit in inferring.questions(declared, inferred, difference):
            desk.add(check, hit)
    unknowns = {*tree.skipped, *desk.unknowns}
    unknowns.update(unknown for outcome in outcomes for unknown in outcome.unknowns)
    report = Report(
        findings=(),
        unknowns=tuple(sorted(unknowns)),
        score=0,
        grade="",
        deductions=(),
        inferred=inferred,
        difference=difference,
        engine_version=ENGINE_VERSION,
        files=len(names),
        lines=sum(outcome.lines for outcome in outcomes),
        pinned=pinned,
        advisories=None if advisories is None else Dated.of(advisories),
    )
    return _judged(report, [*desk.findings(), *(f for o in outcomes for f in o.findings)])


def _examine(
    tree: SourceTree, python: tuple[str, ...], scripts: tuple[str, ...], memory: Memory | None,
    processes: int,
) -> list[Outcome]:  # fmt: skip
    files = (python, scripts)
    everything = (*python, *scripts)
    if memory is None:
        return _examine_all(tree, files, everything, processes)
    sums = digests(tree, everything)
    entry_point = pinning.read_entry_point(tree)
    before = keys(sums, memory, entry_point)
    kept = {n: memory.outcomes[n, k] for n, k in before.items() if (n, k) in memory.outcomes}
    missing = tuple(name for name in everything if name not in kept)
    fresh = dict(zip(missing, _examine_all(tree, files, missing, processes), strict=True))
    for name, outcome in fresh.items():
        memory.imports[f"{name}:{sums[name]}"] = outcome.imports
    for name, key in keys(sums, memory, entry_point).items():
        if name in fresh:
            memory.outcomes[name, key] = fresh[name]
    return [kept.get(name) or fresh[name] for name in everything]


def _examine_all(
    tree: SourceTree, files: Files, wanted: tuple[str, ...], processes: int
) -> list[Outcome]:
    if processes < 2 or len(wanted) < 2 * processes:
        examiner = Examiner(tree, *files)
        return [examiner.examine(name) for name in wanted]
    # Neighbours in a folder import each other, so that blocks share what they parse.
    size = max(1, len(wanted) // (processes * 4))
    blocks = [wanted[start : start + size] for start in range(0, len(wanted), size)]
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(processes, context, _prepare, (tree, files)) as pool:
        return [outcome for block in pool.map(_examine_block, blocks) for outcome in block]


_PREPARED: Final[list[Examiner]] = []


def _prepare(tree: SourceTree, files: Files) -> None:
    _PREPARED[:] = [Examiner(tree, *files)]


def _examine_block(names: Iterable[str]) -> list[Outcome]:
    return [_PREPARED[0].examine(name) for name in names]


def _is_of_tests(name: str) -> bool:
    *folders, file = name.split("/")
    return bool({"tests", "test"} & set(folders)) or file.startswith(("test_", "conftest."))


def _is_script(tree: SourceTree, name: str) -> bool:
    return is_script(name, lambda: tree.files[name])


def _is_python(tree: SourceTree, name: str) -> bool:
    if name.endswith((".py", ".pyw", ".pyi")):
        return True
    return "." not in name.rpartition("/")[2] and is_python(name, tree.files[name])
