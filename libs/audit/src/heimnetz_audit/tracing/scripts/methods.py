"""Methods of values: of texts and arrays, of promises, and of what tells of events."""

import ast
from collections.abc import Callable
from typing import Final

from heimnetz_audit.model.values import UNKNOWN, Value
from heimnetz_audit.tracing import guarding
from heimnetz_audit.tracing.engine import Engine
from heimnetz_audit.tracing.heap import State
from heimnetz_audit.tracing.scripts import arrays, texts

Method = Callable[[Engine, State, Value, tuple[Value, ...], ast.AST], Value | None]
#: What is called otherwise in Python and does the same.
SPELLING: Final = {
    "push": "append", "unshift": "append", "toLowerCase": "lower", "toUpperCase": "upper",
    "toLocaleLowerCase": "lower", "toLocaleUpperCase": "upper", "trim": "strip",
    "trimStart": "lstrip", "trimEnd": "rstrip", "startsWith": "startswith",
    "endsWith": "endswith",
}  # fmt: skip


def call(
    engine: Engine, state: State, receiver: Value, method: str, args: tuple[Value, ...],
    node: ast.AST,
) -> Value | None:  # fmt: skip
    """None when the method decides nothing that is known here."""
    walk = _METHODS.get(method)
    return walk(engine, state, receiver, args, node) if walk is not None else None


def _then(
    engine: Engine, state: State, receiver: Value, args: tuple[Value, ...], node: ast.AST
) -> Value | None:
    result: Value | None = None
    if args and (args[0].code is not None or args[0].name is not None):
        result = engine.apply(state, args[0], (receiver,), node)
    for other in args[1:2]:
        if other.code is not None:
            engine.apply(state, other, (UNKNOWN,), node)
    return result


def _catch(
    engine: Engine, state: State, receiver: Value, args: tuple[Value, ...], node: ast.AST
) -> Value | None:
    if args and args[0].code is not None:
        engine.apply(state, args[0], (Value(name="?error"),), node)
    return receiver


def _on(
    engine: Engine, state: State, receiver: Value, args: tuple[Value, ...], node: ast.AST
) -> Value | None:
    """An event brings what its object is about."""
    if len(args) < 2 or args[1].code is None:
        return None
    taints = state.heap.taints(receiver)
    brought = engine.derived(node, taints, name=receiver.name)
    if args[0].text in ("error", "close", "finish"):
        brought = UNKNOWN
    engine.apply(state, args[1], (brought, brought), node)
    return receiver


def _owns(
    _engine: Engine, state: State, receiver: Value, args: tuple[Value, ...], _node: ast.AST
) -> Value | None:
    return Value(implies=guarding.compared(ast.In, args[0], receiver, state)) if args else None


_METHODS: Final[dict[str, Method]] = {
    "map": arrays.map_each, "flatMap": arrays.map_each, "forEach": arrays.for_each,
    "some": arrays.test_each, "every": arrays.test_each, "filter": arrays.filter_each,
    "find": arrays.find, "findLast": arrays.find, "reduce": arrays.reduce,
    "reduceRight": arrays.reduce, "join": arrays.join_text, "concat": arrays.concat,
    "reverse": arrays.reverse, "toReversed": arrays.reverse, "sort": arrays.same,
    "toSorted": arrays.same, "flat": arrays.same, "entries": arrays.entries, "set": arrays.store,
    "shift": arrays.shift, "slice": texts.cut, "subarray": texts.cut,
    "substring": texts.substring, "substr": texts.substr, "charAt": texts.char_at,
    "at": texts.char_at, "charCodeAt": texts.code_at, "codePointAt": texts.code_at,
    "split": texts.split, "replace": texts.replace, "replaceAll": texts.replace_all,
    "test": texts.test, "match": texts.match, "matchAll": texts.match, "exec": texts.execute,
    "indexOf": texts.index_of, "lastIndexOf": texts.index_of, "includes": texts.is_in,
    "has": texts.is_in, "toString": texts.to_string, "valueOf": arrays.same,
    "normalize": arrays.same, "then": _then, "catch": _catch, "finally": _catch, "on": _on,
    "once": _on, "addListener": _on, "addEventListener": _on, "hasOwnProperty": _owns,
}  # fmt: skip
