"""What statements do to a state."""

import ast
from collections.abc import Mapping
from typing import Any, Final

from heimnetz_audit.model.code import ClassCode, FunctionCode, ModuleCode, absolute
from heimnetz_audit.model.values import NO_FACTS, Facts, Trail, Value, join
from heimnetz_audit.tracing import folding, guarding, indexing, matching
from heimnetz_audit.tracing.engine import Engine, Execution
from heimnetz_audit.tracing.heap import Object, State, join_states
from heimnetz_audit.tracing.naming import canonical, iterate, library

#: A loop over so few known elements is walked once for each of them.
UNROLL_LIMIT: Final = 6


def assign(engine: Engine, state: State, target: ast.expr, value: Value) -> None:
    if isinstance(target, ast.Name):
        if engine.frame.globals and target.id in engine.frame.globals:
            frame = engine.load(engine.frame.module)
            known = frame.env.get(target.id)
            frame.env[target.id] = value if known is None else join(known, value)
        else:
            state.env[target.id] = value
    elif isinstance(target, ast.Tuple | ast.List):
        _unpack(engine, state, target, value)
    elif isinstance(target, ast.Starred):
        content = state.heap.content(value)
        assign(engine, state, target.value, engine.allocate(state, Object("list", rest=content)))
    elif isinstance(target, ast.Subscript):
        container = engine.evaluate(state, target.value)
        key = engine.evaluate(state, target.slice)
        engine.observe_store(state, target, container, key, value)
        indexing.store(engine, state, container, key, value)
    elif isinstance(target, ast.Attribute):
        owner = engine.evaluate(state, target.value)
        engine.observe_store(state, target, owner, Value(consts=(target.attr,)), value)
        _store_attribute(state, owner, target.attr, value)


def _store_attribute(state: State, owner: Value, name: str, value: Value) -> None:
    is_certain = len(owner.refs) == 1
    for ref in owner.refs:
        item = state.heap.get(ref)
        if item is not None:
            known = item.attrs.get(name)
            kept = value if is_certain or known is None else join(known, value)
            state.heap.put(ref, item.changed(attrs={**item.attrs, name: kept}))


def _unpack(engine: Engine, state: State, target: ast.Tuple | ast.List, value: Value) -> None:
    elements = state.heap.elements(value)
    if elements is not None and len(elements) == len(target.elts):
        for inner, each in zip(target.elts, elements, strict=True):
            assign(engine, state, inner, each)
        return
    content = iterate(engine, state, value, target)
    if value.refs and content.consts is not None:
        content = content.replaced(consts=None)
    for inner in target.elts:
        assign(engine, state, inner, content)


def marked(engine: Engine, value: Value, node: ast.AST) -> Value:
    """Adds the line of an assignment to the way of a value, without making it another value."""
    if not value.taints:
        return value
    step = engine.step(node)
    taints = tuple(
        t if t.trail.step == step else t._replace(trail=Trail(step, t.trail)) for t in value.taints
    )
    return value.replaced(taints=taints)


def _assign(engine: Engine, state: State, node: ast.Assign) -> State | None:
    value = marked(engine, engine.evaluate(state, node.value), node)
    for target in node.targets:
        assign(engine, state, target, value)
    return state


def _assign_annotated(engine: Engine, state: State, node: ast.AnnAssign) -> State | None:
    if node.value is not None:
        assign(engine, state, node.target, marked(engine, engine.evaluate(state, node.value), node))
    return state


def _assign_augmented(engine: Engine, state: State, node: ast.AugAssign) -> State | None:
    left = engine.evaluate(state, node.target)
    right = engine.evaluate(state, node.value)
    item, other = state.heap.of(left), state.heap.elements(right)
    if item is not None and isinstance(node.op, ast.Add):
        if item.seq is not None and other is not None:
            state.heap.put(left.refs[0], item.changed(seq=item.seq + other))
        else:
            indexing.extend(state, left, state.heap.content(right))
        return state
    value = folding.binary(engine, node, type(node.op), (left, right), None)
    assign(engine, state, node.target, marked(engine, value, node))
    return state


def _expression(engine: Engine, state: State, node: ast.Expr) -> State | None:
    value = engine.evaluate(state, node.value)
    if value.name is not None and value.name in _NEVER_RETURNS:
        return None
    return state


