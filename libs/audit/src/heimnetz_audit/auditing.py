"""An audit from end to end: read, ask every check, judge."""


from typing import Final

from heimnetz_audit import checks, inferring, judging
from heimnetz_audit.model import (
    Call,
    Check,
    DeclaredPermissions,
    Finding,
    Hit,
    Package,
    PythonModule,
    Report,
    SourceTree,
    Unknown,
    grade,
    score,
)
from heimnetz_audit.model.checks import Question
from heimnetz_audit.reading import Sources, is_python
from heimnetz_audit.scripting import examine_scripts
from heimnetz_audit.tracing import Walk

#: Changes when the same package may be judged differently than before.
ENGINE_VERSION: Final = "1.0.0"
FLOW_LIMIT: Final = 20
FINDINGS_LIMIT: Final = 5_000
_LIBRARIES: Final = frozenset(
    name.partition(".")[0]
    for check in checks.ALL
    for name in check.calls
    if not name.startswith((".", "<", "?"))
) | {"django", "flask", "markupsafe", "jinja2", "werkzeug", "sqlalchemy", "lxml", "bleach"}


def audit(
    tree: SourceTree,
    *,
    source_only: bool = False,
    declared: DeclaredPermissions | None = None,
) -> Report:
    """Deterministic, and without an exception whatever the tree holds.

    `source_only` leaves out what concerns a package as a whole: its lock file, its manifest.
    """
    desk = _Desk()
    sources = Sources(tree)
    names = sorted(tree.files)
    python = tuple(name for name in names if _is_python(tree, name))
    sources.index(python)
    walk = Walk(sources, desk.observe, _LIBRARIES)
    lines = 0
    for name in python:
        module = sources.module(name)
        walk.forget(sources.dropped)
        sources.dropped.clear()
        if module is None:
            continue
        lines += len(module.lines)
        desk.ask_module(module)
        walk.module(module)
    desk.ask_package(Package(tree=tree, python_files=python), source_only=source_only)
    scripts = examine_scripts(tree, desk.add)
    lines += scripts.lines
    unknowns = {*tree.skipped, *sources.unknowns, *walk.unknowns, *scripts.unknowns, *desk.unknowns}
    inferred = inferring.conclude(desk.reach)
    difference = inferring.compare(declared, inferred) if declared is not None else None
    if difference is not None and declared is not None:
        for hit in inferring.questions(declared, inferred, difference):
            desk.add(hit[0], hit[1])
    findings = desk.findings()
    remedies = {check.rule: check.remedy for check in checks.ALL}
    deductions = judging.weigh(findings, remedies)
    points = score(deductions)
    return Report(
        findings=findings,
        unknowns=tuple(sorted(unknowns)),
        score=points,
        grade=grade(points),
        deductions=deductions,
        inferred=inferred,
        difference=difference,
        engine_version=ENGINE_VERSION,
        files=len(names),
        lines=lines,
    )


def _is_python(tree: SourceTree, name: str) -> bool:
    if name.endswith((".py", ".pyw", ".pyi")):
        return True
    return "." not in name.rpartition("/")[2] and is_python(name, tree.files[name])


class _Desk:
    """Puts the questions of all checks, and collects the answers."""

    def __init__(self) -> None:
        self.reach = inferring.Reach()
        self.unknowns: list[Unknown] = []
        self._found: dict[tuple[str, str, int], Finding] = {}
        self._by_name: dict[str, list[tuple[Check, Question]]] = {}
        self._by_method: dict[str, list[tuple[Check, Question]]] = {}
        for check in checks.ALL:
            for name, question in check.calls.items():
                table = self._by_method if name.startswith(".") else self._by_name
                table.setdefault(name.lstrip("."), []).append((check, question))

    def observe(self, call: Call) -> None:
        self.reach.observe(call)
        for check, question in self._by_name.get(call.name, ()):
            for hit in question(call):
                self.add(check, hit, call)
        for check, question in self._by_method.get(call.method, ()):
            if call.receiver is not None:
                for hit in question(call):
                    self.add(check, hit, call)

    def ask_module(self, module: PythonModule) -> None:
        for check in checks.ALL:
            if check.module is not None:
                for hit in check.module(module):
                    self.add(check, hit, file=module.path)

    def ask_package(self, package: Package, *, source_only: bool) -> None:
        for check in checks.ALL:
            if check.package is not None and not (source_only and check.rule.startswith("deps-")):
                for hit in check.package(package):
                    self.add(check, hit)

    def add(self, check: Check, hit: Hit, call: Call | None = None, file: str = "") -> None:
        path = hit.file or (call.file if call is not None else file)
        line = hit.line or (call.line if call is not None else 1)
        end_line = hit.end_line or (call.end_line if call is not None and not hit.line else line)
        flow = hit.taint.trail.steps()[-FLOW_LIMIT:] if hit.taint is not None else ()
        finding = Finding(
            file=path,
            line=line,
            end_line=max(end_line, line),
            rule=check.rule,
            cwe=hit.cwe if hit.cwe is not None else check.cwe,
            severity=check.severity if hit.severity is None else hit.severity,
            confidence=hit.confidence,
            message=hit.message,
            flow=flow,
        )
        key = (path, check.rule, line)
        known = self._found.get(key)
        if known is None and len(self._found) >= FINDINGS_LIMIT:
            unknown = Unknown("", "judging", f"more than {FINDINGS_LIMIT} findings")
            self.unknowns = [unknown]
        elif known is None or _rank(finding) > _rank(known):
            self._found[key] = finding

    def findings(self) -> tuple[Finding, ...]:
        return tuple(sorted(self._found.values(), key=lambda finding: finding.order))


def _rank(finding: Finding) -> tuple[int, int]:
    return int(finding.severity), ("low", "medium", "high").index(str(finding.confidence))


