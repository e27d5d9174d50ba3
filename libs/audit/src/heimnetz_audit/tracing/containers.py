"""Methods of containers and texts, as far as they decide what a value is."""

import ast
from collections.abc import Callable
from typing import Any, Final

from heimnetz_audit.model.values import UNKNOWN, Value, constant, join, merge_taints
from heimnetz_audit.tracing import folding, indexing
from heimnetz_audit.tracing.engine import Engine
from heimnetz_audit.tracing.heap import Object, State

Method = Callable[[Engine, State, Value, tuple[Value, ...], ast.AST], Value | None]


def call(
    engine: Engine,
    state: State,
    receiver: Value,
    method: str,
    args: tuple[Value, ...],
    node: ast.AST,
) -> Value | None:
    """The result of a method of a container; None when it is no method that is known here."""
    item = state.heap.of(receiver)
    if item is None:
        if not receiver.refs or not all(state.heap.get(ref) for ref in receiver.refs):
            return None
        kinds = {found.kind for ref in receiver.refs if (found := state.heap.get(ref))}
        if len(kinds) != 1:
            return None
        kind = kinds.pop()
    else:
        kind = item.kind
    table = _TABLES.get(kind)
    walk = table.get(method) if table is not None else None
    return walk(engine, state, receiver, args, node) if walk is not None else None


def _append(
    _engine: Engine, state: State, receiver: Value, args: tuple[Value, ...], _node: ast.AST
) -> Value | None:
    if args:
        indexing.extend(state, receiver, args[-1])
    return constant(None)


def _insert(
    _engine: Engine, state: State, receiver: Value, args: tuple[Value, ...], _node: ast.AST
) -> Value | None:
    item = state.heap.of(receiver)
    if len(args) != 2:
        return None
    position = args[0].const
    if item is not None and item.seq is not None and isinstance(position, int):
        seq = list(item.seq)
        seq.insert(position, args[1])
        state.heap.put(receiver.refs[0], item.changed(seq=tuple(seq)))
    else:
        indexing.extend(state, receiver, args[1])
    return constant(None)


def _extend(
    _engine: Engine, state: State, receiver: Value, args: tuple[Value, ...], _node: ast.AST
) -> Value | None:
    if not args:
        return None
    item = state.heap.of(receiver)
    elements = state.heap.elements(args[0])
    if item is not None and item.seq is not None and elements is not None:
        state.heap.put(receiver.refs[0], item.changed(seq=item.seq + elements))
    else:
        content = state.heap.content(args[0])
        indexing.extend(state, receiver, content.replaced(consts=None))
    return constant(None)


def _pop(
    engine: Engine, state: State, receiver: Value, args: tuple[Value, ...], _node: ast.AST
) -> Value | None:
    item = state.heap.of(receiver)
    if item is None:
        return state.heap.content(receiver)
    ref = receiver.refs[0]
    if item.seq is not None:
        position = args[0].const if args else -1
        if isinstance(position, int) and -len(item.seq) <= position < len(item.seq):
            seq = list(item.seq)
            taken = seq.pop(position)
            state.heap.put(ref, item.changed(seq=tuple(seq)))
            return taken
        content = state.heap.content(receiver)
        state.heap.put(ref, item.changed(seq=None, rest=content))
        return content
    if item.kind == "dict" and args:
        taken = indexing.element(state, item, receiver, args[0])
        key = args[0].const
        if key is not ... and isinstance(key, str | int) and key in item.items:
            items = {name: value for name, value in item.items.items() if name != key}
            state.heap.put(ref, item.changed(items=items))
        return taken
    return state.heap.content(receiver)


def _remove(
    _engine: Engine, state: State, receiver: Value, args: tuple[Value, ...], _node: ast.AST
) -> Value | None:
    item = state.heap.of(receiver)
    if item is None or item.seq is None or not args:
        return constant(None)
    wanted = args[0].const
    position = next((i for i, each in enumerate(item.seq) if each.const == wanted), None)
    if wanted is ... or position is None:
        rest = state.heap.content(receiver)
        state.heap.put(receiver.refs[0], item.changed(seq=None, rest=rest))
    else:
        seq = item.seq[:position] + item.seq[position + 1 :]
        state.heap.put(receiver.refs[0], item.changed(seq=seq))
    return constant(None)


