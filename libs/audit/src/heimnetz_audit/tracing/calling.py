"""Calls: into the package's own functions and classes, and out to libraries."""

import ast
from typing import Any, Final

from heimnetz_audit.model.code import ClassCode, FunctionCode
from heimnetz_audit.model.values import NO_FACTS, UNKNOWN, Call, Implied, Value, constant, join
from heimnetz_audit.tracing import modelling
from heimnetz_audit.tracing.engine import CLEAN_WALKS, WALKS, Engine, Frame
from heimnetz_audit.tracing.heap import Object, State, join_states, settled
from heimnetz_audit.tracing.knowledge import is_request
from heimnetz_audit.tracing.naming import attribute, canonical

Arguments = tuple[Value, ...]
Keywords = dict[str, Value]
#: Methods that return their object, by convention or because of what they are for.
WRAPPERS: Final = frozenset({"functools.partial"})


def evaluate_call(engine: Engine, state: State, node: ast.Call) -> Value:
    receiver: Value | None = None
    if isinstance(node.func, ast.Attribute):
        receiver = engine.evaluate(state, node.func.value)
        callee = attribute(engine, state, receiver, node.func.attr, node.func)
    else:
        callee = engine.evaluate(state, node.func)
    args, has_more = arguments_of(engine, state, node)
    keywords: Keywords = {}
    for keyword in node.keywords:
        value = engine.evaluate(state, keyword.value)
        if keyword.arg is not None:
            keywords[keyword.arg] = value
            continue
        item = state.heap.of(value)
        if item is not None and item.kind == "dict" and item.rest is None:
            keywords.update((k, v) for k, v in item.items.items() if isinstance(k, str))
        else:
            has_more = True
            keywords["**"] = Value(taints=state.heap.taints(value))
    name = _name_of(callee, receiver, node)
    if isinstance(receiver, Value) and receiver.name == "super()":
        return call_super(engine, state, node, args, keywords)
    observe(engine, state, node, name, receiver, args, keywords, has_more=has_more)
    return dispatch(engine, state, callee, name, receiver, args, keywords, node)


def arguments_of(engine: Engine, state: State, node: ast.Call) -> tuple[Arguments, bool]:
    args: list[Value] = []
    has_more = False
    for argument in node.args:
        if isinstance(argument, ast.Starred):
            value = engine.evaluate(state, argument.value)
            elements = state.heap.elements(value)
            if elements is not None:
                args.extend(elements)
            else:
                has_more = True
                args.append(state.heap.content(value))
        else:
            args.append(engine.evaluate(state, argument))
    return tuple(args), has_more


def _name_of(callee: Value, receiver: Value | None, node: ast.Call) -> str:
    if callee.name is not None:
        return callee.name
    if receiver is not None and isinstance(node.func, ast.Attribute):
        return canonical(f"{receiver.name or '?'}.{node.func.attr}")
    code = callee.code
    if isinstance(code, FunctionCode | ClassCode):
        return f"<package>.{code.qualified}"
    return "?"


def observe(
    engine: Engine, state: State, node: Any, name: str, receiver: Value | None,
    args: Arguments, keywords: Keywords, *, has_more: bool,
) -> None:  # fmt: skip
    frame = engine.frame
    engine.observe(
        Call(
            name=name,
            file=frame.module.path,
            line=node.lineno,
            end_line=node.end_lineno or node.lineno,
            scope=frame.scope,
            receiver=receiver,
            args=args,
            keywords=keywords,
            facts=state.facts,
            heap=state.heap,
            has_more=has_more,
            source=node,
        )
    )


def observe_plain(
    engine: Engine, state: State, name: str, args: Arguments, node: Any, *,
    receiver: Value | None = None,
) -> None:  # fmt: skip
    """What happens without being written as a call, put to the checks as one."""
    observe(engine, state, node, name, receiver, args, {}, has_more=False)


