"""What an expression is worth."""

import ast
from collections.abc import Mapping
from typing import Any, Final

from heimnetz_audit.model.code import FunctionCode
from heimnetz_audit.model.values import (
    UNKNOWN,
    Implied,
    Value,
    constant,
    join,
    merge_taints,
)
from heimnetz_audit.tracing import folding, guarding
from heimnetz_audit.tracing.calling import evaluate_call
from heimnetz_audit.tracing.engine import Engine, Evaluation
from heimnetz_audit.tracing.heap import Object, State, join_states, settled
from heimnetz_audit.tracing.naming import attribute, iterate, lookup


def _constant(_engine: Engine, _state: State, node: ast.Constant) -> Value:
    return constant(node.value)


def _name(engine: Engine, state: State, node: ast.Name) -> Value:
    return lookup(engine, state, node.id, node)


def _attribute(engine: Engine, state: State, node: ast.Attribute) -> Value:
    return attribute(engine, state, engine.evaluate(state, node.value), node.attr, node)


def _binary(engine: Engine, state: State, node: ast.BinOp) -> Value:
    # A long sum of texts nests to the left, and is walked without recursion.
    chain: list[ast.BinOp] = [node]
    while isinstance(chain[-1].left, ast.BinOp):
        chain.append(chain[-1].left)
    value = engine.evaluate(state, chain[-1].left)
    for link in reversed(chain):
        right = engine.evaluate(state, link.right)
        value = _combine(engine, state, link, value, right)
    return value


def _combine(engine: Engine, state: State, node: ast.BinOp, left: Value, right: Value) -> Value:
    first, second = state.heap.of(left), state.heap.of(right)
    if isinstance(node.op, ast.Add) and first is not None and second is not None:
        if first.seq is not None and second.seq is not None:
            return engine.allocate(state, Object(first.kind, seq=first.seq + second.seq))
        rest = join(state.heap.content(left), state.heap.content(right))
        return engine.allocate(state, Object(first.kind, rest=rest))
    if left.name in ("pathlib.Path()", "resolved") and isinstance(node.op, ast.Div):
        slash = folding.concat(engine, node, (left, constant("/"), right))
        return slash.replaced(name="pathlib.Path()")
    elements = state.heap.elements(right) if isinstance(node.op, ast.Mod) else None
    if isinstance(node.op, ast.Mod) and right.refs and elements is None:
        return engine.derived(node, merge_taints(left.taints, state.heap.taints(right)))
    return folding.binary(engine, node, type(node.op), (left, right), elements)


def _boolean(engine: Engine, state: State, node: ast.BoolOp) -> Value:
    is_and = isinstance(node.op, ast.And)
    way = state.fork()
    value = engine.evaluate(way, node.values[0])
    results = []
    proven = value.implies or Implied()
    for operand in node.values[1:]:
        known = guarding.truth(value, way)
        if known is (not is_and):
            break
        if known is None:
            results.append(value)
        guarding.refine(way, value, holds=is_and)
        guarding.refine_none(way, node.values[0], holds=is_and)
        value = engine.evaluate(way, operand)
        other = value.implies or Implied()
        if is_and:
            both = value.implies is not None
            when_false = proven.when_false & other.when_false if both else frozenset()
            proven = Implied(proven.when_true | other.when_true, when_false)
        else:
            when_true = proven.when_true & other.when_true
            proven = Implied(when_true, proven.when_false | other.when_false)
    # What was evaluated only sometimes may still have changed objects.
    facts = state.facts
    state.adopt(way)
    state.facts = facts
    for earlier in results:
        value = _either(earlier, value, is_and=is_and)
    return value.replaced(implies=_combined(state, proven))


def _either(earlier: Value, value: Value, *, is_and: bool) -> Value:
    """`a or b` is never a falsy `a`, `a and b` never a truthy one."""
    if earlier.consts is not None:
        kept = tuple(const for const in earlier.consts if bool(const) is not is_and)
        if not kept:
            return value
        earlier = earlier.replaced(consts=kept)
    return join(earlier, value)


def _combined(_state: State, proven: Implied) -> Implied:
    return Implied(_quoted(proven.when_true), _quoted(proven.when_false))


def _quoted(facts: frozenset[tuple[int, str]]) -> frozenset[tuple[int, str]]:
    """A text that begins and ends with a quote and holds none inside is one literal."""
    found = set(facts)
    for number, kind in facts:
        if kind.startswith("@startswith:") and len(kind) == 13 and kind[-1] in "'\"":
            mark = kind[-1]
            if (number, f"@endswith:{mark}") in facts and (number, f"@inner:{mark}") in facts:
                found.add((number, "code"))
    return frozenset(found)