_NEVER_RETURNS: Final = frozenset(
    {"sys.exit()", "exit()", "quit()", "os._exit()", "os.abort()", "flask.abort()",
     "werkzeug.exceptions.abort()", "bottle.abort()", "sanic.exceptions.abort()"}
)  # fmt: skip


def _if(engine: Engine, state: State, node: ast.If) -> State | None:
    test = engine.evaluate(state, node.test)
    known = guarding.truth(test, state)
    if known is not None:
        guarding.refine(state, test, holds=known)
        return engine.execute(state, node.body if known else node.orelse)
    yes, no = state.fork(), state
    guarding.refine(yes, test, holds=True)
    guarding.refine(no, test, holds=False)
    first = engine.execute(yes, node.body)
    second = engine.execute(no, node.orelse) if node.orelse else no
    return join_states([way for way in (first, second) if way is not None])


def _while(engine: Engine, state: State, node: ast.While) -> State | None:
    outer = engine.frame.breaks, engine.frame.continues
    engine.frame.breaks, engine.frame.continues = [], []
    exits: list[State] = []
    current: State | None = state
    for _ in range(3):
        if current is None:
            break
        test = engine.evaluate(current, node.test)
        known = guarding.truth(test, current)
        if known is not True:
            left = current.fork()
            guarding.refine(left, test, holds=False)
            exits.append(left)
        if known is False:
            break
        guarding.refine(current, test, holds=True)
        current = engine.execute(current, node.body)
        waiting = [*engine.frame.continues, *([current] if current is not None else [])]
        engine.frame.continues = []
        current = join_states(waiting)
    if current is not None:
        exits.append(current)
    return _leave_loop(engine, node, exits, outer)


def _for(engine: Engine, state: State, node: ast.For | ast.AsyncFor) -> State | None:
    iterable = engine.evaluate(state, node.iter)
    outer = engine.frame.breaks, engine.frame.continues
    engine.frame.breaks, engine.frame.continues = [], []
    elements = state.heap.elements(iterable)
    exits: list[State] = []
    if elements is not None and len(elements) <= UNROLL_LIMIT:
        rounds: list[Value] = list(elements)
    else:
        element = iterate(engine, state, iterable, node.iter)
        rounds = [marked(engine, element, node)] * 2
        exits.append(state.fork())
    current: State | None = state
    proven: Facts = NO_FACTS
    for element in rounds:
        if current is None:
            break
        assign(engine, current, node.target, element)
        current = engine.execute(current, node.body)
        waiting = [*engine.frame.continues, *([current] if current is not None else [])]
        engine.frame.continues = []
        current = join_states(waiting)
        if current is not None and exits:
            exits.append(current.fork())
            proven = _about_all(iterable, element, current)
    if current is not None:
        exits.append(current)
    for way in exits:
        way.facts |= proven
    return _leave_loop(engine, node, exits, outer)


def _about_all(iterable: Value, element: Value, state: State) -> Facts:
    """What holds for every element at the end of its round holds for the whole."""
    own = {number for number, _ in element.guards}
    whole = [number for number, scope in iterable.guards if not scope]
    return frozenset((n, kind) for number, kind in state.facts if number in own for n in whole)


def _leave_loop(
    engine: Engine,
    node: ast.For | ast.AsyncFor | ast.While,
    exits: list[State],
    outer: tuple[list[State], list[State]],
) -> State | None:
    breaks = engine.frame.breaks
    engine.frame.breaks, engine.frame.continues = outer
    end = join_states(exits)
    if end is not None and node.orelse:
        end = engine.execute(end, node.orelse)
    return join_states([*breaks, *([end] if end is not None else [])])


def _break(engine: Engine, state: State, _node: ast.Break) -> State | None:
    engine.frame.breaks.append(state)
    return None


def _continue(engine: Engine, state: State, _node: ast.Continue) -> State | None:
    engine.frame.continues.append(state)
    return None


def _return(engine: Engine, state: State, node: ast.Return) -> State | None:
    value = engine.evaluate(state, node.value) if node.value is not None else Value(consts=(None,))
    engine.frame.returns.append((marked(engine, value, node), state))
    return None


