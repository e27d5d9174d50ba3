"""What stands in a container at an index, a key or a slice, and what is stored there."""

import ast
from typing import Any

from heimnetz_audit.model.values import UNKNOWN, Value, constant, join, merge_taints
from heimnetz_audit.tracing import folding, knowledge
from heimnetz_audit.tracing.engine import Engine
from heimnetz_audit.tracing.heap import Object, State
from heimnetz_audit.tracing.naming import attribute, canonical, lookup


def index(engine: Engine, state: State, container: Value, node: ast.Subscript) -> Value:
    if isinstance(node.slice, ast.Slice):
        return _slice(engine, state, container, node)
    key = engine.evaluate(state, node.slice)
    hidden = _by_hidden_name(engine, state, container, key, node)
    if hidden is not None:
        return hidden
    if container.refs:
        found = _from_objects(state, container, key)
        if found is not None:
            return found
    if container.consts is not None:
        folded = folding.fold(lambda a, b: a[b], container, key)
        if folded is not None:
            return folded
    if container.name is not None:
        source = knowledge.source_item(engine, container.name, node)
        if source is not None:
            return source
    name = f"{container.name}[]" if container.name else None
    value = engine.derived(node, container.taints, name=name)
    ends = ends_of(container, key.const)
    return value.replaced(guards=value.guards + ends) if ends else value


def _by_hidden_name(
    engine: Engine, state: State, container: Value, key: Value, node: ast.AST
) -> Value | None:
    """`os.__dict__["system"]`, `sys.modules["os"]`, `globals()["exec"]`."""
    text, name = key.text, container.name
    if text is None or name is None:
        return None
    if name.endswith(".__dict__"):
        return attribute(engine, state, Value(name=name.removesuffix(".__dict__")), text, node)
    if name == "sys.modules":
        return Value(name=canonical(text))
    if name in ("globals()", "locals()", "vars()"):
        return lookup(engine, state, text, node)
    return None


def _from_objects(state: State, container: Value, key: Value) -> Value | None:
    results: Value | None = None
    for ref in container.refs:
        item = state.heap.get(ref)
        if item is None:
            return None
        value = element(state, item, Value(refs=(ref,), taints=container.taints), key)
        results = value if results is None else join(results, value)
    return results


def element(state: State, item: Object, container: Value, key: Value) -> Value:
    """One element of one object; what is not known is any of them."""
    if key.consts is None:
        return state.heap.content(container)
    results: Value | None = None
    for const in key.consts:
        value = _one(state, item, container, const)
        results = value if results is None else join(results, value)
    return results or UNKNOWN


def _one(state: State, item: Object, container: Value, key: Any) -> Value:
    if item.seq is not None and isinstance(key, int) and not item.items:
        if -len(item.seq) <= key < len(item.seq):
            return item.seq[key]
        return item.rest or UNKNOWN
    if item.kind in ("dict", "instance", "split"):
        try:
            known = item.items.get(key)
        except TypeError:
            return state.heap.content(container)
        if known is not None:
            return known if item.rest is None else join(known, item.rest)
        if item.rest is not None:
            return item.rest
        return Value(taints=container.taints)
    return state.heap.content(container)


def _slice(engine: Engine, state: State, container: Value, node: ast.Subscript) -> Value:
    assert isinstance(node.slice, ast.Slice)
    bounds = []
    known = True
    for bound in (node.slice.lower, node.slice.upper, node.slice.step):
        const = engine.evaluate(state, bound).const if bound is not None else None
        if const is not None and not isinstance(const, int):
            known = False
            const = None
        bounds.append(const)
    item = state.heap.of(container)
    if item is not None:
        if item.seq is not None and known:
            return engine.allocate(state, Object(item.kind, seq=item.seq[slice(*bounds)]))
        return engine.allocate(state, Object(item.kind, rest=state.heap.content(container)))
    if container.consts is not None and known:
        folded = folding.fold(lambda text: text[slice(*bounds)], container)
        if folded is not None:
            return folded
    if known and bounds[2] is None:
        cut = folding.slice_text(engine, node, container, bounds[0], bounds[1])
        if cut is not None:
            return cut
    value = engine.derived(node, state.heap.taints(container))
    if known and bounds == [1, -1, None]:
        inner = tuple((number, "inner") for number, scope in container.guards if not scope)
        return value.replaced(guards=value.guards + inner)
    if known and bounds == [0, 1, None]:
        return value.replaced(guards=value.guards + _ends(container, "startswith"))
    return value


def _ends(container: Value, method: str) -> tuple[tuple[int, str], ...]:
    return tuple((number, f"end:{method}") for number, scope in container.guards if not scope)


def ends_of(container: Value, key: Any) -> tuple[tuple[int, str], ...]:
    """`text[0] == "'"` says how a text begins, `text[-1]` how it ends."""
    if key == 0:
        return _ends(container, "startswith")
    return _ends(container, "endswith") if key == -1 else ()


def store(engine: Engine, state: State, container: Value, key: Value, value: Value) -> None:
    """`container[key] = value`."""
    is_certain = len(container.refs) == 1
    for ref in container.refs:
        item = state.heap.get(ref)
        if item is not None:
            state.heap.put(ref, _stored(item, key, value, is_certain=is_certain))


def _stored(item: Object, key: Value, value: Value, *, is_certain: bool) -> Object:
    const = key.const
    if item.seq is not None and item.kind != "dict":
        if isinstance(const, int) and -len(item.seq) <= const < len(item.seq):
            seq = list(item.seq)
            seq[const] = value if is_certain else join(seq[const], value)
            return item.changed(seq=tuple(seq))
        seq = [join(each, value) for each in item.seq]
        return item.changed(seq=tuple(seq)) if seq else item.changed(rest=value)
    if isinstance(const, str | int | bytes | float | tuple) or const is None:
        known = item.items.get(const)
        kept = value if is_certain or known is None else join(known, value)
        return item.changed(items={**item.items, const: kept})
    if key.taints:
        value = value.replaced(taints=merge_taints(value.taints, key.taints))
    return item.changed(rest=value if item.rest is None else join(item.rest, value))


def extend(state: State, container: Value, value: Value) -> None:
    """`container.append(value)` and its like."""
    is_certain = len(container.refs) == 1
    for ref in container.refs:
        item = state.heap.get(ref)
        if item is None:
            continue
        if item.seq is not None and is_certain and len(item.seq) < 256 and item.kind == "list":
            state.heap.put(ref, item.changed(seq=(*item.seq, value)))
        else:
            rest = value if item.rest is None else join(item.rest, value)
            for each in item.seq or ():
                rest = join(rest, each)
            state.heap.put(ref, item.changed(seq=None, rest=rest))


def wrap(values: tuple[Value, ...]) -> Value:
    return constant(tuple(value.const for value in values))