def _unary(engine: Engine, state: State, node: ast.UnaryOp) -> Value:
    value = engine.evaluate(state, node.operand)
    if isinstance(node.op, ast.Not):
        known = guarding.truth(value, state)
        implies = guarding.negated(value.implies)
        if isinstance(node.operand, ast.Name | ast.Attribute):
            implies = _emptiness(value, implies)
        consts = (not known,) if known is not None else None
        return Value(consts=consts, implies=implies)
    operators: dict[type[ast.unaryop], Any] = {
        ast.USub: lambda x: -x,
        ast.UAdd: lambda x: +x,
        ast.Invert: lambda x: ~int(x),
    }
    return folding.fold(operators[type(node.op)], value) or engine.derived(node, value.taints)


def _emptiness(value: Value, implies: Implied | None) -> Implied | None:
    """`not url.netloc`: an address without a host stays on this one."""
    hosts = guarding.about(value, *guarding.HOST_KINDS, part="host")
    whole = guarding.everything(value)
    if not hosts and not whole:
        return implies
    known = implies or Implied()
    return Implied(known.when_true | hosts | whole, known.when_false)


def _compare(engine: Engine, state: State, node: ast.Compare) -> Value:
    left = engine.evaluate(state, node.left)
    result: Value | None = None
    for operator, comparator in zip(node.ops, node.comparators, strict=True):
        right = engine.evaluate(state, comparator)
        one = compare_two(state, type(operator), left, right)
        if result is None:
            result = one
        else:
            proven = (result.implies or Implied()).when_true | (one.implies or Implied()).when_true
            result = Value(implies=Implied(proven))
        left = right
    return result or UNKNOWN


def compare_two(state: State, kind: type[ast.cmpop], left: Value, right: Value) -> Value:
    elements = state.heap.elements(right) if kind in (ast.In, ast.NotIn) else None
    if elements is not None and all(each.const is not ... for each in elements):
        right_constant = constant(tuple(each.const for each in elements))
        folded = folding.compare(kind, left, right_constant)
    elif right.refs or left.refs:
        folded = _compare_container(state, kind, left, right)
    else:
        folded = folding.compare(kind, left, right)
    if folded is not None:
        return folded
    return Value(implies=guarding.compared(kind, left, right, state))


def _compare_container(
    state: State, kind: type[ast.cmpop], left: Value, right: Value
) -> Value | None:
    item = state.heap.of(right)
    if kind in (ast.Is, ast.IsNot) and right.consts is None and left.consts == (None,):
        return constant(kind is ast.IsNot)
    if kind in (ast.Is, ast.IsNot) and left.refs and left.consts is None and right.const is None:
        return constant(kind is ast.IsNot)
    if item is None or kind not in (ast.In, ast.NotIn) or left.const is ... or item.seq is not None:
        return None
    if item.kind == "dict" and item.rest is None:
        return constant((left.const in item.items) is (kind is ast.In))
    return None


def _conditional(engine: Engine, state: State, node: ast.IfExp) -> Value:
    test = engine.evaluate(state, node.test)
    known = guarding.truth(test, state)
    if known is not None:
        return engine.evaluate(state, node.body if known else node.orelse)
    yes, no = state.fork(), state.fork()
    guarding.refine(yes, test, holds=True)
    guarding.refine(no, test, holds=False)
    guarding.refine_none(no, node.test, holds=False)
    first = settled(engine.evaluate(yes, node.body), yes.facts)
    second = settled(engine.evaluate(no, node.orelse), no.facts)
    facts = state.facts
    merged = join_states([yes, no])
    if merged is not None:
        state.adopt(merged)
    state.facts = facts
    return join(first, second)


def _joined(engine: Engine, state: State, node: ast.JoinedStr) -> Value:
    pieces = []
    for piece in node.values:
        if isinstance(piece, ast.FormattedValue):
            value = engine.evaluate(state, piece.value)
            taints = state.heap.taints(value)
            pieces.append(value if taints is value.taints else Value(taints=taints))
        else:
            pieces.append(engine.evaluate(state, piece))
    return folding.concat(engine, node, tuple(pieces))


def _sequence(engine: Engine, state: State, node: ast.List | ast.Tuple | ast.Set) -> Value:
    kind = type(node).__name__.lower()
    seq: list[Value] = []
    rest: Value | None = None
    for element in node.elts:
        if isinstance(element, ast.Starred):
            inner = engine.evaluate(state, element.value)
            known = state.heap.elements(inner)
            if known is not None:
                seq.extend(known)
                continue
            content = state.heap.content(inner)
            rest = content if rest is None else join(rest, content)
        else:
            seq.append(engine.evaluate(state, element))
    if kind == "tuple" and rest is None and all(v.const is not ... for v in seq):
        return constant(tuple(v.const for v in seq))
    if rest is not None or len(seq) > 4000:
        for value in seq:
            rest = value if rest is None else join(rest, value)
        return engine.allocate(state, Object(kind, rest=rest))
    return engine.allocate(state, Object(kind, seq=tuple(seq)))


