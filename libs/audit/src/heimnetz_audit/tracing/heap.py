"""Containers and instances: what is stored where, kept apart for every way through the code."""

from collections.abc import Iterable
from typing import Any, Final

from heimnetz_audit.model.values import (
    NO_FACTS,
    UNKNOWN,
    Facts,
    Implied,
    Taint,
    Value,
    join,
    merge_taints,
)

DEPTH_LIMIT: Final = 5
#: Of a longer sequence it is only known what it may hold.
SEQUENCE_LIMIT: Final = 512


class Object:
    """One container or instance; never changed in place, so that ways can share it.

    `seq` are the elements of a sequence whose length is known; `items` the values under known
    keys; `rest` stands for everything that was stored at a place that is not known.
    """

    __slots__ = ("attrs", "cls", "items", "kind", "rest", "seq")

    def __init__(
        self,
        kind: str,
        *,
        seq: tuple[Value, ...] | None = None,
        items: dict[Any, Value] | None = None,
        rest: Value | None = None,
        attrs: dict[str, Value] | None = None,
        cls: Any = None,
    ) -> None:
        self.kind = kind
        if seq is not None and len(seq) > SEQUENCE_LIMIT:
            for each in seq:
                rest = each if rest is None else join(rest, each)
            seq = None
        self.seq = seq
        self.items = items if items is not None else {}
        self.rest = rest
        self.attrs = attrs if attrs is not None else {}
        self.cls = cls

    def changed(self, **changes: Any) -> "Object":
        fields = {
            "seq": self.seq,
            "items": self.items,
            "rest": self.rest,
            "attrs": self.attrs,
            "cls": self.cls,
        }
        fields.update(changes)
        return Object(self.kind, **fields)

    def values(self) -> Iterable[Value]:
        if self.seq is not None:
            yield from self.seq
        yield from self.items.values()
        yield from self.attrs.values()
        if self.rest is not None:
            yield self.rest


class Heap:
    """Objects by number; `base` holds those of modules, which every way can see."""

    __slots__ = ("base", "objects")

    def __init__(self, objects: dict[int, Object], base: dict[int, Object]) -> None:
        self.objects = objects
        self.base = base

    def fork(self) -> "Heap":
        return Heap(dict(self.objects), self.base)

    def get(self, ref: int) -> Object | None:
        found = self.objects.get(ref)
        return found if found is not None else self.base.get(ref)

    def of(self, value: Value) -> Object | None:
        """The one object that a value refers to."""
        return self.get(value.refs[0]) if len(value.refs) == 1 else None

    def put(self, ref: int, item: Object) -> None:
        self.objects[ref] = item

    def taints(self, value: Value) -> tuple[Taint, ...]:
        if not value.refs and value.parts is None:
            return value.taints
        return self._collect(value, set(), DEPTH_LIMIT)

    def _collect(self, value: Value, seen: set[int], depth: int) -> tuple[Taint, ...]:
        taints = value.taints
        if depth == 0:
            return taints
        for ref in value.refs:
            item = self.get(ref)
            if item is None or ref in seen:
                continue
            seen.add(ref)
            for inner in item.values():
                taints = merge_taints(taints, self._collect(inner, seen, depth - 1))
        return taints

    def elements(self, value: Value) -> tuple[Value, ...] | None:
        item = self.of(value)
        if item is not None and item.seq is not None:
            return item.seq
        const = value.const
        if isinstance(const, tuple):
            return tuple(Value(consts=(each,)) for each in const)
        return None

    def content(self, value: Value) -> Value:
        """Any element of a container, joined."""
        found: Value | None = None
        for ref in value.refs:
            item = self.get(ref)
            if item is None:
                continue
            inner = [*(item.seq or ()), *item.items.values()]
            if item.rest is not None:
                inner.append(item.rest)
            for each in inner:
                found = each if found is None else join(found, each)
        if found is None:
            return Value(taints=value.taints) if value.taints else UNKNOWN
        return found.replaced(taints=merge_taints(found.taints, value.taints))


def join_objects(a: Object, b: Object) -> Object:
    if a is b:
        return a
    seq: tuple[Value, ...] | None = None
    rest = a.rest if b.rest is None else b.rest if a.rest is None else join(a.rest, b.rest)
    if a.seq is not None and b.seq is not None and len(a.seq) == len(b.seq):
        seq = tuple(join(x, y) for x, y in zip(a.seq, b.seq, strict=True))
    else:
        for each in [*(a.seq or ()), *(b.seq or ())]:
            rest = each if rest is None else join(rest, each)
    return Object(
        a.kind,
        seq=seq,
        items=_join_named(a.items, b.items),
        rest=rest,
        attrs=_join_named(a.attrs, b.attrs),
        cls=a.cls if a.cls is not None else b.cls,
    )


def _join_named(a: dict[Any, Value], b: dict[Any, Value]) -> dict[Any, Value]:
    if a is b:
        return a
    merged = dict(a)
    for name, value in b.items():
        known = merged.get(name)
        merged[name] = value if known is None else join(known, value)
    return merged


class State:
    """What holds at one point on one way through a function."""

    __slots__ = ("env", "facts", "heap")

    def __init__(self, env: dict[str, Value], heap: Heap, facts: Facts = NO_FACTS) -> None:
        self.env = env
        self.heap = heap
        self.facts = facts

    def fork(self) -> "State":
        return State(dict(self.env), self.heap.fork(), self.facts)

    def adopt(self, other: "State") -> None:
        self.env = other.env
        self.heap = other.heap
        self.facts = other.facts


def join_states(states: list[State]) -> State | None:
    if not states:
        return None
    merged = states[0]
    for state in states[1:]:
        merged = _join_two(merged, state)
    return merged


def _join_two(a: State, b: State) -> State:
    if a is b:
        return a
    env: dict[str, Value] = {}
    for name, value in a.env.items():
        other = b.env.get(name)
        if other is None or other is value:
            env[name] = value
        else:
            env[name] = _join_flag(value, other, a, b)
    for name, value in b.env.items():
        if name not in env:
            env[name] = value
    objects = dict(a.heap.objects)
    for ref, item in b.heap.objects.items():
        known = objects.get(ref)
        if known is not item:
            objects[ref] = item if known is None else join_objects(known, item)
    return State(env, Heap(objects, a.heap.base), a.facts & b.facts)


def settled(value: Value, facts: Facts) -> Value:
    """What was proven on one way is kept with the value, because the ways meet again."""
    if not value.taints or not facts:
        return value
    taints = []
    for taint in value.taints:
        kinds = {kind for number, kind in facts if number in taint.chain}
        taints.append(taint._replace(cleared=taint.cleared | kinds) if kinds else taint)
    return value.replaced(taints=tuple(taints))


def _join_flag(value: Value, other: Value, a: State, b: State) -> Value:
    """Joins a variable; a flag remembers what was proven on the way where it was set."""
    if value is other:
        return value
    joined = join(settled(value, a.facts - b.facts), settled(other, b.facts - a.facts))
    if isinstance(value.const, bool) and isinstance(other.const, bool):
        if value.const and not other.const:
            joined.implies = Implied(a.facts, b.facts)
        elif other.const and not value.const:
            joined.implies = Implied(b.facts, a.facts)
    return joined
