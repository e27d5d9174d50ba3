"""Methods of arrays, maps and sets, as far as they decide what a value is."""

import ast
from typing import Final

from heimnetz_audit.model.values import UNKNOWN, Implied, Value, constant, join
from heimnetz_audit.tracing import containers, folding, indexing, modelling
from heimnetz_audit.tracing.engine import Engine
from heimnetz_audit.tracing.heap import Object, State
from heimnetz_audit.tracing.naming import iterate

#: An array with so few known elements is gone through one by one.
UNROLL_LIMIT: Final = 24


def _elements(state: State, receiver: Value) -> tuple[Value, ...] | None:
    elements = state.heap.elements(receiver)
    return elements if elements is not None and len(elements) <= UNROLL_LIMIT else None


def _each(engine: Engine, state: State, receiver: Value, work: Value, node: ast.AST) -> list[Value]:
    """What a function gives for each element."""
    elements = _elements(state, receiver)
    if elements is None:
        elements = (iterate(engine, state, receiver, node),)
        return [engine.apply(state, work, (elements[0], UNKNOWN, receiver), node)]
    return [
        engine.apply(state, work, (each, constant(position), receiver), node)
        for position, each in enumerate(elements)
    ]


def map_each(
    engine: Engine, state: State, receiver: Value, args: tuple[Value, ...], node: ast.AST
) -> Value | None:
    if not args:
        return None
    results = _each(engine, state, receiver, args[0], node)
    if _elements(state, receiver) is not None:
        return engine.allocate(state, Object("list", seq=tuple(results)))
    return engine.allocate(state, Object("list", rest=results[0].replaced(consts=None)))


def for_each(
    engine: Engine, state: State, receiver: Value, args: tuple[Value, ...], node: ast.AST
) -> Value | None:
    if args:
        _each(engine, state, receiver, args[0], node)
    return constant(None)


def test_each(
    engine: Engine, state: State, receiver: Value, args: tuple[Value, ...], node: ast.AST
) -> Value | None:
    """`some` and `every` of a fixed list prove what their function does."""
    if not args:
        return None
    results = _each(engine, state, receiver, args[0], node)
    implied = [each.implies or Implied() for each in results]
    if not implied or state.heap.taints(receiver):
        return Value(name="boolean")
    true = implied[0].when_true
    for each in implied[1:]:
        true &= each.when_true
    return Value(implies=Implied(true))


def filter_each(
    engine: Engine, state: State, receiver: Value, args: tuple[Value, ...], node: ast.AST
) -> Value | None:
    if not args:
        return None
    return modelling.keep(engine, state, args[0], receiver, node)


def find(
    engine: Engine, state: State, receiver: Value, args: tuple[Value, ...], node: ast.AST
) -> Value | None:
    if not args or (not receiver.refs and not receiver.taints):
        return None
    kept = modelling.keep(engine, state, args[0], receiver, node)
    return state.heap.content(kept)


def reduce(
    engine: Engine, state: State, receiver: Value, args: tuple[Value, ...], node: ast.AST
) -> Value | None:
    if not args:
        return None
    elements = _elements(state, receiver)
    if elements is None:
        elements = (iterate(engine, state, receiver, node),) * 2
    waiting = list(elements)
    value = args[1] if len(args) > 1 else waiting.pop(0) if waiting else UNKNOWN
    for each in waiting:
        value = engine.apply(state, args[0], (value, each, UNKNOWN, receiver), node)
    return value


def join_text(
    engine: Engine, state: State, receiver: Value, args: tuple[Value, ...], node: ast.AST
) -> Value | None:
    glue = args[0] if args else constant(",")
    return containers.join_text(engine, state, glue, receiver, node)


def concat(
    engine: Engine, state: State, receiver: Value, args: tuple[Value, ...], node: ast.AST
) -> Value | None:
    first = state.heap.elements(receiver)
    if receiver.refs and first is None:
        content = state.heap.content(receiver)
        for each in args:
            content = join(content, state.heap.content(each) if each.refs else each)
        return engine.allocate(state, Object("list", rest=content.replaced(consts=None)))
    if first is None or isinstance(receiver.const, str):
        return folding.concat(engine, node, (receiver, *args))
    seq = list(first)
    for each in args:
        inner = state.heap.elements(each)
        if inner is None and each.refs:
            content = join(state.heap.content(receiver), state.heap.content(each))
            return engine.allocate(state, Object("list", rest=content))
        seq.extend(inner if inner is not None else (each,))
    return engine.allocate(state, Object("list", seq=tuple(seq)))


def reverse(
    engine: Engine, state: State, receiver: Value, _args: tuple[Value, ...], _node: ast.AST
) -> Value | None:
    elements = state.heap.elements(receiver)
    if elements is None:
        return receiver
    return engine.allocate(state, Object("list", seq=elements[::-1]))


def same(
    _engine: Engine, _state: State, receiver: Value, _args: tuple[Value, ...], _node: ast.AST
) -> Value | None:
    return receiver


def entries(
    engine: Engine, state: State, receiver: Value, args: tuple[Value, ...], node: ast.AST
) -> Value | None:
    return containers.call(engine, state, receiver, "items", args, node)


def store(
    engine: Engine, state: State, receiver: Value, args: tuple[Value, ...], _node: ast.AST
) -> Value | None:
    if len(args) != 2 or not receiver.refs:
        return None
    indexing.store(engine, state, receiver, args[0], args[1])
    return receiver


def shift(
    engine: Engine, state: State, receiver: Value, _args: tuple[Value, ...], node: ast.AST
) -> Value | None:
    return containers.call(engine, state, receiver, "popleft", (), node)
