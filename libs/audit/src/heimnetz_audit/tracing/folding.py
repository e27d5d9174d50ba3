"""Constant folding, and what is known about a text that is partly constant."""

import ast
import operator
from collections.abc import Callable
from typing import Any, Final

from heimnetz_audit.model.values import (
    CONSTANTS_LIMIT,
    PARTS_LIMIT,
    UNKNOWN,
    Value,
    all_taints,
    constant,
)
from heimnetz_audit.tracing.engine import Engine

#: Longer texts and larger numbers are not computed: a package must not make its audit expensive.
TEXT_LIMIT: Final = 20_000
NUMBER_LIMIT: Final = 1 << 256

Part = str | Value

_BINARY: Final[dict[type[ast.operator], Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.BitXor: operator.xor,
    ast.LShift: operator.lshift,
    ast.RShift: operator.rshift,
    ast.Pow: operator.pow,
}
_COMPARISONS: Final[dict[type[ast.cmpop], Callable[[Any, Any], Any]]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: lambda a, b: a is b or (type(a) is type(b) and a == b),
    ast.IsNot: lambda a, b: not (a is b or (type(a) is type(b) and a == b)),
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
}
_FOLDING_ERRORS: Final = (
    ArithmeticError, AttributeError, IndexError, KeyError, LookupError, MemoryError, TypeError,
    ValueError,
)  # fmt: skip

#: Methods of constants that are computed; each is pure and its result is bounded.
TEXT_METHODS: Final = frozenset(
    (
        "capitalize casefold count decode encode endswith find format hex index isalnum isalpha "
        "isascii isdecimal isdigit isidentifier islower isnumeric isspace isupper join lower "
        "lstrip partition removeprefix removesuffix replace rfind rindex rpartition rsplit rstrip "
        "split splitlines startswith strip swapcase title upper"
    ).split()
)
_CALLS: Final[dict[str, Callable[..., Any]]] = {
    "len": len, "int": int, "str": str, "float": float, "bool": bool, "abs": abs, "min": min,
    "max": max, "chr": chr, "ord": ord, "sum": sum, "round": round, "hex": hex, "oct": oct,
    "bin": bin, "repr": repr, "tuple": tuple, "sorted": lambda *a: tuple(sorted(*a)),
    "list": tuple, "reversed": lambda a: tuple(reversed(a)), "bytes": bytes,
    "bytes.fromhex": bytes.fromhex,
}  # fmt: skip


def _fits(result: Any) -> bool:
    if isinstance(result, str | bytes | tuple | list):
        return len(result) <= TEXT_LIMIT
    if isinstance(result, int):
        return -NUMBER_LIMIT < result < NUMBER_LIMIT
    return isinstance(result, float | bool | frozenset) or result is None


def _is_cheap(node_type: type[ast.operator], a: Any, b: Any) -> bool:
    if node_type in (ast.Pow, ast.LShift):
        return isinstance(a, int) and isinstance(b, int) and abs(a) < 1 << 32 and 0 <= b < 64
    if node_type is ast.Mult:
        sizes = [len(x) for x in (a, b) if isinstance(x, str | bytes | tuple)]
        counts = [x for x in (a, b) if isinstance(x, int)]
        return not sizes or not counts or sizes[0] * max(counts[0], 0) <= TEXT_LIMIT
    if node_type is ast.Mod and isinstance(a, str | bytes):
        # A width such as "%999999999d" would be computed before its size is known.
        return len(a) < 2000 and not any(len(run) > 3 for run in _digits(str(a)))
    return True


def _digits(text: str) -> list[str]:
    return "".join(c if c.isdigit() else " " for c in text).split()


def fold(function: Callable[..., Any], *operands: Value) -> Value | None:
    """Applies a function to every combination of constants; None when one is not known."""
    combinations: list[tuple[Any, ...]] = [()]
    for operand in operands:
        if operand.consts is None:
            return None
        combinations = [(*known, const) for known in combinations for const in operand.consts]
        if len(combinations) > CONSTANTS_LIMIT:
            return None
    results: list[Any] = []
    for combination in combinations:
        try:
            result = function(*combination)
        except _FOLDING_ERRORS:
            # The expression would raise here, so that no value comes of it.
            continue
        if isinstance(result, list):
            result = tuple(result)
        if not _fits(result):
            return None
        if not any(type(result) is type(known) and result == known for known in results):
            results.append(result)
    return Value(consts=tuple(results)) if results else None


def binary(
    engine: Engine,
    node: ast.AST,
    kind: type[ast.operator],
    operands: tuple[Value, Value],
    elements: tuple[Value, ...] | None,
) -> Value:
    """An operation on two values; `elements` are those of the right one, when it is a tuple."""
    a, b = operands
    function = _BINARY.get(kind)
    if function is not None and a.consts is not None and b.consts is not None:
        cheap = all(_is_cheap(kind, x, y) for x in a.consts for y in b.consts)
        folded = fold(function, a, b) if cheap else None
        if folded is not None:
            return folded
    if kind is ast.Add:
        return concat(engine, node, (a, b))
    if kind is ast.Mod and a.text is not None:
        return concat(engine, node, _percent(a.text, elements or (b,)))
    return engine.mixed(node, (a, b))


def compare(kind: type[ast.cmpop], a: Value, b: Value) -> Value | None:
    function = _COMPARISONS.get(kind)
    return fold(function, a, b) if function is not None else None


def _percent(template: str, operands: tuple[Value, ...]) -> tuple[Value, ...]:
    pieces = template.replace("%%", "\0").split("%s")
    if len(pieces) != len(operands) + 1 or any("%" in piece for piece in pieces):
        return (Value(parts=(template.partition("%")[0], UNKNOWN)), *operands)
    mixed: list[Value] = []
    for index, piece in enumerate(pieces):
        mixed.append(constant(piece.replace("\0", "%")))
        if index < len(operands):
            mixed.append(operands[index])
    return tuple(mixed)


def _flatten(values: tuple[Value, ...]) -> list[Part] | None:
    parts: list[Part] = []
    for value in values:
        pieces: tuple[Part, ...]
        text = value.text
        const = value.const
        if text is not None:
            pieces = (text,)
        elif isinstance(const, int | float):
            pieces = (str(const),)
        elif isinstance(const, bytes):
            pieces = (const.decode("latin-1"),)
        elif value.parts is not None:
            pieces = value.parts
        else:
            pieces = (value,)
        for piece in pieces:
            if isinstance(piece, str) and parts and isinstance(parts[-1], str):
                parts[-1] += piece
            elif piece != "":
                parts.append(piece)
    if len(parts) > PARTS_LIMIT or sum(len(p) for p in parts if isinstance(p, str)) > TEXT_LIMIT:
        return None
    return parts


def concat(engine: Engine, node: ast.AST, values: tuple[Value, ...]) -> Value:
    """A text made of others in a row."""
    parts = _flatten(values)
    taints = all_taints(values)
    if parts is not None and len(parts) == 1 and isinstance(parts[0], str):
        return constant(parts[0])
    if not parts:
        return engine.derived(node, taints) if taints else constant("") if parts == [] else UNKNOWN
    if len(parts) == 1 and isinstance(parts[0], Value):
        # Nothing was added: a test of the result is a test of the value.
        return parts[0].replaced(name=None, code=None, refs=())
    return engine.derived(node, taints, parts=tuple(parts))


def format_text(
    engine: Engine, node: ast.AST, template: str, args: tuple[Value, ...], named: dict[str, Value]
) -> Value:
    """`str.format` with plain fields; anything else is a mixture."""
    pieces: list[Value] = []
    rest, count = template.replace("{{", "\0").replace("}}", "\1"), 0
    while rest:
        before, brace, rest = rest.partition("{")
        pieces.append(constant(before.replace("\0", "{").replace("\1", "}")))
        if not brace:
            break
        field, closing, rest = rest.partition("}")
        field = field.partition(":")[0].partition("!")[0]
        value: Value | None
        if field.isdecimal() or not field:
            index = int(field[:4]) if field else count
            count += 1
            value = args[index] if index < len(args) else None
        else:
            value = named.get(field.partition(".")[0].partition("[")[0])
        pieces.append(value if value is not None and closing else UNKNOWN)
    if len(pieces) > PARTS_LIMIT * 2:
        return engine.mixed(node, (*args, *named.values()))
    return concat(engine, node, tuple(pieces))


def slice_text(
    engine: Engine, node: ast.AST, value: Value, start: int | None, stop: int | None
) -> Value | None:
    """A slice that falls into the known ends of a text; None when it touches what is unknown."""
    parts = list(value.parts or ())
    if not parts:
        return None
    first = parts[0] if isinstance(parts[0], str) else ""
    last = parts[-1] if isinstance(parts[-1], str) else ""
    begin = start or 0
    if begin >= 0 and stop is not None and 0 <= stop <= len(first):
        return constant(first[begin:stop])
    if begin < 0 and -begin <= len(last):
        if stop is None:
            return constant(last[begin:])
        if stop < 0:
            return constant(last[begin:stop])
    if begin > len(first) or begin < 0 or (stop is not None and (stop > 0 or -stop > len(last))):
        return None
    if begin:
        parts[0] = first[begin:]
    if stop:
        parts[-1] = str(parts[-1])[:stop] if len(parts) > 1 else ""
    kept = tuple(p if isinstance(p, Value) else constant(p) for p in parts if p != "")
    return concat(engine, node, kept)


def call_builtin(name: str, args: tuple[Value, ...]) -> Value | None:
    function = _CALLS.get(name)
    if function is None or not args:
        return None
    if name == "bytes" and any(isinstance(const, int) for const in args[0].consts or ()):
        return None
    return fold(function, *args)


def call_method(method: str, receiver: Value, args: tuple[Value, ...]) -> Value | None:
    if method not in TEXT_METHODS or receiver.consts is None:
        return None
    if not all(isinstance(const, str | bytes) for const in receiver.consts):
        return None
    if method == "format" and any(_digits(str(const)) for const in receiver.consts):
        return None

    def apply(text: Any, *rest: Any) -> Any:
        if method == "replace" and len(text) * max(len(str(rest[-1])), 1) > TEXT_LIMIT * 10:
            raise ValueError
        return getattr(text, method)(*rest)

    return fold(apply, receiver, *args)
