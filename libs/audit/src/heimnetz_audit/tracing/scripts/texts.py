"""Methods of texts and patterns, as far as they decide what a value is."""

import ast
from typing import Any

from heimnetz_audit.model.values import Implied, Value, constant, merge_taints
from heimnetz_audit.tracing import containers, folding, guarding, indexing, modelling
from heimnetz_audit.tracing.engine import Engine
from heimnetz_audit.tracing.heap import Object, State


def cut(
    engine: Engine, state: State, receiver: Value, args: tuple[Value, ...], node: ast.AST
) -> Value | None:
    bounds = [each.const for each in args[:2]]
    known = all(isinstance(each, int) for each in bounds)
    start, stop = ([*bounds, None, None])[:2] if known else (None, None)
    item = state.heap.of(receiver)
    if item is not None:
        if item.seq is not None and known:
            return engine.allocate(state, Object(item.kind, seq=item.seq[start:stop]))
        return engine.allocate(state, Object(item.kind, rest=state.heap.content(receiver)))
    if known and receiver.consts is not None:
        return folding.fold(lambda text: text[start:stop], receiver)
    if known:
        cut = folding.slice_text(engine, node, receiver, start, stop)
        if cut is not None:
            return cut
    return None


def substring(
    engine: Engine, state: State, receiver: Value, args: tuple[Value, ...], node: ast.AST
) -> Value | None:
    if all(isinstance(each.const, int) and each.const >= 0 for each in args):
        return cut(engine, state, receiver, args, node)
    return None


def substr(
    engine: Engine, state: State, receiver: Value, args: tuple[Value, ...], node: ast.AST
) -> Value | None:
    if len(args) == 2 and all(isinstance(each.const, int) and each.const >= 0 for each in args):
        stop = constant(args[0].const + args[1].const)
        return cut(engine, state, receiver, (args[0], stop), node)
    return substring(engine, state, receiver, args, node) if len(args) == 1 else None


def char_at(
    engine: Engine, state: State, receiver: Value, args: tuple[Value, ...], _node: ast.AST
) -> Value | None:
    key = args[0] if args else constant(0)
    if receiver.consts is not None:
        return folding.fold(lambda text, at: text[at], receiver, key)
    item = state.heap.of(receiver)
    if item is not None:
        return indexing.element(state, item, receiver, key)
    ends = indexing.ends_of(receiver, key.const)
    return None if not ends else Value(taints=receiver.taints, guards=receiver.guards[:0] + ends)


def code_at(
    _engine: Engine, _state: State, receiver: Value, args: tuple[Value, ...], _node: ast.AST
) -> Value | None:
    key = args[0] if args else constant(0)
    folded = folding.fold(lambda text, at: ord(text[at]), receiver, key)
    return folded or Value(name="code")


def split(
    engine: Engine, state: State, receiver: Value, args: tuple[Value, ...], node: ast.AST
) -> Value | None:
    glue = args[0].text if args else None
    if receiver.consts is not None and glue is not None:
        folded = folding.fold(lambda text: tuple(text.split(glue) if glue else text), receiver)
        if folded is not None and isinstance(folded.const, tuple):
            return engine.allocate(
                state, Object("list", seq=tuple(constant(each) for each in folded.const))
            )
        return folded
    if glue:
        return containers.call_text(engine, state, receiver, "split", args[:1], node)
    if receiver.taints:
        piece = engine.derived(node, receiver.taints)
        return engine.allocate(state, Object("list", rest=piece))
    return None


def _pattern_of(state: State, value: Value) -> tuple[str, str] | None:
    """The pattern of a regular expression and its flags."""
    item = state.heap.of(value)
    if item is None or item.kind != "regex":
        return None
    pattern, flags = item.items.get("pattern"), item.items.get("flags")
    text = pattern.text if pattern is not None else None
    return None if text is None else (text, (flags.text or "") if flags is not None else "")


def replace(
    engine: Engine, state: State, receiver: Value, args: tuple[Value, ...], node: ast.AST
) -> Value | None:
    if len(args) < 2:
        return None
    if args[1].code is not None:
        engine.apply(state, args[1], (receiver,), node)
    taints = merge_taints(receiver.taints, args[1].taints)
    regex = _pattern_of(state, args[0])
    new = args[1].text
    if regex is None:
        if receiver.consts is not None and args[0].text is not None and new is not None:
            return folding.fold(lambda t, a, b: t.replace(a, b, 1), receiver, args[0], args[1])
        return engine.derived(node, taints)
    pattern, flags = regex
    if new is None or "g" not in flags:
        # What a function puts in place of a single character is what it is escaped by.
        is_escaped = args[1].code is not None and "g" in flags
        kinds = guarding.kept_kinds(pattern, "") if is_escaped else []
        return engine.derived(node, taints, cleared=frozenset(kinds))
    characters = guarding.forbidden_characters(pattern)
    if len(characters) == 1:
        literal = (constant(characters), args[1])
        folded = folding.call_method("replace", receiver, literal)
        return folded or containers.call_text(engine, state, receiver, "replace", literal, node)
    return modelling.substitute(engine, (constant(pattern), args[1], receiver), node)