def dispatch(
    engine: Engine, state: State, callee: Value, name: str, receiver: Value | None,
    args: Arguments, keywords: Keywords, node: ast.AST,
) -> Value:  # fmt: skip
    code = callee.code
    instance = state.heap.of(callee)
    if instance is not None and instance.kind == "partial":
        args = (*(instance.seq or ())[1:], *args)
        keywords = {**instance.items, **keywords}
    if isinstance(code, FunctionCode):
        return call_function(engine, state, code, args, keywords, node)
    if isinstance(code, ClassCode):
        return instantiate(engine, state, code, args, keywords, node)
    if name in WRAPPERS and args:
        item = Object("partial", seq=args, items=dict(keywords))
        return engine.allocate(state, item, code=args[0].code, name=args[0].name)
    if instance is not None and isinstance(instance.cls, ClassCode):
        member = instance.cls.find("__call__")
        if member is not None and isinstance(member.code, FunctionCode):
            return call_function(engine, state, member.code.bound(callee), args, keywords, node)
    if receiver is not None and receiver.name is not None and is_request(receiver.name):
        return engine.derived(node, callee.taints, name=f"{name}()")
    return modelling.result(engine, state, name, receiver, args, keywords, node)


def call_super(
    engine: Engine, state: State, node: ast.Call, args: Arguments, keywords: Keywords,
    method: str = "",
) -> Value:  # fmt: skip
    code = engine.frame.code
    method = method or (node.func.attr if isinstance(node.func, ast.Attribute) else "")
    if code is None or code.cls is None or not method:
        return UNKNOWN
    for base in code.cls.bases:
        if isinstance(base.code, ClassCode):
            member = base.code.find(method)
            if member is not None and isinstance(member.code, FunctionCode):
                bound = member.code.bound(code.receiver)
                return call_function(engine, state, bound, args, keywords, node)
    return UNKNOWN


def instantiate(
    engine: Engine, state: State, cls: ClassCode, args: Arguments, keywords: Keywords, node: ast.AST
) -> Value:
    bases = cls.library_bases()
    name = f"{bases[0]}()" if bases else None
    made = engine.allocate(state, Object("instance", cls=cls), name=name)
    init = cls.find("__init__")
    if init is not None and isinstance(init.code, FunctionCode):
        call_function(engine, state, init.code.bound(made), args, keywords, node)
    else:
        attrs = _fields(cls, args, keywords)
        item = state.heap.of(made)
        if item is not None and attrs:
            state.heap.put(made.refs[0], item.changed(attrs=attrs))
    return made


def _fields(cls: ClassCode, args: Arguments, keywords: Keywords) -> dict[str, Value]:
    """Of a data class: what its annotated names are set to."""
    names = [
        statement.target.id
        for statement in cls.node.body
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)
    ]
    return dict(zip(names, args, strict=False)) | keywords


def call_function(
    engine: Engine, state: State, code: FunctionCode, args: Arguments, keywords: Keywords,
    node: ast.AST,
) -> Value:  # fmt: skip
    """Walks the body of the function with these arguments."""
    depth = sum(frame.code is not None for frame in engine.frames)
    again = sum(frame.code is not None and frame.code.node is code.node for frame in engine.frames)
    every = (*args, *keywords.values(), *([code.receiver] if code.receiver is not None else []))
    taints = modelling.taints_of(state, every)
    if depth > engine.depth or again > 1 or _is_worn(engine, code, is_clean=not taints):
        known = engine.results.get(id(code.node)) if not taints else None
        return known if known is not None else engine.derived(node, taints)
    frame = Frame(code.module, code, code.closure if isinstance(code.closure, Frame) else None)
    bound = (code.receiver, *args) if code.receiver is not None else args
    facts = state.facts | code.facts
    inner = State(bind(engine, state, code, bound, keywords), state.heap, facts)
    value, after = walk_function(engine, inner, frame)
    frame.returns = []
    if after is not None:
        state.heap = after.heap
        state.facts = after.facts
    if not taints and not value.refs:
        seen = engine.results.get(id(code.node))
        engine.results[id(code.node)] = value if seen is None else join(seen, value)
    return value


