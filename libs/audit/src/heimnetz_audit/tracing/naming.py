"""What a name, an attribute or an element of a loop stands for."""

import ast
import builtins
import sys
from typing import Final

from heimnetz_audit.model.code import ClassCode, FunctionCode, ModuleCode
from heimnetz_audit.model.values import UNKNOWN, Value, constant, join
from heimnetz_audit.tracing import knowledge
from heimnetz_audit.tracing.engine import Engine, Frame
from heimnetz_audit.tracing.heap import State

BUILTINS: Final = frozenset(dir(builtins))
NAME_LIMIT: Final = 160
_CANONICAL: Final = {
    "posix.system": "os.system",
    "nt.system": "os.system",
    "posix.popen": "os.popen",
    "posixpath": "os.path",
    "ntpath": "os.path",
    "flask.globals.request": "flask.request",
    "flask.wrappers.request": "flask.request",
    "flask.helpers.redirect": "flask.redirect",
    "cPickle": "pickle",
    "_pickle": "pickle",
    "urllib.parse.urlparse": "urllib.parse.urlparse",
    "lxml.etree.fromstring": "lxml.etree.fromstring",
    "__builtin__": "builtins",
}
_VIEWS: Final = frozenset({"netloc", "hostname", "host"})
_PATH_VIEWS: Final = frozenset({"parts"})


def canonical(name: str) -> str:
    name = _CANONICAL.get(name, name)
    for prefix in ("builtins.", "__builtins__.", "__builtin__."):
        if name.startswith(prefix):
            name = name.removeprefix(prefix)
    return name if len(name) <= NAME_LIMIT else name[-NAME_LIMIT:]


def lookup(engine: Engine, state: State, name: str, node: ast.AST) -> Value:
    found = state.env.get(name)
    if found is not None:
        return found
    frame: Frame | None = engine.frame.parent
    while frame is not None:
        found = frame.env.get(name)
        if found is not None:
            return found
        frame = frame.parent
    if engine.frame.code is not None:
        module_frame = engine.load(engine.frame.module)
        found = module_frame.env.get(name)
        if found is not None:
            return found
    if name in BUILTINS:
        return Value(name=name)
    if name == "__builtins__":
        return Value(name="builtins")
    return knowledge.implicit(engine, name, node) or Value(name=f"?{name}")


def library(engine: Engine, dotted: str, node: ast.AST) -> Value:
    """Something imported from a library; a global request object is a source."""
    return knowledge.source_attribute(engine, dotted, node) or Value(name=dotted)


def attribute(engine: Engine, state: State, owner: Value, name: str, node: ast.AST) -> Value:
    found = _own_attribute(engine, state, owner, name)
    if found is not None:
        return found
    if owner.name is not None:
        dotted = canonical(f"{owner.name}.{name}")
        source = knowledge.source_attribute(engine, dotted, node)
        if source is not None:
            return source
        known = knowledge.CONSTANTS.get(dotted)
        if known is not None:
            return constant(known)
    else:
        dotted = f"?.{name}"
    taints = state.heap.taints(owner) if owner.refs else owner.taints
    if not taints:
        return Value(name=dotted)
    if name in knowledge.SAFE_ATTRIBUTES:
        return Value(name=dotted)
    value = engine.derived(node, taints, name=dotted)
    return value.replaced(guards=value.guards + _views(owner, name))


def _views(owner: Value, name: str) -> tuple[tuple[int, str], ...]:
    if name in _VIEWS:
        return tuple((number, "host") for number, scope in owner.guards if not scope)
    if name in _PATH_VIEWS:
        return tuple((number, "parts") for number, scope in owner.guards if not scope)
    return ()


def _own_attribute(engine: Engine, state: State, owner: Value, name: str) -> Value | None:
    code = owner.code
    if isinstance(code, ModuleCode):
        frame = engine.load(code.module)
        found: Value | None = frame.env.get(name)
        if found is not None:
            return found
        inner = engine.program.find(f"{code.module.dotted}.{name}")
        return Value(code=ModuleCode(inner), name=owner.name) if inner is not None else None
    if isinstance(code, ClassCode):
        member = code.find(name)
        return _member(member, owner) if member is not None else None
    results: Value | None = None
    for ref in owner.refs:
        item = state.heap.get(ref)
        if item is None or item.kind != "instance":
            continue
        value = item.attrs.get(name)
        if value is None and isinstance(item.cls, ClassCode):
            member = item.cls.find(name)
            value = member_of(engine, state, member, owner) if member is not None else None
        if value is not None:
            results = value if results is None else join(results, value)
    return results


def member_of(engine: Engine, state: State, member: Value, owner: Value) -> Value:
    """What a member of its class is on an instance."""
    value = _member(member, owner)
    if _is_property(value):
        return engine.apply(state, value, (), member_node(value))
    return value


def _is_property(value: Value) -> bool:
    code = value.code
    return isinstance(code, FunctionCode) and bool(
        {"property", "cached_property", "functools.cached_property"} & set(code.decorators)
    )


def _member(member: Value, owner: Value) -> Value:
    code = member.code
    if isinstance(code, FunctionCode):
        if "staticmethod" in code.decorators:
            return member
        is_class = isinstance(owner.code, ClassCode)
        if is_class and "classmethod" not in code.decorators:
            return member
        return member.replaced(code=code.bound(owner))
    return member


def iterate(engine: Engine, state: State, value: Value, node: ast.AST) -> Value:
    """Any element that a loop over the value gives."""
    consts = value.consts
    if consts is not None:
        found: Value | None = None
        for const in consts:
            if isinstance(const, str | bytes | tuple | frozenset):
                for each in list(const)[:64]:
                    found = constant(each) if found is None else join(found, constant(each))
        return found or UNKNOWN
    if value.refs:
        item = state.heap.of(value)
        if item is not None and item.kind == "dict":
            return _keys(engine, item.items, value, node)
        return state.heap.content(value)
    name = f"{value.name}[]" if value.name else None
    return engine.derived(node, value.taints, name=name)


def _keys(engine: Engine, items: dict[object, Value], value: Value, node: ast.AST) -> Value:
    found: Value | None = None
    for key in items:
        found = constant(key) if found is None else join(found, constant(key))
    if value.taints:
        other = engine.derived(node, value.taints)
        return other if found is None else join(found, other)
    return found or UNKNOWN


def is_standard(dotted: str) -> bool:
    return dotted.partition(".")[0] in sys.stdlib_module_names


def member_node(value: Value) -> ast.AST:
    code = value.code
    assert isinstance(code, FunctionCode)
    return code.node