def _clear(
    _engine: Engine, state: State, receiver: Value, _args: tuple[Value, ...], _node: ast.AST
) -> Value | None:
    item = state.heap.of(receiver)
    if item is not None:
        seq = () if item.kind != "dict" else None
        state.heap.put(receiver.refs[0], item.changed(seq=seq, items={}, rest=None))
    return constant(None)


def _reorder(
    _engine: Engine, state: State, receiver: Value, _args: tuple[Value, ...], _node: ast.AST
) -> Value | None:
    item = state.heap.of(receiver)
    if item is not None and item.seq is not None:
        content = state.heap.content(receiver)
        state.heap.put(receiver.refs[0], item.changed(seq=tuple(content for _ in item.seq)))
    return constant(None)


def _reverse(
    _engine: Engine, state: State, receiver: Value, _args: tuple[Value, ...], _node: ast.AST
) -> Value | None:
    item = state.heap.of(receiver)
    if item is not None and item.seq is not None:
        state.heap.put(receiver.refs[0], item.changed(seq=item.seq[::-1]))
    return constant(None)


def _copy(
    engine: Engine, state: State, receiver: Value, _args: tuple[Value, ...], _node: ast.AST
) -> Value | None:
    item = state.heap.of(receiver)
    if item is None:
        return receiver
    return engine.allocate(state, item.changed(), taints=receiver.taints)


def _get(
    _engine: Engine, state: State, receiver: Value, args: tuple[Value, ...], _node: ast.AST
) -> Value | None:
    item = state.heap.of(receiver)
    if item is None or not args:
        return state.heap.content(receiver)
    default = args[1] if len(args) > 1 else constant(None)
    key = args[0].const
    if key is ... or not isinstance(key, str | int | bytes | tuple):
        return join(state.heap.content(receiver), default)
    known = item.items.get(key)
    if known is not None:
        return known
    if item.rest is not None:
        return join(item.rest, default)
    return default.replaced(taints=merge_taints(default.taints, receiver.taints))


def _setdefault(
    engine: Engine, state: State, receiver: Value, args: tuple[Value, ...], node: ast.AST
) -> Value | None:
    item = state.heap.of(receiver)
    if item is not None and args and args[0].const in item.items:
        return item.items[args[0].const]
    if len(args) == 2:
        indexing.store(engine, state, receiver, args[0], args[1])
        return args[1]
    return _get(engine, state, receiver, args, node)


def _update(
    _engine: Engine, state: State, receiver: Value, args: tuple[Value, ...], _node: ast.AST
) -> Value | None:
    item = state.heap.of(receiver)
    other = state.heap.of(args[0]) if args else None
    if item is None:
        return constant(None)
    if other is not None and other.kind == "dict":
        rest = other.rest if item.rest is None else item.rest
        changed = item.changed(items={**item.items, **other.items}, rest=rest)
        state.heap.put(receiver.refs[0], changed)
    elif args:
        content = state.heap.content(args[0])
        rest = content if item.rest is None else join(item.rest, content)
        state.heap.put(receiver.refs[0], item.changed(rest=rest))
    return constant(None)


def _values(
    engine: Engine, state: State, receiver: Value, _args: tuple[Value, ...], _node: ast.AST
) -> Value | None:
    item = state.heap.of(receiver)
    if item is not None and item.rest is None:
        return engine.allocate(state, Object("list", seq=tuple(item.items.values())))
    return engine.allocate(state, Object("list", rest=state.heap.content(receiver)))


def _keys(
    engine: Engine, state: State, receiver: Value, _args: tuple[Value, ...], _node: ast.AST
) -> Value | None:
    item = state.heap.of(receiver)
    if item is not None and item.rest is None:
        return constant(tuple(item.items))
    return engine.allocate(state, Object("list", rest=Value(taints=state.heap.taints(receiver))))


def _items(
    engine: Engine, state: State, receiver: Value, _args: tuple[Value, ...], _node: ast.AST
) -> Value | None:
    item = state.heap.of(receiver)
    pairs: list[Value] = []
    known = item.items if item is not None else {}
    for key, value in known.items():
        pairs.append(engine.allocate(state, Object("tuple", seq=(constant(key), value))))
    if item is not None and item.rest is None:
        return engine.allocate(state, Object("list", seq=tuple(pairs)))
    content = state.heap.content(receiver)
    pair = engine.allocate(state, Object("tuple", seq=(content.replaced(consts=None), content)))
    return engine.allocate(state, Object("list", rest=pair))


