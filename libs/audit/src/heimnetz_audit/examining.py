"""What the checks say about one module, or about the package, before anything is weighed."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from heimnetz_audit import checks, inferring, pinning
from heimnetz_audit.model import (
    Call,
    Check,
    Finding,
    Hit,
    Package,
    PythonModule,
    SourceTree,
    Unknown,
)
from heimnetz_audit.model.checks import Question
from heimnetz_audit.reading import Sources
from heimnetz_audit.rules import RULES_SHA256
from heimnetz_audit.tracing import Walk

FLOW_LIMIT: Final = 20
FINDINGS_LIMIT: Final = 2_000
_LIBRARIES: Final = frozenset(
    name.partition(".")[0]
    for check in checks.ALL
    for name in check.calls
    if not name.startswith((".", "<", "?"))
) | {"django", "flask", "markupsafe", "jinja2", "werkzeug", "sqlalchemy", "lxml", "bleach"}
_BY_NAME: Final[dict[str, list[tuple[Check, Question]]]] = {}
_BY_METHOD: Final[dict[str, list[tuple[Check, Question]]]] = {}
for _check in checks.ALL:
    for _name, _question in _check.calls.items():
        _table = _BY_METHOD if _name.startswith(".") else _BY_NAME
        _table.setdefault(_name.lstrip("."), []).append((_check, _question))


@dataclass(slots=True)
class Outcome:
    """What one module brought; it can be kept and used again while its sources are the same."""

    findings: list[Finding] = field(default_factory=list)
    unknowns: list[Unknown] = field(default_factory=list)
    reach: inferring.Reach = field(default_factory=inferring.Reach)
    imports: tuple[str, ...] = ()
    needs: tuple[tuple[str, int], ...] = ()
    lines: int = 0


class Memory:
    """Outcomes of earlier audits, by everything that decided them."""

    def __init__(self) -> None:
        self.outcomes: dict[tuple[str, str], Outcome] = {}
        self.imports: dict[str, tuple[str, ...]] = {}


class Desk:
    """Puts the questions of all checks about one module, and collects the answers."""

    def __init__(self) -> None:
        self.reach = inferring.Reach()
        self.unknowns: list[Unknown] = []
        self._found: dict[tuple[str, str, int], Finding] = {}

    def observe(self, call: Call) -> None:
        self.reach.observe(call)
        name = call.name
        for check, question in _BY_NAME.get(name, ()):
            for hit in question(call):
                self.add(check, hit, call)
        if call.receiver is not None:
            for check, question in _BY_METHOD.get(call.method, ()):
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
                for answer in check.package(package):
                    if isinstance(answer, Unknown):
                        self.unknowns.append(answer)
                    else:
                        self.add(check, answer)

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
            remedy=hit.remedy,
        )
        key = (path, check.rule, line)
        known = self._found.get(key)
        if known is None and len(self._found) >= FINDINGS_LIMIT:
            unknown = Unknown("", "judging", f"more than {FINDINGS_LIMIT} findings")
            if unknown not in self.unknowns:
                self.unknowns.append(unknown)
        elif known is None or _rank(finding) > _rank(known):
            self._found[key] = finding

    def findings(self) -> tuple[Finding, ...]:
        return tuple(sorted(self._found.values(), key=lambda finding: finding.order))


def _rank(finding: Finding) -> tuple[int, int, int, str, str]:
    """Which of two answers about one line is kept; never the order in which they came."""
    sure = ("low", "medium", "high").index(str(finding.confidence))
    return int(finding.severity), sure, -len(finding.flow), finding.message, str(finding.flow)


def keep_best(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """One finding for a rule and a line, sorted."""
    best: dict[tuple[str, str, int], Finding] = {}
    for finding in findings:
        key = (finding.file, finding.rule, finding.line)
        known = best.get(key)
        if known is None or _rank(finding) > _rank(known):
            best[key] = finding
    return tuple(sorted(best.values(), key=lambda finding: finding.order))


class Examiner:
    """Examines the modules and scripts of a tree one after the other."""

    def __init__(self, tree: SourceTree, python: tuple[str, ...], scripts: tuple[str, ...]) -> None:
        self._sources = Sources(tree)
        self._sources.index(python, scripts)
        self._desk = Desk()
        self._walk = Walk(
            self._sources, self._observe, _LIBRARIES, entry_point=pinning.read_entry_point(tree)
        )

    def _observe(self, call: Call) -> None:
        self._desk.observe(call)

    def examine(self, name: str) -> Outcome:
        self._desk = Desk()
        self._walk.unknowns = []
        module = self._sources.module(name)
        self._walk.forget(self._sources.dropped)
        self._sources.dropped.clear()
        if module is None:
            return Outcome(unknowns=self._sources.unknown_about(name))
        self._desk.ask_module(module)
        self._walk.module(module)
        broken = [] if module.is_whole else [Unknown(name, "reading", "not valid JavaScript")]
        return Outcome(
            findings=list(self._desk.findings()),
            unknowns=[*broken, *self._walk.unknowns, *self._desk.unknowns],
            reach=self._desk.reach,
            imports=self._sources.imports_of(module),
            needs=self._sources.needs_of(module),
            lines=len(module.lines),
        )


def digests(tree: SourceTree, names: Iterable[str]) -> dict[str, str]:
    return {name: hashlib.sha256(tree.files[name]).hexdigest() for name in names}


def keys(sums: dict[str, str], memory: Memory, entry_point: str) -> dict[str, str]:
    """For each module a digest of it and of every module that it can reach by imports.

    The rules are part of it. A module whose imports are not known yet has none.
    """
    found: dict[str, str] = {}
    # What is there decides which names lead into the package.
    decisive = (RULES_SHA256, entry_point, *sorted(sums))
    everything = hashlib.sha256("\n".join(decisive).encode()).hexdigest()
    for name in sums:
        reached: set[str] = set()
        waiting = [name]
        while waiting:
            current = waiting.pop()
            if current in reached or current not in sums:
                continue
            reached.add(current)
            imports = memory.imports.get(f"{current}:{sums[current]}")
            if imports is None:
                break
            waiting.extend(imports)
        else:
            parts = [everything, *(f"{each}:{sums[each]}" for each in sorted(reached))]
            found[name] = hashlib.sha256("\n".join(parts).encode()).hexdigest()
    return found
