"""What functions of the language and of Node give back, where Python has no likeness of them."""

import ast
import base64
from collections.abc import Callable
from typing import Final

from heimnetz_audit.model.values import UNKNOWN, Value, constant, join, merge_taints
from heimnetz_audit.tracing import folding, guarding, modelling
from heimnetz_audit.tracing.engine import Engine
from heimnetz_audit.tracing.heap import Object, State
from heimnetz_audit.tracing.naming import iterate
from heimnetz_audit.tracing.scripts import methods, texts

Model = Callable[[Engine, State, tuple[Value, ...], ast.AST], Value | None]


def result(
    engine: Engine, state: State, name: str, args: tuple[Value, ...], node: ast.AST
) -> Value | None:
    model = _MODELS.get(name)
    return model(engine, state, args, node) if model is not None else None


def _first(_engine: Engine, _state: State, args: tuple[Value, ...], _node: ast.AST) -> Value | None:
    return args[0] if args else None


def _text(engine: Engine, state: State, args: tuple[Value, ...], node: ast.AST) -> Value | None:
    if not args:
        return constant("")
    made = methods.call(engine, state, args[0], "toString", (), node)
    # A text, even where an object was sent.
    return made.replaced(name=None) if made is not None else None


def _characters(
    engine: Engine, state: State, args: tuple[Value, ...], node: ast.AST
) -> Value | None:
    """Text that is put together from numbers is text that was hidden in them."""
    if all(each.const is not ... for each in args):
        try:
            return constant("".join(chr(int(each.const) & 0xFFFF) for each in args))
        except (TypeError, ValueError, OverflowError):
            return None
    source = engine.source("decoded", node)
    taints = modelling.taints_of(state, args)
    return source.replaced(taints=merge_taints(source.taints, taints), name="String.fromCharCode()")


def _assign(engine: Engine, state: State, args: tuple[Value, ...], node: ast.AST) -> Value | None:
    """`Object.assign(target, ...sources)`."""
    if not args:
        return None
    item = state.heap.of(args[0])
    if item is None:
        return engine.derived(node, modelling.taints_of(state, args), name=args[0].name)
    for each in args[1:]:
        other = state.heap.of(each)
        if other is not None and other.kind in ("dict", "instance"):
            rest = other.rest if item.rest is None else item.rest
            item = item.changed(items={**item.items, **other.items, **other.attrs}, rest=rest)
        elif each.taints:
            content = Value(taints=each.taints)
            item = item.changed(rest=content if item.rest is None else join(item.rest, content))
    state.heap.put(args[0].refs[0], item)
    return args[0]


def _view(method: str) -> Model:
    """`Object.keys(value)` and its like."""

    def view(engine: Engine, state: State, args: tuple[Value, ...], node: ast.AST) -> Value | None:
        if not args:
            return None
        item = state.heap.of(args[0])
        content = state.heap.content(args[0]).replaced(consts=None)
        key = engine.derived(node, args[0].taints)
        if item is not None and item.kind == "dict" and item.rest is None and not args[0].taints:
            known = list(item.items.items())
            rows = {
                "keys": [constant(name) for name, _ in known],
                "values": [value for _, value in known],
                "entries": [_pair(engine, state, constant(name), value) for name, value in known],
            }
            return engine.allocate(state, Object("list", seq=tuple(rows[method])))
        if method == "entries":
            content = _pair(engine, state, key, content)
        return engine.allocate(state, Object("list", rest=key if method == "keys" else content))

    return view


def _pair(engine: Engine, state: State, key: Value, value: Value) -> Value:
    return engine.allocate(state, Object("list", seq=(key, value)))


def _from(engine: Engine, state: State, args: tuple[Value, ...], node: ast.AST) -> Value | None:
    """`Array.from(values, function)`."""
    if not args:
        return None
    elements = state.heap.elements(args[0])
    item = (
        Object("list", seq=elements)
        if elements is not None
        else Object("list", rest=iterate(engine, state, args[0], node))
    )
    made = engine.allocate(state, item)
    return methods.call(engine, state, made, "map", args[1:], node) if len(args) > 1 else made


def _list_of(engine: Engine, state: State, args: tuple[Value, ...], _node: ast.AST) -> Value | None:
    if len(args) == 1 and isinstance(args[0].const, int):
        return engine.allocate(state, Object("list", rest=UNKNOWN))
    return engine.allocate(state, Object("list", seq=args))


def _container(kind: str) -> Model:
    def make(engine: Engine, state: State, args: tuple[Value, ...], node: ast.AST) -> Value | None:
        if not args:
            item = Object(kind) if kind == "dict" else Object(kind, seq=())
            return engine.allocate(state, item)
        elements = state.heap.elements(args[0])
        if kind == "set" and elements is not None:
            return engine.allocate(state, Object(kind, seq=elements))
        content = iterate(engine, state, args[0], node)
        return engine.allocate(state, Object(kind, rest=content), taints=args[0].taints)

    return make