def replace_all(
    engine: Engine, state: State, receiver: Value, args: tuple[Value, ...], node: ast.AST
) -> Value | None:
    if len(args) == 2 and args[0].text is not None and args[1].text is not None:
        folded = folding.call_method("replace", receiver, args)
        return folded or containers.call_text(engine, state, receiver, "replace", args, node)
    return replace(engine, state, receiver, args, node)


def test(
    engine: Engine, state: State, receiver: Value, args: tuple[Value, ...], node: ast.AST
) -> Value | None:
    """`/pattern/.test(text)`."""
    regex = _pattern_of(state, receiver)
    if not args or regex is None:
        return None
    flags = regex[1]
    implied = None
    if "m" not in flags:
        searched = (constant(regex[0]), args[0])
        implied = guarding.tested(engine, state, "re.search", None, searched)
    return Value(name="boolean", implies=implied)


def match(
    engine: Engine, state: State, receiver: Value, args: tuple[Value, ...], node: ast.AST
) -> Value | None:
    """`text.match(/pattern/)`, whose result is part of the text."""
    if not args or state.heap.of(receiver) is not None:
        return None
    tested = test(engine, state, args[0], (receiver,), node)
    if tested is None:
        return None
    found = engine.derived(node, receiver.taints)
    return found.replaced(implies=tested.implies)


def execute(
    engine: Engine, state: State, receiver: Value, args: tuple[Value, ...], node: ast.AST
) -> Value | None:
    return match(engine, state, args[0], (receiver,), node) if args else None


def index_of(
    _engine: Engine, state: State, receiver: Value, args: tuple[Value, ...], _node: ast.AST
) -> Value | None:
    """Compared with -1 or 0, it says what `includes` does."""
    if not args:
        return None
    implied = guarding.compared(ast.In, args[0], receiver, state)
    return Value(name="indexOf()", implies=implied)


def is_in(
    engine: Engine, state: State, receiver: Value, args: tuple[Value, ...], node: ast.AST
) -> Value | None:
    if not args:
        return None
    return includes(state, args[0], receiver)


def includes(state: State, needle: Value, holder: Value) -> Value:
    """Whether an element is in an array, or a text in a text."""
    elements = state.heap.elements(holder)
    if elements is not None and needle.consts is not None and not isinstance(holder.const, str):
        if all(each.const is not ... for each in elements):
            listed = constant(tuple(each.const for each in elements))
            folded = folding.compare(ast.In, needle, listed)
            if folded is not None:
                return folded
    elif needle.consts is not None and holder.consts is not None:
        folded = folding.compare(ast.In, needle, holder)
        if folded is not None:
            return folded
    implied = guarding.compared(ast.In, needle, holder, state) or Implied()
    texts = [text for each in elements or () for text in each.texts()]
    absent = guarding.about(needle, *(f"@not:{text}" for text in texts))
    return Value(implies=Implied(implied.when_true, implied.when_false | absent))


def to_string(
    engine: Engine, state: State, receiver: Value, args: tuple[Value, ...], node: ast.AST
) -> Value | None:
    encoding = args[0].const if args else None
    if encoding in ("base64", "base64url", "hex"):
        kinds = frozenset(guarding.DANGEROUS)
        return engine.derived(node, state.heap.taints(receiver), cleared=kinds)
    if isinstance(encoding, int) and receiver.consts is not None:
        base = encoding
        return folding.fold(lambda number: _digits(number, base), receiver)
    if receiver.refs:
        return engine.derived(node, state.heap.taints(receiver))
    return receiver if receiver.name is None or "(" in receiver.name or receiver.taints else None


def _digits(number: Any, base: int) -> str:
    if not isinstance(number, int) or not 2 <= base <= 36:
        raise ValueError
    digits = ""
    rest = abs(number)
    while rest:
        rest, digit = divmod(rest, base)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    return ("-" if number < 0 else "") + (digits or "0")