def _dictionary(engine: Engine, state: State, node: ast.Dict) -> Value:
    items: dict[Any, Value] = {}
    rest: Value | None = None
    for key_node, value_node in zip(node.keys, node.values, strict=True):
        value = engine.evaluate(state, value_node)
        if key_node is None:
            item = state.heap.of(value)
            if item is not None and item.rest is None:
                items.update(item.items)
            else:
                content = state.heap.content(value)
                rest = content if rest is None else join(rest, content)
            continue
        key = engine.evaluate(state, key_node).const
        if key is ... or not _is_hashable(key):
            rest = value if rest is None else join(rest, value)
        else:
            items[key] = value
    return engine.allocate(state, Object("dict", items=items, rest=rest))


def _is_hashable(key: Any) -> bool:
    return isinstance(key, str | int | float | bytes | bool | tuple) or key is None


def _subscript(engine: Engine, state: State, node: ast.Subscript) -> Value:
    from heimnetz_audit.tracing.indexing import index

    container = engine.evaluate(state, node.value)
    return index(engine, state, container, node)


def _comprehension(
    engine: Engine, state: State, node: ast.ListComp | ast.SetComp | ast.GeneratorExp
) -> Value:
    inner = state.fork()
    for generator in node.generators:
        _bind_generator(engine, inner, generator)
    element = settled(engine.evaluate(inner, node.elt), inner.facts)
    kind = {"ListComp": "list", "SetComp": "set"}.get(type(node).__name__, "generator")
    made = engine.allocate(state, Object(kind, rest=element.replaced(implies=None)))
    # `all(c in ALLOWED for c in text)` proves as much about the text as about each character.
    implies = _about_whole(element.implies, node, engine, state)
    return made.replaced(implies=implies) if implies is not None else made


def _about_whole(
    implied: Implied | None, node: Any, engine: Engine, state: State
) -> Implied | None:
    if implied is None or len(node.generators) != 1:
        return None
    whole = engine.evaluate(state, node.generators[0].iter)
    if not whole.guards:
        return None
    true = frozenset((number, kind) for number, _ in whole.guards for _, kind in implied.when_true)
    false = frozenset(
        (number, kind) for number, _ in whole.guards for _, kind in implied.when_false
    )
    return Implied(true, false)


def _bind_generator(engine: Engine, inner: State, generator: ast.comprehension) -> None:
    from heimnetz_audit.tracing.executing import assign

    iterable = engine.evaluate(inner, generator.iter)
    assign(engine, inner, generator.target, iterate(engine, inner, iterable, generator.iter))
    for condition in generator.ifs:
        guarding.refine(inner, engine.evaluate(inner, condition), holds=True)


def _dictionary_comprehension(engine: Engine, state: State, node: ast.DictComp) -> Value:
    inner = state.fork()
    for generator in node.generators:
        _bind_generator(engine, inner, generator)
    key = engine.evaluate(inner, node.key)
    value = engine.evaluate(inner, node.value)
    if key.taints:
        value = value.replaced(taints=merge_taints(value.taints, key.taints))
    return engine.allocate(state, Object("dict", rest=value))


def _lambda(engine: Engine, _state: State, node: ast.Lambda) -> Value:
    frame = engine.frame
    return Value(code=FunctionCode(node, frame.module, f"{frame.scope}.<lambda>", closure=frame))


def _walrus(engine: Engine, state: State, node: ast.NamedExpr) -> Value:
    value = engine.evaluate(state, node.value)
    state.env[node.target.id] = value
    return value


def _inner(engine: Engine, state: State, node: Any) -> Value:
    return engine.evaluate(state, node.value)


def _yield(engine: Engine, state: State, node: ast.Yield | ast.YieldFrom) -> Value:
    value = engine.evaluate(state, node.value)
    if isinstance(node, ast.YieldFrom):
        value = iterate(engine, state, value, node)
    engine.frame.yields.append(value)
    return UNKNOWN


def _formatted(engine: Engine, state: State, node: ast.FormattedValue) -> Value:
    return engine.evaluate(state, node.value)


EXPRESSIONS: Final[Mapping[type[ast.AST], Evaluation]] = {
    ast.Constant: _constant,
    ast.Name: _name,
    ast.Attribute: _attribute,
    ast.BinOp: _binary,
    ast.BoolOp: _boolean,
    ast.UnaryOp: _unary,
    ast.Compare: _compare,
    ast.IfExp: _conditional,
    ast.JoinedStr: _joined,
    ast.FormattedValue: _formatted,
    ast.List: _sequence,
    ast.Tuple: _sequence,
    ast.Set: _sequence,
    ast.Dict: _dictionary,
    ast.Subscript: _subscript,
    ast.Call: evaluate_call,
    ast.ListComp: _comprehension,
    ast.SetComp: _comprehension,
    ast.GeneratorExp: _comprehension,
    ast.DictComp: _dictionary_comprehension,
    ast.Lambda: _lambda,
    ast.NamedExpr: _walrus,
    ast.Await: _inner,
    ast.Starred: _inner,
    ast.Yield: _yield,
    ast.YieldFrom: _yield,
}
