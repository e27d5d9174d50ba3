"""The state of one walk through a program, and the two doors that all of it goes through."""

import ast
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Protocol

from heimnetz_audit.model.code import FunctionCode, PythonModule
from heimnetz_audit.model.findings import Step
from heimnetz_audit.model.values import (
    CHAIN_LIMIT,
    UNKNOWN,
    Call,
    Guard,
    Taint,
    Trail,
    Value,
    all_taints,
)
from heimnetz_audit.tracing.heap import Heap, Object, State

#: Steps of the walk that one entry (a function, or the body of a module) may take.
ENTRY_STEPS: Final = 30_000
#: How deep calls are followed; when the steps do not suffice, the next number is tried.
CALL_DEPTHS: Final = (7, 2, 0)
#: How often one entry walks into the same function, with and without data from outside.
WALKS: Final = 12
CLEAN_WALKS: Final = 2


class BudgetSpent(Exception):
    """The code is too tangled to be followed within bounds."""


class Frame:
    """One function that is being walked, or the body of a module."""

    __slots__ = (
        "breaks", "code", "continues", "env", "globals", "module", "parent", "returns", "yields",
    )  # fmt: skip

    def __init__(
        self, module: PythonModule, code: FunctionCode | None, parent: "Frame | None"
    ) -> None:
        self.module = module
        self.code = code
        self.parent = parent
        self.env: dict[str, Value] = {}
        self.returns: list[tuple[Value, State]] = []
        self.breaks: list[State] = []
        self.continues: list[State] = []
        self.globals: set[str] = set()
        self.yields: list[Value] = []

    @property
    def scope(self) -> str:
        return self.code.qualified if self.code is not None else ""


class Program(Protocol):
    """The modules of the package, by dotted name as an import sees it."""

    def find(self, dotted: str) -> PythonModule | None: ...

    def resolve(self, path: str, spec: str) -> PythonModule | None:
        """The script that `require(spec)` in the script `path` means."""

    def narrow(self, module: PythonModule) -> bool:
        """Called before a module is walked; False when it reaches more than is followed."""


Observer = Callable[[Call], None]
Evaluation = Callable[["Engine", State, Any], Value]
Execution = Callable[["Engine", State, Any], State | None]


