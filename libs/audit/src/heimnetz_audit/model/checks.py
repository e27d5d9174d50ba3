"""What a check is: a question about calls, about a module, or about the whole tree."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from heimnetz_audit.model.advisories import Advisories
from heimnetz_audit.model.code import PythonModule
from heimnetz_audit.model.findings import Confidence, Severity, Unknown
from heimnetz_audit.model.pinned import Pinned
from heimnetz_audit.model.tree import SourceTree
from heimnetz_audit.model.values import Call, Taint

#: Where a value can come from.
REMOTE: Final = frozenset({"request", "input", "passed"})
LOCAL: Final = frozenset({"argument", "environment", "file"})
OUTSIDE: Final = REMOTE | LOCAL | {"network"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """An answer of a question. What is None is taken from the check; lines from the call."""

    message: str
    severity: Severity | None = None
    confidence: Confidence = Confidence.HIGH
    taint: Taint | None = None
    file: str = ""
    line: int = 0
    end_line: int = 0
    cwe: int | None = None
    remedy: str = ""


Question = Callable[[Call], Iterable[Hit]]
ModuleQuestion = Callable[[PythonModule], Iterable[Hit]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """The facts about a tree that are not about one module."""

    tree: SourceTree
    python_files: tuple[str, ...] = ()
    pinned: Pinned = field(default_factory=Pinned)
    #: Modules of others that the code cannot do without, with the first file and line.
    needs: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    advisories: Advisories | None = None


TreeQuestion = Callable[[Package], Iterable[Hit | Unknown]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One rule. `calls` maps a dotted name, or `.method`, to the question about such calls."""

    rule: str
    title: str
    cwe: int | None
    severity: Severity
    remedy: str
    calls: Mapping[str, Question] = field(default_factory=dict)
    module: ModuleQuestion | None = None
    package: TreeQuestion | None = None
