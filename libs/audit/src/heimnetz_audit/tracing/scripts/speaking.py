"""A call in the words that models and checks know, and where it stands."""

import ast
from collections.abc import Callable
from dataclasses import dataclass, field

from heimnetz_audit.model.values import Value
from heimnetz_audit.tracing.engine import Engine
from heimnetz_audit.tracing.heap import Object, State


@dataclass(frozen=True, slots=True)
class Spoken:
    """A call under the name that models and checks know."""

    name: str
    args: tuple[Value, ...]
    keywords: dict[str, Value] = field(default_factory=dict)
    receiver: Value | None = None

    @property
    def method(self) -> str:
        return self.name.rpartition(".")[2]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a call stands."""

    engine: Engine
    state: State
    node: ast.AST

    def option(self, value: Value, *names: str) -> Value | None:
        """A member of an object that is known."""
        for ref in value.refs:
            item = self.state.heap.get(ref)
            for name in names:
                found = (item.items.get(name) or item.attrs.get(name)) if item is not None else None
                if found is not None:
                    return found
        return None

    def is_object(self, value: Value) -> bool:
        item = self.state.heap.of(value)
        return item is not None and item.kind in ("dict", "instance")

    def sequence(self, *values: Value) -> Value:
        return self.engine.allocate(self.state, Object("list", seq=values))


Translation = Callable[[Place, Spoken], list[Spoken]]