def _is_worn(engine: Engine, code: FunctionCode, *, is_clean: bool) -> bool:
    """Whether the function was walked often enough in this entry."""
    key = (id(code.node), is_clean)
    engine.walks[key] = engine.walks.get(key, 0) + 1
    return engine.walks[key] > (CLEAN_WALKS if is_clean else WALKS)


def bind(
    engine: Engine, state: State, code: FunctionCode, args: Arguments, keywords: Keywords
) -> dict[str, Value]:
    arguments = code.node.args
    names = [a.arg for a in (*arguments.posonlyargs, *arguments.args)]
    env: dict[str, Value] = dict(zip(names, args, strict=False))
    if arguments.vararg is not None:
        rest = args[len(names) :]
        env[arguments.vararg.arg] = engine.allocate(state, Object("tuple", seq=rest))
    others: Keywords = {}
    allowed = {*names, *(a.arg for a in arguments.kwonlyargs)}
    for name, value in keywords.items():
        if name in allowed:
            env[name] = value
        else:
            others[name] = value
    if arguments.kwarg is not None:
        env[arguments.kwarg.arg] = engine.allocate(state, Object("dict", items=dict(others)))
    for name, default in defaults(arguments).items():
        if name not in env:
            env[name] = engine.evaluate(state, default) if _is_plain(default) else UNKNOWN
    for name in allowed:
        env.setdefault(name, others.get("**", Value(name=f"?{name}")))
    return env


def defaults(arguments: ast.arguments) -> dict[str, ast.expr]:
    positional = [*arguments.posonlyargs, *arguments.args]
    found = {
        argument.arg: default
        for argument, default in zip(
            positional[len(positional) - len(arguments.defaults) :], arguments.defaults, strict=True
        )
    }
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        if default is not None:
            found[argument.arg] = default
    return found


def _is_plain(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant | ast.Tuple | ast.UnaryOp | ast.Name)


def walk_function(engine: Engine, state: State, frame: Frame) -> tuple[Value, State | None]:
    """The joined result of every way out, and what holds after it."""
    assert frame.code is not None
    node = frame.code.node
    frame.env = state.env
    engine.frames.append(frame)
    try:
        if isinstance(node, ast.Lambda):
            return engine.evaluate(state, node.body), state
        engine.walked.add(id(node))
        end = engine.execute(state, node.body)
    finally:
        engine.frames.pop()
    ways = list(frame.returns)
    if frame.yields:
        content = frame.yields[0]
        for each in frame.yields[1:]:
            content = join(content, each)
        final = join_states([*(way[1] for way in ways), *([end] if end is not None else [])])
        final = final or state
        made = engine.allocate(final, Object("generator", rest=content.replaced(consts=None)))
        return made, final
    if end is not None:
        ways.append((constant(None), end))
    if not ways:
        return UNKNOWN, None
    return _join_ways(ways)


def _join_ways(ways: list[tuple[Value, State]]) -> tuple[Value, State | None]:
    value = settled(ways[0][0], ways[0][1].facts)
    for other, state in ways[1:]:
        value = join(value, settled(other, state.facts))
    implies = _implied_by(ways)
    if implies is not None:
        value = value.replaced(implies=implies)
    return value, join_states([state for _, state in ways])


def _implied_by(ways: list[tuple[Value, State]]) -> Implied | None:
    """What a caller may conclude from a true and from a false result."""
    if len(ways) == 1:
        return ways[0][0].implies
    truthy: Any = None
    falsy: Any = None
    for value, state in ways:
        kinds = {bool(const) for const in value.consts} if value.consts else {True, False}
        inner = value.implies or Implied(NO_FACTS, NO_FACTS)
        if True in kinds:
            facts = state.facts | inner.when_true
            truthy = facts if truthy is None else truthy & facts
        if False in kinds:
            facts = state.facts | inner.when_false
            falsy = facts if falsy is None else falsy & facts
    if not truthy and not falsy:
        return None
    return Implied(truthy or NO_FACTS, falsy or NO_FACTS)