def _joined_path(
    engine: Engine, state: State, args: tuple[Value, ...], node: ast.AST
) -> Value | None:
    """`path.join` takes `..` out, so that a path's beginning tells where it leads."""
    elements = args
    joined = modelling.path_join(engine, elements, node) if elements else None
    if joined is None or not joined.taints:
        return joined.replaced(name=None) if joined is not None else None
    return modelling.resolved(engine, node, joined, joined.taints)


def _resolved_path(
    engine: Engine, state: State, args: tuple[Value, ...], node: ast.AST
) -> Value | None:
    """In `path.resolve`, an absolute part throws away what stands before it."""
    joined = _joined_path(engine, state, args, node)
    if joined is None or not any(each.taints for each in args[1:]):
        return joined
    return joined.replaced(parts=None)


def _relative_path(
    engine: Engine, state: State, args: tuple[Value, ...], node: ast.AST
) -> Value | None:
    """Whether it begins with `..` says whether the path leads out."""
    if len(args) != 2:
        return None
    value = engine.derived(node, args[1].taints)
    below = tuple((number, "relative") for number, scope in args[1].guards if not scope)
    return value.replaced(guards=value.guards + below)


def _serialised(
    engine: Engine, state: State, args: tuple[Value, ...], node: ast.AST
) -> Value | None:
    """JSON is no page, and has no line breaks."""
    taints = state.heap.taints(args[0]) if args else ()
    return engine.derived(node, taints, cleared=frozenset({"html", "header", "log"}))


def _encoded(engine: Engine, state: State, args: tuple[Value, ...], node: ast.AST) -> Value | None:
    kinds = frozenset(guarding.DANGEROUS)
    return engine.derived(node, modelling.taints_of(state, args), cleared=kinds)


def _formatted(
    engine: Engine, _state: State, args: tuple[Value, ...], node: ast.AST
) -> Value | None:
    return engine.mixed(node, args)


def _all(engine: Engine, state: State, args: tuple[Value, ...], _node: ast.AST) -> Value | None:
    """`Promise.all([...])` is worth its elements; a promise is worth what it brings."""
    return args[0] if args else engine.allocate(state, Object("list", seq=()))


def _clean(
    _engine: Engine, _state: State, _args: tuple[Value, ...], _node: ast.AST
) -> Value | None:
    return Value(name="number")


def _is_within(
    _engine: Engine, state: State, args: tuple[Value, ...], _node: ast.AST
) -> Value | None:
    """`Object.hasOwn(table, key)`."""
    return texts.includes(state, args[1], args[0]) if len(args) == 2 else None


def _is_address(
    _engine: Engine, _state: State, args: tuple[Value, ...], _node: ast.AST
) -> Value | None:
    """`net.isIP(text)` is true of addresses only, in which no sink but a request sees harm."""
    if not args:
        return None
    kinds = set(guarding.DANGEROUS) - {"ssrf"}
    return Value(implies=guarding.implied(guarding.about(args[0], *kinds)))


def _is_absolute(
    _engine: Engine, _state: State, args: tuple[Value, ...], _node: ast.AST
) -> Value | None:
    if not args:
        return None
    return Value(implies=guarding.negated(guarding.implied(guarding.about(args[0], "@relative"))))


def _number(engine: Engine, state: State, args: tuple[Value, ...], _node: ast.AST) -> Value | None:
    """`parseInt(text, radix)`."""
    base = args[1].const if len(args) > 1 else 10
    if args and args[0].consts is not None and isinstance(base, int):
        return folding.fold(
            lambda text: int(text, base) if isinstance(text, str) else int(text), args[0]
        )
    return Value(name="number")


def _decoded(engine: Engine, state: State, args: tuple[Value, ...], node: ast.AST) -> Value | None:
    """Text that was hidden in an encoding; where it is constant, what it says is known too."""
    text = args[0].text if args else None
    if text is None or len(text) > folding.TEXT_LIMIT:
        return None
    try:
        raw = base64.b64decode(text.translate(_URL_SAFE) + "==", validate=False)
    except ValueError:
        return None
    return engine.source("decoded", node).replaced(consts=(raw.decode("utf-8", "replace"),))


def _from_hex(engine: Engine, state: State, args: tuple[Value, ...], node: ast.AST) -> Value | None:
    text = args[0].text if args else None
    if text is None or len(text) > folding.TEXT_LIMIT:
        return None
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        return None
    return engine.source("decoded", node).replaced(consts=(raw.decode("utf-8", "replace"),))


