"""What a plugin's code asks of its context: storage, events, other plugins. Nothing is executed."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

_CONTEXT_NAMES = frozenset({"context", "ctx", "_context"})
_ASKED = {"publish": "publish", "call": "call"}


@dataclass(slots=True)
class Uses:
    """Grant keys, storage without its size; what cannot be read is in `questions`."""

    keys: set[str] = field(default_factory=set)
    open_kinds: set[str] = field(default_factory=set)
    questions: list[str] = field(default_factory=list)


def read_uses(files: Mapping[str, bytes]) -> Uses:
    uses = Uses()
    for path, data in sorted(files.items()):
        if not path.endswith(".py"):
            continue
        try:
            tree = ast.parse(data)
            _read(path, tree, uses)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            uses.questions.append(f"{path} cannot be read as Python")
    return uses


def _read(path: str, tree: ast.Module, uses: Uses) -> None:
    contexts = _CONTEXT_NAMES | set(_annotated(tree))
    constants = _constants(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and _is_context(node.value, contexts):
            if node.attr == "storage":
                uses.keys.add("storage")
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in _ASKED
            and _is_context(node.func.value, contexts)
        ):
            kind = _ASKED[node.func.attr]
            name = _text(_first(node), constants)
            if name is not None:
                uses.keys.add(f"{kind}:{name}")
                continue
            uses.open_kinds.add(kind)
            what = "an event" if kind == "publish" else "a plugin"
            verb = "announces" if kind == "publish" else "calls"
            uses.questions.append(f"{path}:{node.lineno} {verb} {what} whose name it computes")


def _annotated(tree: ast.Module) -> Iterator[str]:
    """Parameters that are said to be a context."""
    for node in ast.walk(tree):
        if isinstance(node, ast.arg) and node.annotation is not None:
            said = node.annotation
            name = said.attr if isinstance(said, ast.Attribute) else getattr(said, "id", None)
            if name is None and isinstance(said, ast.Constant):
                name = said.value
            if name == "Context":
                yield node.arg


def _constants(tree: ast.Module) -> dict[str, str]:
    """Names that the module gives one text and never another."""
    found: dict[str, str] = {}
    several: set[str] = set()
    for node in ast.walk(tree):
        targets: list[ast.expr] = []
        if isinstance(node, ast.Assign):
            targets = node.targets
        elif isinstance(node, ast.AnnAssign | ast.AugAssign | ast.NamedExpr):
            targets = [node.target]
        for target in targets:
            if not isinstance(target, ast.Name):
                continue
            value = _text(node.value, {}) if isinstance(node, ast.Assign | ast.AnnAssign) else None
            if value is None or target.id in found:
                several.add(target.id)
            else:
                found[target.id] = value
    return {name: value for name, value in found.items() if name not in several}


def _is_context(value: ast.expr, names: frozenset[str] | set[str]) -> bool:
    if isinstance(value, ast.Attribute):
        return value.attr in names
    return isinstance(value, ast.Name) and value.id in names


def _first(call: ast.Call) -> ast.expr | None:
    if call.args:
        return call.args[0]
    wanted = ("event", "plugin")
    return next((word.value for word in call.keywords if word.arg in wanted), None)


def _text(value: ast.expr | None, constants: Mapping[str, str]) -> str | None:
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        return value.value
    return constants.get(value.id) if isinstance(value, ast.Name) else None