class Engine:
    """Holds what a walk needs; the tables say how each kind of node is walked."""

    def __init__(
        self,
        program: Program,
        expressions: Mapping[type[ast.AST], Evaluation],
        statements: Mapping[type[ast.AST], Execution],
        observe: Observer,
        libraries: frozenset[str],
        load: Callable[["Engine", PythonModule], Frame],
        apply: Callable[["Engine", State, Value, tuple[Value, ...], ast.AST], Value],
    ) -> None:
        self.program = program
        self.expressions = expressions
        self.statements = statements
        self.observe = observe
        self.libraries = libraries
        self.base: dict[int, Object] = {}
        self.frames: list[Frame] = []
        self.steps = 0
        self.number = 0
        self.walked: set[int] = set()
        self.depth = CALL_DEPTHS[0]
        #: Of the current entry: how often each function was walked, and what it gave without
        #: data from outside.
        self.walks: dict[tuple[int, bool], int] = {}
        self.results: dict[int, Value] = {}
        #: Functions whose definition was reached, with their decorators.
        self.defined: list[tuple[FunctionCode, list[ast.expr]]] = []
        self._load = load
        self._apply = apply

    @property
    def frame(self) -> Frame:
        return self.frames[-1]

    def load(self, module: PythonModule) -> Frame:
        return self._load(self, module)

    def apply(self, state: State, callee: Value, args: tuple[Value, ...], node: ast.AST) -> Value:
        """The value of a call of something that was passed around."""
        return self._apply(self, state, callee, args, node)

    def is_library(self, dotted: str) -> bool:
        """Whether a name belongs to a library, whatever the package itself is called."""
        root = dotted.partition(".")[0]
        return root in sys.stdlib_module_names or root in self.libraries

    def observe_store(
        self, state: State, node: ast.expr, owner: Value, key: Value, value: Value
    ) -> None:
        """`owner[key] = value` is put to the checks as a call of `owner.__setitem__`."""
        if owner.name is None:
            return
        method = "__setitem__" if isinstance(node, ast.Subscript) else "__setattr__"
        self.observe(
            Call(
                name=f"{owner.name}.{method}",
                file=self.frame.module.path,
                line=node.lineno,
                end_line=node.end_lineno or node.lineno,
                scope=self.frame.scope,
                receiver=owner,
                args=(key, value),
                keywords={},
                facts=state.facts,
                heap=state.heap,
            )
        )

    def fresh(self) -> int:
        self.number += 1
        return self.number

    def evaluate(self, state: State, node: ast.AST | None) -> Value:
        if node is None:
            return UNKNOWN
        self.steps += 1
        if self.steps > ENTRY_STEPS:
            raise BudgetSpent
        walk = self.expressions.get(type(node))
        return walk(self, state, node) if walk is not None else UNKNOWN

    def execute(self, state: State, body: Iterable[ast.stmt]) -> State | None:
        """Walks statements; None when no way leads past them."""
        current: State | None = state
        frame = self.frames[-1]
        for node in body:
            if current is None:
                return None
            self.steps += 1
            if self.steps > ENTRY_STEPS:
                raise BudgetSpent
            frame.env = current.env
            walk = self.statements.get(type(node))
            if walk is not None:
                current = walk(self, current, node)
        if current is not None:
            frame.env = current.env
        return current

    def allocate(self, state: State, item: Object, **fields: Any) -> Value:
        """A new object on the heap, and the value that refers to it."""
        ref = self.fresh()
        state.heap.put(ref, item)
        return Value(refs=(ref,), **fields)

    def heap(self) -> Heap:
        return Heap({}, self.base)

    def step(self, node: Any) -> Step:
        return self.frames[-1].module.step(getattr(node, "lineno", 1))

    def source(self, kind: str, node: ast.AST, cleared: frozenset[str] = frozenset()) -> Value:
        """A value that comes from outside."""
        number = self.fresh()
        step = self.step(node)
        taint = Taint(kind, step, (number,), cleared, Trail(step, None))
        return Value(taints=(taint,), guards=((number, ""),))

    def derived(
        self,
        node: ast.AST | None,
        taints: tuple[Taint, ...],
        *,
        cleared: frozenset[str] = frozenset(),
        guards: tuple[Guard, ...] = (),
        **fields: Any,
    ) -> Value:
        """A value computed from tainted ones; a test of it is a test of this value only."""
        if not taints:
            return Value(**fields)
        number = self.fresh()
        step = self.step(node) if node is not None else None
        derived = tuple(_lengthen(taint, number, step, cleared) for taint in taints)
        return Value(taints=derived, guards=((number, ""), *guards), **fields)

    def recoded(self, node: ast.AST, taints: tuple[Taint, ...], **fields: Any) -> Value:
        """A value that is another text than what it was made from: what was proven is void."""
        if not taints:
            return Value(**fields)
        number = self.fresh()
        step = self.step(node)
        fresh = tuple(
            taint._replace(chain=(number,), cleared=frozenset(), trail=_onward(taint.trail, step))
            for taint in taints
        )
        return Value(taints=fresh, guards=((number, ""),), **fields)

    def mixed(self, node: ast.AST, values: Iterable[Value], **fields: Any) -> Value:
        return self.derived(node, all_taints(values), **fields)


def _onward(trail: Trail, step: Step | None) -> Trail:
    return trail if step is None or trail.step == step else Trail(step, trail)


def _lengthen(taint: Taint, number: int, step: Step | None, cleared: frozenset[str]) -> Taint:
    chain = (*taint.chain, number)
    if len(chain) > CHAIN_LIMIT:
        chain = (chain[0], *chain[-CHAIN_LIMIT + 1 :])
    return Taint(
        taint.kind,
        taint.source,
        chain,
        taint.cleared | cleared if cleared else taint.cleared,
        _onward(taint.trail, step),
    )