def _raise(engine: Engine, state: State, node: ast.Raise) -> State | None:
    engine.evaluate(state, node.exc)
    return None


def _try(engine: Engine, state: State, node: ast.Try | ast.TryStar) -> State | None:
    before = state.fork()
    returned = len(engine.frame.returns)
    end = engine.execute(state, node.body)
    raised = [before, *([end.fork()] if end is not None else [])]
    raised.extend(way.fork() for _, way in engine.frame.returns[returned:])
    if end is not None and node.orelse:
        end = engine.execute(end, node.orelse)
    ends = [end] if end is not None else []
    for handler in node.handlers:
        way = join_states([each.fork() for each in raised])
        if way is None:
            continue
        way.facts = before.facts
        engine.evaluate(way, handler.type)
        if handler.name:
            way.env[handler.name] = Value(name="?error")
        left = engine.execute(way, handler.body)
        if left is not None:
            ends.append(left)
    merged = join_states(ends)
    if not node.finalbody:
        return merged
    if merged is None:
        engine.execute(before, node.finalbody)
        return None
    return engine.execute(merged, node.finalbody)


def _with(engine: Engine, state: State, node: ast.With | ast.AsyncWith) -> State | None:
    for item in node.items:
        value = engine.evaluate(state, item.context_expr)
        if item.optional_vars is not None:
            if any((o := state.heap.get(r)) and o.kind == "generator" for r in value.refs):
                value = state.heap.content(value)
            assign(engine, state, item.optional_vars, value)
    return engine.execute(state, node.body)


def _function(
    engine: Engine, state: State, node: ast.FunctionDef | ast.AsyncFunctionDef
) -> State | None:
    frame = engine.frame
    names = [engine.evaluate(state, decorator) for decorator in node.decorator_list]
    qualified = f"{frame.scope}.{node.name}".lstrip(".")
    code = FunctionCode(
        node,
        frame.module,
        qualified,
        closure=frame,
        decorators=tuple(_decorator(value) for value in names),
    )
    state.env[node.name] = Value(code=code)
    engine.defined.append((code, node.decorator_list))
    return state


def _decorator(value: Value) -> str:
    name = value.name or getattr(value.code, "qualified", "")
    return str(name).removesuffix("()")


def _class(engine: Engine, state: State, node: ast.ClassDef) -> State | None:
    state.env[node.name] = define_class(engine, state, node)
    return state


def define_class(engine: Engine, state: State, node: ast.ClassDef) -> Value:
    frame = engine.frame
    bases = tuple(engine.evaluate(state, base) for base in node.bases)
    for decorator in node.decorator_list:
        engine.evaluate(state, decorator)
    cls = ClassCode(node, frame.module, f"{frame.scope}.{node.name}".lstrip("."), bases)
    inner = State(dict(state.env), state.heap, state.facts)
    before = dict(inner.env)
    first = len(engine.defined)
    engine.execute(inner, node.body)
    frame.env = state.env
    cls.members = {k: v for k, v in inner.env.items() if before.get(k) is not v}
    for code, _ in engine.defined[first:]:
        if any(value.code is code for value in cls.members.values()):
            code.cls = cls
            code.qualified = f"{cls.qualified}.{code.node.name}"  # type: ignore[union-attr]
    return Value(code=cls)


def _import(engine: Engine, state: State, node: ast.Import) -> State | None:
    for alias in node.names:
        bound = alias.name if alias.asname else alias.name.partition(".")[0]
        found = None if engine.is_library(alias.name) else engine.program.find(alias.name)
        if found is not None and not alias.asname:
            _bind_package(engine, state, alias.name)
            continue
        code = ModuleCode(found) if found is not None else None
        state.env[alias.asname or bound] = Value(name=canonical(bound), code=code)
    return state


def _bind_package(engine: Engine, state: State, dotted: str) -> None:
    """`import a.b` binds `a`; its attributes lead to `a.b`."""
    first = dotted.partition(".")[0]
    root = engine.program.find(first)
    if root is not None:
        state.env[first] = Value(name=first, code=ModuleCode(root))
        return
    inner: Value | None = None
    parts = dotted.split(".")
    for depth in range(len(parts), 0, -1):
        module = engine.program.find(".".join(parts[:depth]))
        value = Value(name=".".join(parts[:depth]), code=ModuleCode(module) if module else None)
        if inner is not None and value.code is None:
            known = state.env.get(parts[0]) if depth == 1 else None
            attrs = {parts[depth]: inner}
            old = state.heap.of(known) if known is not None else None
            item = Object("instance", attrs={**(old.attrs if old is not None else {}), **attrs})
            value = engine.allocate(state, item, name=value.name)
        inner = value
    if inner is not None:
        state.env[parts[0]] = inner