def _index(
    _engine: Engine, _state: State, _receiver: Value, _args: tuple[Value, ...], _node: ast.AST
) -> Value | None:
    return UNKNOWN


def _section(args: tuple[Value, ...]) -> Any:
    return (str(args[0].const), str(args[1].const).lower())


def _config_set(
    _engine: Engine, state: State, receiver: Value, args: tuple[Value, ...], _node: ast.AST
) -> Value | None:
    item = state.heap.of(receiver)
    if item is None or len(args) < 3:
        return constant(None)
    if args[0].const is ... or args[1].const is ...:
        rest = args[2] if item.rest is None else join(item.rest, args[2])
        state.heap.put(receiver.refs[0], item.changed(rest=rest))
    else:
        state.heap.put(
            receiver.refs[0], item.changed(items={**item.items, _section(args): args[2]})
        )
    return constant(None)


def _config_get(
    _engine: Engine, state: State, receiver: Value, args: tuple[Value, ...], _node: ast.AST
) -> Value | None:
    item = state.heap.of(receiver)
    if item is None or len(args) < 2 or args[0].const is ... or args[1].const is ...:
        return state.heap.content(receiver)
    return item.items.get(_section(args)) or item.rest or Value(taints=receiver.taints)


def _write(
    _engine: Engine, state: State, receiver: Value, args: tuple[Value, ...], _node: ast.AST
) -> Value | None:
    if args:
        item = state.heap.of(receiver)
        if item is not None:
            rest = args[0] if item.rest is None else join(item.rest, args[0])
            state.heap.put(receiver.refs[0], item.changed(rest=rest.replaced(consts=None)))
    return UNKNOWN


def _content(
    _engine: Engine, state: State, receiver: Value, _args: tuple[Value, ...], _node: ast.AST
) -> Value | None:
    return state.heap.content(receiver)


def _take_first(
    engine: Engine, state: State, receiver: Value, _args: tuple[Value, ...], node: ast.AST
) -> Value | None:
    return _pop(engine, state, receiver, (constant(0),), node)


_LIST: Final[dict[str, Method]] = {
    "append": _append, "add": _append, "appendleft": _append, "insert": _insert,
    "extend": _extend, "pop": _pop, "popleft": _take_first, "remove": _remove,
    "discard": _remove, "clear": _clear, "sort": _reorder, "reverse": _reverse, "copy": _copy,
    "index": _index, "count": _index, "put": _append, "put_nowait": _append,
    "get": _take_first, "get_nowait": _take_first, "update": _extend, "union": _copy,
    "__getitem__": _content,
}  # fmt: skip
_TABLES: Final[dict[str, dict[str, Method]]] = {
    "list": _LIST,
    "set": _LIST,
    "deque": _LIST,
    "tuple": {"index": _index, "count": _index},
    "dict": {
        "get": _get, "pop": _pop, "setdefault": _setdefault, "update": _update,
        "values": _values, "keys": _keys, "items": _items, "clear": _clear, "copy": _copy,
        "popitem": _content,
    },
    "config": {
        "set": _config_set, "get": _config_get, "getint": _index, "getboolean": _index,
        "getfloat": _index, "add_section": _index, "has_option": _index, "has_section": _index,
        "items": _content,
    },
    "buffer": {"write": _write, "writelines": _write, "getvalue": _content, "read": _content,
               "readline": _content, "readlines": _content, "seek": _index, "close": _index,
               "getbuffer": _content},
}  # fmt: skip

_SPLITTERS: Final = frozenset({"split", "rsplit", "splitlines", "partition", "rpartition"})
#: The result says as much about the text as the text itself.
_VIEWS: Final = frozenset({"lower", "upper", "strip", "lstrip", "rstrip", "casefold"})


