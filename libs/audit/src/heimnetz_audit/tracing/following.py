"""The walk through a program: which functions it enters, with what, and what it answers."""

import ast
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from heimnetz_audit.model.code import ClassCode, FunctionCode, PythonModule
from heimnetz_audit.model.findings import Unknown
from heimnetz_audit.model.values import Call, Value
from heimnetz_audit.tracing import entering
from heimnetz_audit.tracing.calling import instantiate, walk_function
from heimnetz_audit.tracing.engine import CALL_DEPTHS, BudgetSpent, Engine, Frame, Program
from heimnetz_audit.tracing.evaluating import EXPRESSIONS
from heimnetz_audit.tracing.executing import STATEMENTS
from heimnetz_audit.tracing.heap import State
from heimnetz_audit.tracing.scripts import walking

#: Steps that one module may take in all; what is left over is reported.
MODULE_STEPS: Final = 1_500_000
MODULES_HELD: Final = 200


@dataclass(slots=True)
class Walk:
    """One walk through the modules of a package; `observe` hears of every call it reaches."""

    program: Program
    observe: Callable[[Call], None]
    libraries: frozenset[str] = frozenset()
    #: `module:function`, as the manifest of the package has it.
    entry_point: str = ""
    unknowns: list[Unknown] = field(default_factory=list)
    _frames: dict[str, Frame] = field(default_factory=dict)
    _entered: set[tuple[int, tuple[str, ...]]] = field(default_factory=set)
    _was_whole: bool = True
    _engine: Engine = field(init=False)

    def __post_init__(self) -> None:
        self._engine = Engine(
            self.program,
            {**EXPRESSIONS, **walking.EXPRESSIONS},
            {**STATEMENTS, **walking.STATEMENTS},
            self.observe,
            self.libraries,
            self._load,
            walking.apply,
        )

    def forget(self, paths: Iterable[str]) -> None:
        """Lets go of modules whose trees are no longer held."""
        for path in paths:
            self._frames.pop(path, None)

    def module(self, module: PythonModule) -> None:
        """Walks the body of a module and then every function that nobody entered yet."""
        engine = self._engine
        engine.walked = set()
        self._entered.clear()
        engine.frames = []
        self._narrow(module)
        first = len(engine.defined)
        self._frames.pop(module.path, None)
        self._load(engine, module)
        self._mark_entry_point(module)
        done = first
        spent = 0
        while done < len(engine.defined):
            code, decorators = engine.defined[done]
            done += 1
            if code.module is not module:
                continue
            if spent > MODULE_STEPS:
                self._report(module, "too much code for one audit")
                break
            self._enter(code, decorators)
            spent += engine.steps
        engine.defined.clear()

    def _narrow(self, module: PythonModule) -> None:
        """Frames of a walk that saw less are no frames for another one."""
        is_whole = self.program.narrow(module)
        if not (is_whole and self._was_whole):
            self._frames.clear()
            self._engine.base.clear()
        self._was_whole = is_whole
        if not is_whole:
            self._report(module, "it reaches more scripts than one audit follows")

    def _mark_entry_point(self, module: PythonModule) -> None:
        """The platform calls it, whatever the package does; it may come from another module."""
        paths, function = entering.entry_paths(self.entry_point)
        if module.path not in paths:
            return
        frame = self._frames[module.path]
        value = frame.env.get(function)
        if module.language == "javascript":
            value = walking.exported(self._engine, frame, function or "default")
        found = [value.code] if value is not None and isinstance(value.code, FunctionCode) else []
        # Under a decorator that is not understood it is still the one that is written there.
        found += [
            code
            for code, _ in self._engine.defined
            if code.module is module and code.qualified == function and code not in found
        ]
        for code in found:
            code.decorators = (*code.decorators, entering.ENTRY_POINT)
            if code.module is not module:
                self._enter(code, [])

    def _enter(self, code: FunctionCode, decorators: list[ast.expr]) -> None:
        engine = self._engine
        key = (id(code.node), code.decorators)
        if id(code.node) in engine.walked and (
            key in self._entered or not entering.is_entry(code, decorators)
        ):
            return
        self._entered.add(key)
        for depth in CALL_DEPTHS:
            engine.depth = depth
            self._reset()
            try:
                self._walk_entry(code, decorators)
            except BudgetSpent:
                continue
            except RecursionError:
                self._report(code.module, f"{code.qualified} is nested too deeply")
            finally:
                engine.frames = []
            return
        self._report(code.module, f"{code.qualified} is too tangled to be followed")

    def _reset(self) -> None:
        self._engine.steps = 0
        self._engine.walks = {}
        self._engine.results = {}

    def _walk_entry(self, code: FunctionCode, decorators: list[ast.expr]) -> None:
        engine = self._engine
        closure = code.closure if isinstance(code.closure, Frame) else None
        frame = Frame(code.module, code, closure)
        engine.frames = [Frame(code.module, None, None)]
        state = State({}, engine.heap(), code.facts)
        self._bind_self(state, code)
        state.env.update(entering.parameters(engine, state, code, decorators))
        value, end = walk_function(engine, state, frame)
        if end is not None:
            entering.observe_result(engine, end, code, decorators, value, frame)
        # What it made may be kept, and its frame with that; the ways out of it need not be.
        frame.returns = []

    def _bind_self(self, state: State, code: FunctionCode) -> None:
        """A method is entered on an object that its class made from what is not known."""
        arguments = code.node.args
        positional = [*arguments.posonlyargs, *arguments.args]
        if code.cls is None or not positional or "staticmethod" in code.decorators:
            return
        engine = self._engine
        name = positional[0].arg
        if "classmethod" in code.decorators:
            state.env[name] = Value(code=code.cls)
            return
        if getattr(code.node, "name", "") == "__init__" or not isinstance(code.cls, ClassCode):
            state.env[name] = instantiate_blank(engine, state, code.cls)
            return
        before, engine.steps = engine.steps, 0
        observe, engine.observe = engine.observe, _ignore
        walked = set(engine.walked)
        try:
            made = instantiate(engine, state, code.cls, (), {}, code.node)
        except (BudgetSpent, RecursionError):
            made = instantiate_blank(engine, state, code.cls)
            engine.frames = [Frame(code.module, None, None)]
        finally:
            engine.observe, engine.steps, engine.walked = observe, before, walked
        state.env[name] = made
        code.receiver = made

    def _load(self, engine: Engine, module: PythonModule) -> Frame:
        """The frame of a module, walked on first use; a circle sees what is there so far."""
        known = self._frames.get(module.path)
        if known is not None:
            return known
        frame = Frame(module, None, None)
        self._frames[module.path] = frame
        outer = engine.frames, engine.steps, engine.depth, engine.walks, engine.results
        engine.frames = [frame]
        try:
            self._walk_body(frame)
        except RecursionError:
            self._report(module, "its top level is nested too deeply")
        finally:
            engine.frames, engine.steps, engine.depth, engine.walks, engine.results = outer
        return frame

    def _walk_body(self, frame: Frame) -> None:
        engine = self._engine
        for depth in CALL_DEPTHS[1:]:
            engine.depth = depth
            self._reset()
            state = State(frame.env, engine.heap())
            state.env["__name__"] = Value(name="__name__")
            try:
                end = engine.execute(state, frame.module.tree.body)
            except BudgetSpent:
                engine.frames = [frame]
                continue
            last = end if end is not None else state
            engine.base.update(last.heap.objects)
            frame.env = last.env
            return
        self._report(frame.module, "its top level is too tangled to be followed")

    def _report(self, module: PythonModule, why: str) -> None:
        unknown = Unknown(module.path, "tracing", why)
        if unknown not in self.unknowns:
            self.unknowns.append(unknown)


def instantiate_blank(engine: Engine, state: State, cls: ClassCode) -> Value:
    from heimnetz_audit.tracing.heap import Object

    bases = cls.library_bases()
    name = f"{bases[0]}()" if bases else None
    return engine.allocate(state, Object("instance", cls=cls), name=name)


def _ignore(_call: Call) -> None:
    return None
