"""Python source of a package: modules, functions and classes, as the engine sees them."""

import ast
from dataclasses import dataclass, field
from typing import Any, Final

from heimnetz_audit.model.findings import Step
from heimnetz_audit.model.values import NO_FACTS, Facts

TEXT_LIMIT: Final = 200

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


@dataclass(slots=True, eq=False)
class PythonModule:
    """A parsed module. `identifiers` are all names, attributes and keywords that occur in it.

    A script is one too, with its code written as the same tree.
    """

    path: str
    dotted: str
    text: str
    lines: tuple[str, ...]
    tree: ast.Module
    nodes: tuple[ast.AST, ...]
    identifiers: frozenset[str]
    imports: frozenset[str]
    is_package: bool = False
    language: str = "python"
    #: Of a script: what it requires, with lines.
    requires: tuple[tuple[str, int], ...] = ()
    #: False when a part of it could not be parsed.
    is_whole: bool = True

    def step(self, line: int) -> Step:
        text = self.lines[line - 1].strip()[:TEXT_LIMIT] if 0 < line <= len(self.lines) else ""
        return Step(self.path, line, text)


@dataclass(slots=True, eq=False)
class FunctionCode:
    """A function of the package; `closure` is the frame that defined it."""

    node: FunctionNode
    module: PythonModule
    qualified: str
    cls: "ClassCode | None" = None
    closure: Any = None
    receiver: Any = None
    decorators: tuple[str, ...] = ()
    #: What was proven where the function was made, and holds for all that it sees from there.
    facts: Facts = NO_FACTS

    def bound(self, receiver: Any) -> "FunctionCode":
        return FunctionCode(
            self.node,
            self.module,
            self.qualified,
            self.cls,
            self.closure,
            receiver,
            self.decorators,
            self.facts,
        )


@dataclass(slots=True, eq=False)
class ClassCode:
    """A class of the package with what its body defines; `bases` are values."""

    node: ast.ClassDef
    module: PythonModule
    qualified: str
    bases: tuple[Any, ...] = ()
    members: dict[str, Any] = field(default_factory=dict)

    def find(self, name: str, depth: int = 8) -> Any:
        """The member, looked up in this class and then in its bases; None when unknown."""
        if name in self.members:
            return self.members[name]
        if depth == 0:
            return None
        for base in self.bases:
            code = base.code
            if isinstance(code, ClassCode):
                found = code.find(name, depth - 1)
                if found is not None:
                    return found
        return None

    def library_bases(self, depth: int = 8) -> tuple[str, ...]:
        names: list[str] = []
        for base in self.bases:
            if isinstance(base.code, ClassCode):
                if depth:
                    names.extend(base.code.library_bases(depth - 1))
            elif base.name:
                names.append(base.name)
        return tuple(names)


@dataclass(slots=True, eq=False)
class ModuleCode:
    """A module as a value; its names are looked up in `frame`."""

    module: PythonModule
    frame: Any = None


def absolute(module: PythonModule, node: ast.ImportFrom) -> str:
    """The dotted name that a relative import means."""
    if not node.level:
        return node.module or ""
    parts = module.dotted.split(".")
    keep = len(parts) - node.level + (1 if module.is_package else 0)
    return ".".join([*parts[: max(keep, 0)], *([node.module] if node.module else [])])