def _import_from(engine: Engine, state: State, node: ast.ImportFrom) -> State | None:
    base = absolute(engine.frame.module, node)
    module = None if node.level == 0 and engine.is_library(base) else engine.program.find(base)
    for alias in node.names:
        name = f"{base}.{alias.name}".lstrip(".")
        if alias.name == "*":
            if module is not None:
                state.env.update(engine.load(module).env)
            continue
        value: Value | None = None
        if module is not None:
            value = engine.load(module).env.get(alias.name)
        if value is None and not engine.is_library(name):
            inner = engine.program.find(name)
            value = Value(name=name, code=ModuleCode(inner)) if inner is not None else None
        if value is None:
            value = library(engine, canonical(name), node)
        state.env[alias.asname or alias.name] = value
    return state


def _global(engine: Engine, state: State, node: ast.Global) -> State | None:
    engine.frame.globals.update(node.names)
    return state


def _assert(engine: Engine, state: State, node: ast.Assert) -> State | None:
    # Assertions vanish under `python -O`, so that they guard nothing.
    engine.evaluate(state, node.test)
    return state


def _delete(engine: Engine, state: State, node: ast.Delete) -> State | None:
    for target in node.targets:
        if isinstance(target, ast.Name):
            state.env.pop(target.id, None)
        elif isinstance(target, ast.Subscript):
            container = engine.evaluate(state, target.value)
            key = engine.evaluate(state, target.slice).const
            item = state.heap.of(container)
            if item is not None and isinstance(key, int) and item.seq is not None:
                seq = list(item.seq)
                if -len(seq) <= key < len(seq):
                    del seq[key]
                    state.heap.put(container.refs[0], item.changed(seq=tuple(seq)))
            elif item is not None and isinstance(key, str) and key in item.items:
                items = {k: v for k, v in item.items.items() if k != key}
                state.heap.put(container.refs[0], item.changed(items=items))
    return state


def _match(engine: Engine, state: State, node: ast.Match) -> State | None:
    subject = engine.evaluate(state, node.subject)
    ends: list[State] = []
    rest: State | None = state
    for case in node.cases:
        if rest is None:
            break
        inside = rest.fork()
        fits = matching.fits(engine, inside, subject, case.pattern, assign)
        if fits is False:
            continue
        if case.guard is not None:
            test = engine.evaluate(inside, case.guard)
            held = guarding.truth(test, inside)
            guarding.refine(inside, test, holds=True)
            if held is False:
                continue
            fits = fits if held else None
        end = engine.execute(inside, case.body)
        if end is not None:
            ends.append(end)
        rest = None if fits else rest
    if rest is not None:
        ends.append(rest)
    return join_states(ends)


def _same(_engine: Engine, state: State, _node: Any) -> State | None:
    return state


STATEMENTS: Final[Mapping[type[ast.AST], Execution]] = {
    ast.Assign: _assign,
    ast.AnnAssign: _assign_annotated,
    ast.AugAssign: _assign_augmented,
    ast.Expr: _expression,
    ast.If: _if,
    ast.While: _while,
    ast.For: _for,
    ast.AsyncFor: _for,
    ast.Break: _break,
    ast.Continue: _continue,
    ast.Return: _return,
    ast.Raise: _raise,
    ast.Try: _try,
    ast.TryStar: _try,
    ast.With: _with,
    ast.AsyncWith: _with,
    ast.FunctionDef: _function,
    ast.AsyncFunctionDef: _function,
    ast.ClassDef: _class,
    ast.Import: _import,
    ast.ImportFrom: _import_from,
    ast.Global: _global,
    ast.Nonlocal: _same,
    ast.Assert: _assert,
    ast.Delete: _delete,
    ast.Match: _match,
    ast.Pass: _same,
}