def call_text(
    engine: Engine,
    state: State,
    receiver: Value,
    method: str,
    args: tuple[Value, ...],
    node: ast.AST,
) -> Value | None:
    """Methods of texts that are not constant."""
    if method == "join" and args:
        return join_text(engine, state, receiver, args[0], node)
    if method == "replace" and len(args) >= 2 and receiver.taints:
        return _replace(engine, receiver, args, node)
    if method in _SPLITTERS and (receiver.taints or receiver.parts):
        return _split(engine, state, receiver, method, args, node)
    if method in ("removesuffix", "removeprefix") and receiver.parts and args and args[0].text:
        return _trimmed(engine, receiver, method, args[0].text, node)
    if method in _VIEWS and not args and receiver.taints:
        value = engine.derived(node, receiver.taints, parts=_lowered(receiver, method))
        return value.replaced(guards=value.guards + receiver.guards)
    if method == "count" and args and args[0].text and receiver.guards:
        guards = tuple((n, f"count:{args[0].text}") for n, scope in receiver.guards if not scope)
        return Value(guards=guards)
    if method == "find" and args and args[0].text and receiver.guards:
        return Value(guards=())
    return None


def _lowered(receiver: Value, method: str) -> tuple[str | Value, ...] | None:
    if receiver.parts is None or method not in ("lower", "upper"):
        return None
    return tuple(
        part if isinstance(part, Value) else str(getattr(part, method)()) for part in receiver.parts
    )


def join_text(
    engine: Engine, state: State, glue: Value, iterable: Value, node: ast.AST
) -> Value | None:
    elements = state.heap.elements(iterable)
    if elements is None or glue.text is None:
        content = state.heap.content(iterable)
        taints = merge_taints(glue.taints, merge_taints(content.taints, iterable.taints))
        return engine.derived(node, taints)
    pieces: list[Value] = []
    for position, each in enumerate(elements):
        if position and glue.text:
            pieces.append(glue)
        pieces.append(each)
    return folding.concat(engine, node, tuple(pieces)) if pieces else constant("")


def _replace(engine: Engine, receiver: Value, args: tuple[Value, ...], node: ast.AST) -> Value:
    """Replacing one character is complete; removing a longer text can put it together anew."""
    old, new = args[0].text, args[1].text
    cleared: frozenset[str] = frozenset()
    if old and new is not None and old not in new and (len(old) == 1 or new):
        cleared = frozenset({old})
    value = engine.derived(node, receiver.taints, cleared=cleared)
    lacks = {
        kind
        for taint in value.taints
        for kind, marks in _ESCAPED_BY_HAND.items()
        if all(mark in taint.cleared for mark in marks)
    }
    if lacks and len(value.taints) == 1:
        kept = tuple(t._replace(cleared=t.cleared | lacks) for t in value.taints)
        return value.replaced(taints=kept)
    return value


_ESCAPED_BY_HAND: Final = {"html": "<>", "ldap": "*()", "log": "\n", "header": "\n"}


def _split(
    engine: Engine, state: State, receiver: Value, method: str, args: tuple[Value, ...],
    node: ast.AST,
) -> Value:  # fmt: skip
    separator = args[0].text if args else None
    parts = receiver.parts
    # A piece of the own address is not the own address any more.
    taints = tuple(t._replace(cleared=t.cleared - {"redirect"}) for t in receiver.taints)
    piece = engine.derived(node, taints)
    if parts and separator and method == "split" and len(args) == 1:
        first, last = parts[0], parts[-1]
        if isinstance(first, str) and separator in first:
            known = first.split(separator)[:-1]
            item = Object("split", items={i: constant(t) for i, t in enumerate(known)}, rest=None)
            return engine.allocate(state, item, taints=piece.taints)
        if isinstance(last, str) and separator in last and len(parts) > 1:
            known = last.split(separator)[1:]
            items = {i - len(known): constant(t) for i, t in enumerate(known)}
            return engine.allocate(state, Object("split", items=items), taints=piece.taints)
    if separator and len(separator) == 1 and separator != "/" and len(args) == 1:
        piece = engine.derived(node, taints, cleared=frozenset({separator}))
    if method in ("partition", "rpartition"):
        return engine.allocate(state, Object("tuple", seq=(piece, UNKNOWN, piece)))
    return engine.allocate(state, Object("list", rest=piece))


def _trimmed(engine: Engine, receiver: Value, method: str, text: str, node: ast.AST) -> Value:
    parts = list(receiver.parts or ())
    position = 0 if method == "removeprefix" else -1
    part = parts[position]
    if isinstance(part, str):
        parts[position] = str(getattr(part, method)(text))
    kept = tuple(p if isinstance(p, Value) else constant(p) for p in parts if p != "")
    return folding.concat(engine, node, kept)
