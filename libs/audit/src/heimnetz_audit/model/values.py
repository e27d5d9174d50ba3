"""What the engine knows about a value while it follows the code, and what checks ask about it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from heimnetz_audit.model.findings import Step

#: More possible constants than this, and a value counts as unknown.
CONSTANTS_LIMIT: Final = 12
TAINTS_LIMIT: Final = 6
PARTS_LIMIT: Final = 24
CHAIN_LIMIT: Final = 16

#: A proven property of a value: its number, and the kind of sink it is harmless for.
Fact = tuple[int, str]
Facts = frozenset[Fact]
#: What a test of a value proves something about: a number, and `""` for the whole value or the
#: part of it that was tested (`host`, `resolved`).
Guard = tuple[int, str]
NO_FACTS: Final[Facts] = frozenset()
ANY: Final = "*"
ENCODED: Final = "@encoded"


class Trail(NamedTuple):
    """The way of a value, newest station first."""

    step: Step
    before: "Trail | None"

    def steps(self) -> tuple[Step, ...]:
        found: list[Step] = []
        trail: Trail | None = self
        while trail is not None:
            if not found or found[-1] != trail.step:
                found.append(trail.step)
            trail = trail.before
        return tuple(reversed(found))


class Taint(NamedTuple):
    """Where a value comes from, the values it was derived through, and what it is safe for."""

    kind: str
    source: Step
    chain: tuple[int, ...]
    cleared: frozenset[str]
    trail: Trail

    def is_live(self, sink: str, facts: Facts) -> bool:
        cleared = self.cleared
        if sink in cleared or ANY in cleared or ENCODED in cleared:
            return False
        return not (facts and any((n, sink) in facts or (n, ANY) in facts for n in self.chain))

    def lacks(self, fact: str, facts: Facts) -> bool:
        """Whether it was shown that the text `fact` does not occur in it."""
        return fact in self.cleared or any((n, fact) in facts for n in self.chain)


class Implied(NamedTuple):
    """What is proven when a condition holds, and when it does not."""

    when_true: Facts = NO_FACTS
    when_false: Facts = NO_FACTS


class Value:
    """An abstract value. `consts` are all the constants it can be; None when not known."""

    __slots__ = ("code", "consts", "guards", "implies", "name", "parts", "refs", "taints")

    def __init__(
        self,
        *,
        consts: tuple[Any, ...] | None = None,
        taints: tuple[Taint, ...] = (),
        name: str | None = None,
        refs: tuple[int, ...] = (),
        code: Any = None,
        parts: "tuple[str | Value, ...] | None" = None,
        guards: tuple[Guard, ...] = (),
        implies: Implied | None = None,
    ) -> None:
        self.consts = consts
        self.taints = taints
        self.name = name
        self.refs = refs
        self.code = code
        self.parts = parts
        self.guards = guards
        self.implies = implies

    @property
    def const(self) -> Any:
        """The constant, when there is exactly one; `...` otherwise."""
        consts = self.consts
        return consts[0] if consts is not None and len(consts) == 1 else ...

    @property
    def text(self) -> str | None:
        const = self.const
        return const if isinstance(const, str) else None

    @property
    def prefix(self) -> str:
        """The known beginning of a string."""
        if self.parts:
            return self.parts[0] if isinstance(self.parts[0], str) else ""
        return self.text or ""

    def texts(self) -> Iterator[str]:
        """Every string constant it can be, and every constant part of it."""
        for const in self.consts or ():
            if isinstance(const, str):
                yield const
            elif isinstance(const, bytes):
                yield const.decode("latin-1")
        for part in self.parts or ():
            if isinstance(part, str):
                yield part

    def replaced(self, **changes: Any) -> "Value":
        fields = {name: getattr(self, name) for name in self.__slots__}
        fields.update(changes)
        return Value(**fields)


UNKNOWN: Final = Value()


def constant(value: Any) -> Value:
    return Value(consts=(value,))


def merge_taints(first: tuple[Taint, ...], second: tuple[Taint, ...]) -> tuple[Taint, ...]:
    if not second or first is second:
        return first
    if not first:
        return second
    merged = {(t.kind, t.source, t.cleared, t.chain): t for t in first}
    for taint in second:
        merged.setdefault((taint.kind, taint.source, taint.cleared, taint.chain), taint)
    # The newest are dropped: which ones depends on the order of the code only.
    return tuple(merged.values())[:TAINTS_LIMIT]


def all_taints(values: Iterable[Value]) -> tuple[Taint, ...]:
    taints: tuple[Taint, ...] = ()
    for value in values:
        taints = merge_taints(taints, value.taints)
    return taints


def _join_constants(a: tuple[Any, ...] | None, b: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
    if a is None or b is None:
        return None
    merged = list(a)
    for const in b:
        if not any(type(const) is type(known) and const == known for known in merged):
            merged.append(const)
    return tuple(merged) if len(merged) <= CONSTANTS_LIMIT else None


def join(a: Value, b: Value) -> Value:
    """What is known of a value that is one or the other."""
    if a is b:
        return a
    return Value(
        consts=_join_constants(a.consts, b.consts),
        taints=merge_taints(a.taints, b.taints),
        name=a.name or b.name,
        refs=a.refs if a.refs == b.refs else tuple(dict.fromkeys(a.refs + b.refs))[:4],
        code=a.code if a.code is not None else b.code,
        parts=a.parts if a.parts == b.parts else None,
        # A test of the joined value is a test of whichever it is.
        guards=a.guards if a.guards == b.guards else tuple(dict.fromkeys(a.guards + b.guards))[:8],
        implies=_join_implied(a.implies, b.implies),
    )


def _join_implied(a: Implied | None, b: Implied | None) -> Implied | None:
    if a is None or b is None:
        return None
    return Implied(a.when_true & b.when_true, a.when_false & b.when_false)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call that the engine has reached, with what it knows about the arguments."""

    name: str
    file: str
    line: int
    end_line: int
    scope: str
    receiver: Value | None
    args: tuple[Value, ...]
    keywords: dict[str, Value]
    facts: Facts
    heap: Any
    has_more: bool = False
    source: Any = None

    @property
    def method(self) -> str:
        return self.name.rpartition(".")[2]

    def argument(self, index: int, keyword: str = "") -> Value | None:
        if keyword and keyword in self.keywords:
            return self.keywords[keyword]
        return self.args[index] if 0 <= index < len(self.args) else None

    def every(self) -> tuple[Value, ...]:
        return (*self.args, *self.keywords.values())

    def taints(self, value: Value) -> tuple[Taint, ...]:
        """Of the value and of everything that it holds."""
        taints: tuple[Taint, ...] = self.heap.taints(value)
        return taints

    def live(self, value: Value, sink: str, sources: frozenset[str]) -> tuple[Taint, ...]:
        return tuple(
            taint
            for taint in self.taints(value)
            if taint.kind in sources and taint.is_live(sink, self.facts)
        )

    def elements(self, value: Value) -> tuple[Value, ...] | None:
        """The elements of a sequence, when all of them are known."""
        known: tuple[Value, ...] | None = self.heap.elements(value)
        return known