def _address(engine: Engine, state: State, args: tuple[Value, ...], node: ast.AST) -> Value | None:
    """A part of the own address is not the own address any more."""
    if not args or not args[0].taints:
        return None
    taints = tuple(t._replace(cleared=t.cleared - {"redirect"}) for t in args[0].taints)
    value = engine.derived(node, taints, name="urllib.parse.urlparse()")
    return value.replaced(guards=value.guards + args[0].guards)


def _proves(*, holds: bool) -> Model:
    """True, or false, of a text that can do no harm."""

    def prove(
        _engine: Engine, _state: State, args: tuple[Value, ...], _node: ast.AST
    ) -> Value | None:
        if not args:
            return None
        proven = guarding.implied(guarding.everything(args[0]))
        return Value(implies=proven if holds else guarding.negated(proven))

    return prove


def _make_object(
    engine: Engine, state: State, _args: tuple[Value, ...], _node: ast.AST
) -> Value | None:
    return engine.allocate(state, Object("dict"))


def _bytes(engine: Engine, state: State, args: tuple[Value, ...], node: ast.AST) -> Value | None:
    return engine.derived(node, modelling.taints_of(state, args))


def _query(engine: Engine, state: State, args: tuple[Value, ...], node: ast.AST) -> Value | None:
    """`URLSearchParams` of an object writes its values down encoded."""
    is_written = bool(args) and bool(args[0].refs)
    kinds = frozenset({"html", "command", "ssrf"}) if is_written else frozenset()
    return engine.derived(node, modelling.taints_of(state, args), cleared=kinds)


_URL_SAFE: Final = str.maketrans("-_", "+/")
_MODELS: Final[dict[str, Model]] = {
    "String": _text, "String.raw": _formatted, "String.fromCharCode": _characters,
    "String.fromCodePoint": _characters,
    "Object.assign": _assign, "Object.keys": _view("keys"), "Object.values": _view("values"),
    "Object.entries": _view("entries"), "Object.freeze": _first, "Object.seal": _first,
    "Object": _first, "Object.create": _make_object,
    "Object.fromEntries": _from, "Object.getOwnPropertyNames": _view("keys"),
    "Reflect.ownKeys": _view("keys"), "Object.hasOwn": _is_within,
    "Object.prototype.hasOwnProperty": _is_within,
    "Array.from": _from, "Array": _list_of, "Array.of": _list_of,
    "Map": _container("dict"), "WeakMap": _container("dict"), "Set": _container("set"),
    "structuredClone": _first, "Promise.resolve": _first, "Promise.all": _all,
    "Promise.race": _all, "Promise.allSettled": _all, "Promise.any": _all,
    "JSON.stringify": _serialised, "btoa": _encoded, "node:util.promisify": _first,
    "node:util.callbackify": _first, "node:util.format": _formatted,
    "node:util.inspect": _serialised,
    "node:path.join": _joined_path, "node:path.resolve": _resolved_path,
    "node:path.posix.join": _joined_path, "node:path.win32.join": _joined_path,
    "node:path.normalize": _joined_path, "node:path.relative": _relative_path,
    "node:path.isAbsolute": _is_absolute, "node:path.extname": _clean,
    "node:net.isIP": _is_address, "node:net.isIPv4": _is_address, "node:net.isIPv6": _is_address,
    "int": _number, "Number.parseInt": _number, "Number.parseFloat": _clean,
    "Date": _clean, "Date.now": _clean, "Math.floor": _clean,
    "Math.round": _clean, "Math.ceil": _clean, "Math.min": _clean, "Math.max": _clean,
    "Math.abs": _clean, "Array.isArray": _clean, "Buffer.byteLength": _clean,
    "Buffer.concat": _bytes, "URLSearchParams": _query,
    "base64.b64decode": _decoded, "bytes.fromhex": _from_hex,
    "urllib.parse.urlparse": _address, "isNaN": _proves(holds=False),
    "Number.isNaN": _proves(holds=False), "isFinite": _proves(holds=True),
    "Number.isFinite": _proves(holds=True), "Number.isInteger": _proves(holds=True),
    **dict.fromkeys(
        (
            f"npm:validator.{name}"
            for name in "isAlphanumeric isAlpha isInt isNumeric isUUID isMongoId isDecimal "
            "isBoolean isHexadecimal isPort isIn isDate isISO8601".split()
        ),
        _proves(holds=True),
    ),
    "npm:uuid.validate": _proves(holds=True), "mongoose.isValidObjectId": _proves(holds=True),
    "Symbol": _clean, "performance.now": _clean, "node:crypto.timingSafeEqual": _clean,
    "node:fs.existsSync": _clean,
}  # fmt: skip
