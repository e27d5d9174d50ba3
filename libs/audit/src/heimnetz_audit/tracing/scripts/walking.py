"""How the nodes that only JavaScript has are walked."""

import ast
from collections.abc import Mapping
from typing import Any, Final

from heimnetz_audit.model.code import ClassCode, FunctionCode, ModuleCode
from heimnetz_audit.model.values import ANY, NO_FACTS, UNKNOWN, Implied, Value, constant, join
from heimnetz_audit.scripting import nodes
from heimnetz_audit.tracing import evaluating, executing, guarding, modelling
from heimnetz_audit.tracing.calling import (
    Arguments,
    arguments_of,
    call_function,
    call_super,
    dispatch,
    instantiate,
    observe,
)
from heimnetz_audit.tracing.engine import Engine, Evaluation, Execution, Frame
from heimnetz_audit.tracing.heap import Heap, Object, State
from heimnetz_audit.tracing.scripts import entering, members, methods, models, texts, vocabulary
from heimnetz_audit.tracing.scripts.speaking import Place, Spoken
from heimnetz_audit.tracing.scripts.translating import translate

_NUMBERS: Final = frozenset({"number", "boolean", "undefined", "bigint", "function"})


def _name(engine: Engine, state: State, node: nodes.Name) -> Value:
    return members.lookup(engine, state, node)


def _member(engine: Engine, state: State, node: nodes.Member) -> Value:
    return members.member(engine, state, engine.evaluate(state, node.value), node.attr, node)


def _index(engine: Engine, state: State, node: nodes.Index) -> Value:
    owner = engine.evaluate(state, node.value)
    return members.element(engine, state, owner, engine.evaluate(state, node.slice), node)


def _assign(engine: Engine, state: State, node: nodes.Assign) -> Value:
    value = executing.marked(engine, engine.evaluate(state, node.value), node)
    members.assign(engine, state, node.target, value, declares=node.declares)
    return value


def _function(engine: Engine, state: State, node: nodes.Function) -> Value:
    return Value(code=_code(engine, state, node.function))


def _procedure(engine: Engine, state: State, node: nodes.Procedure) -> State | None:
    state.env[node.name] = Value(code=_code(engine, state, node))
    return state


def _code(engine: Engine, state: State, node: nodes.Procedure) -> FunctionCode:
    frame = engine.frame
    code = FunctionCode(
        node,
        frame.module,
        f"{frame.scope}.{node.name}".lstrip("."),
        closure=frame,
        decorators=node.marks,
        facts=state.facts,
    )
    engine.defined.append((code, []))
    return code


def _class(engine: Engine, state: State, node: nodes.Class) -> Value:
    return executing.define_class(engine, state, node.definition)


def _regex(engine: Engine, state: State, node: nodes.Regex) -> Value:
    items: dict[Any, Value] = {"pattern": constant(node.pattern), "flags": constant(node.flags)}
    return engine.allocate(state, Object("regex", items=items), name="re.compile()")


def _sequence(engine: Engine, state: State, node: nodes.Sequence) -> Value:
    value = UNKNOWN
    for each in node.elts:
        value = engine.evaluate(state, each)
    return value


def _mixture(engine: Engine, state: State, node: nodes.Mixture) -> Value:
    values = [engine.evaluate(state, each) for each in node.elts]
    return engine.mixed(node, values)


def _type_of(engine: Engine, state: State, node: nodes.TypeOf) -> Value:
    value = engine.evaluate(state, node.value)
    if isinstance(value.const, str):
        return constant("string")
    guards = tuple((number, "typeof") for number, scope in value.guards if not scope)
    return Value(name="typeof", guards=guards)


def _keys(engine: Engine, state: State, node: nodes.Keys) -> Value:
    value = engine.evaluate(state, node.value)
    found = models.result(engine, state, "Object.keys", (value,), node)
    return found if found is not None else UNKNOWN


def _compare(engine: Engine, state: State, node: nodes.Compare) -> Value:
    left = engine.evaluate(state, node.left)
    right = engine.evaluate(state, node.comparators[0])
    kind = type(node.ops[0])
    if kind is ast.In:
        return texts.includes(state, left, right)
    for tested, other in ((left, right), (right, left)):
        if tested.name == "typeof" and isinstance(other.const, str):
            facts = guarding.about(tested, ANY, part="typeof")
            holds = Implied(facts if other.const in _NUMBERS else NO_FACTS)
            return Value(implies=holds if kind is ast.Eq else guarding.negated(holds))
        if tested.name == "indexOf()" and isinstance(other.const, int):
            return Value(implies=_found(kind, tested.implies, other.const))
    value = evaluating.compare_two(state, kind, left, right)
    if kind in (ast.Eq, ast.NotEq) and value.consts is None:
        return _differs(kind, value, left, right)
    return value


def _found(kind: type[ast.cmpop], implied: Implied | None, number: int) -> Implied | None:
    """`indexOf(x) === -1` and its like."""
    absent = (kind is ast.Eq and number == -1) or (kind is ast.Lt and number == 0)
    present = (kind is ast.NotEq and number == -1) or (kind in (ast.Gt, ast.GtE) and number <= 0)
    if kind is ast.Gt and number == 0:
        present = False
    return guarding.negated(implied) if absent else implied if present else None


def _differs(kind: type[ast.cmpop], value: Value, left: Value, right: Value) -> Value:
    """`key !== "__proto__"` says what the key is not."""
    for tested, other in ((left, right), (right, left)):
        if tested.guards and isinstance(other.const, str):
            facts = guarding.about(tested, f"@not:{other.const}")
            known = value.implies or Implied()
            if kind is ast.Eq:
                known = Implied(known.when_true, known.when_false | facts)
            else:
                known = Implied(known.when_true | facts, known.when_false)
            return Value(implies=known)
    return value


# --- calls ----------------------------------------------------------------------------------


def _call(engine: Engine, state: State, node: nodes.Call) -> Value:
    receiver, callee = _callee(engine, state, node.func)
    args, has_more = arguments_of(engine, state, node)
    if node.is_tagged and vocabulary.is_safe_tag(callee.name or ""):
        # Such a tag takes values apart from the text around them.
        return UNKNOWN
    if callee.name in ("require", "node:module.createRequire()"):
        return _require(engine, state, args, node)
    if receiver is not None and receiver.name == "?super":
        return call_super(engine, state, node, args, {})
    if callee.name == "?super":
        return call_super(engine, state, node, args, {}, method="__init__")
    if receiver is not None and receiver.code is not None and isinstance(node.func, nodes.Member):
        found = _indirect(engine, state, receiver, node.func.attr, args, node)
        if found is not None:
            return found
    return invoke(engine, state, callee, receiver, args, node, has_more=has_more)


def _callee(engine: Engine, state: State, node: ast.expr) -> tuple[Value | None, Value]:
    if isinstance(node, nodes.Member):
        receiver = engine.evaluate(state, node.value)
        return receiver, members.member(engine, state, receiver, node.attr, node)
    if isinstance(node, nodes.Index):
        receiver = engine.evaluate(state, node.value)
        key = engine.evaluate(state, node.slice)
        return receiver, members.element(engine, state, receiver, key, node)
    return None, engine.evaluate(state, node)


def _indirect(
    engine: Engine, state: State, function: Value, method: str, args: Arguments, node: ast.AST
) -> Value | None:
    """`f.call(this, x)`, `f.apply(this, [x])`, `f.bind(this)`."""
    if method == "bind":
        return function
    if method == "call":
        return engine.apply(state, function, args[1:], node)
    if method == "apply":
        given = state.heap.elements(args[1]) if len(args) > 1 else ()
        if given is None:
            given = (state.heap.content(args[1]),)
        return engine.apply(state, function, given, node)
    return None


def invoke(
    engine: Engine, state: State, callee: Value, receiver: Value | None, args: Arguments,
    node: ast.AST, *, has_more: bool = False,
) -> Value:  # fmt: skip
    """The value of a call, after it was put to the checks."""
    name = _name_of(callee, receiver, node)
    if name == "<resolve>":
        return _resolve(state, callee, args)
    if receiver is not None and name.endswith((".call", ".apply", ".bind")) and args:
        name, receiver, args = _unwrapped(state, name, args)
        if name.endswith(".bind"):
            return Value(name=name.removesuffix(".bind"))
    call = Spoken(name, args, {}, receiver)
    spoken = translate(Place(engine, state, node), call)
    for each in spoken:
        observe(
            engine, state, node, each.name, each.receiver, each.args, each.keywords,
            has_more=has_more,
        )  # fmt: skip
    if isinstance(callee.code, FunctionCode | ClassCode):
        return dispatch(engine, state, callee, name, receiver, args, {}, node)
    return _from_outside(engine, state, call, spoken[0], node)


def _unwrapped(state: State, name: str, args: Arguments) -> tuple[str, Value | None, Arguments]:
    """`cp.exec.call(null, x)` is `cp.exec(x)`."""
    owner, _, method = name.rpartition(".")
    if method == "bind":
        return name, None, args
    if method == "call":
        return owner, args[0] if owner.count(".prototype.") else None, args[1:]
    given = state.heap.elements(args[1]) if len(args) > 1 else ()
    return owner, None, given if given is not None else (state.heap.content(args[1]),)


def _name_of(callee: Value, receiver: Value | None, node: Any) -> str:
    if callee.name is not None:
        return callee.name
    code = callee.code
    if isinstance(code, FunctionCode | ClassCode):
        return f"<package>.{code.qualified}"
    function = getattr(node, "func", None)
    if receiver is not None and isinstance(function, nodes.Member):
        return vocabulary.canonical(f"{receiver.name or '?'}.{function.attr}")
    return "?"


def _from_outside(
    engine: Engine, state: State, call: Spoken, spoken: Spoken, node: ast.AST
) -> Value:
    receiver, args = call.receiver, call.args
    handled = entering.handle(engine, state, call.name, args, node)
    if handled is not None:
        return handled
    if receiver is not None and not vocabulary.is_library(receiver.name or ""):
        found = methods.call(engine, state, receiver, call.method, args, node)
        if found is not None:
            return found
    found = models.result(engine, state, spoken.name, args, node)
    if found is None and spoken is not call:
        found = models.result(engine, state, call.name, args, node)
    if found is not None:
        return found
    name = spoken.name
    method = methods.SPELLING.get(spoken.method)
    if method is not None and receiver is not None:
        name = f"{name.rpartition('.')[0]}.{method}"
    plain = tuple(each for each in spoken.args if each.code is None)
    if spoken.receiver is not None and _is_relative_test(spoken):
        return _relative_test(spoken)
    value = modelling.result(engine, state, name, spoken.receiver, plain, spoken.keywords, node)
    _call_back(engine, state, args, value, node)
    return value


def _is_relative_test(call: Spoken) -> bool:
    return call.method == "startsWith" and any(
        scope == "relative" for _, scope in (call.receiver or UNKNOWN).guards
    )


def _relative_test(call: Spoken) -> Value:
    """`path.relative(root, path).startsWith("..")`."""
    facts = guarding.about(call.receiver or UNKNOWN, "path", part="relative")
    begins = call.args[0].prefix if call.args else ""
    return Value(implies=Implied(NO_FACTS, facts if begins[:2] == ".." else NO_FACTS))


def _call_back(engine: Engine, state: State, args: Arguments, value: Value, node: ast.AST) -> None:
    """A function that is handed to a library is called with what the library found."""
    for each in args:
        code = each.code
        if not isinstance(code, FunctionCode) or not isinstance(code.node, nodes.Procedure):
            continue
        names = [argument.arg for argument in code.node.args.args]
        brought = value.replaced(consts=None, parts=None)
        given = [brought] * len(names)
        if len(names) > 1 and names[0].lstrip("_").startswith(("e", "E")):
            given[0] = Value(name="?error")
        call_function(engine, state, code, tuple(given), {}, node)


def _require(engine: Engine, state: State, args: Arguments, node: ast.AST) -> Value:
    spec = args[0].text if args else None
    observe(engine, state, node, "__import__", None, args, {}, has_more=False)
    if spec is None:
        return Value(name="?module")
    module = engine.program.resolve(engine.frame.module.path, spec)
    if module is None:
        return Value(name=vocabulary.canonical(vocabulary.required(spec)))
    frame = engine.load(module)
    holder = frame.env.get("module")
    item = state.heap.of(holder) if holder is not None else None
    found = item.items.get("exports") if item is not None else None
    return found if found is not None else Value(code=ModuleCode(module, frame))


def _new(engine: Engine, state: State, node: nodes.New) -> Value:
    _, callee = _callee(engine, state, node.func)
    args, has_more = arguments_of(engine, state, node)
    if isinstance(callee.code, ClassCode):
        return instantiate(engine, state, callee.code, args, {}, node)
    if callee.name == "Promise" and args:
        return _promise(engine, state, args[0], node)
    value = invoke(engine, state, callee, None, args, node, has_more=has_more)
    if isinstance(callee.code, FunctionCode):
        return engine.derived(node, modelling.taints_of(state, args)) if not value.refs else value
    return value


def _promise(engine: Engine, state: State, work: Value, node: ast.AST) -> Value:
    """A promise is worth what it is resolved with."""
    made = engine.allocate(state, Object("promise"), name="<resolve>")
    engine.apply(state, work, (made, Value(name="<reject>")), node)
    item = state.heap.of(made)
    return item.rest if item is not None and item.rest is not None else UNKNOWN


def _resolve(state: State, promise: Value, args: Arguments) -> Value:
    item = state.heap.of(promise)
    if item is not None and args:
        rest = args[0] if item.rest is None else join(item.rest, args[0])
        state.heap.put(promise.refs[0], item.changed(rest=rest))
    return UNKNOWN


def apply(engine: Engine, state: State, callee: Value, args: Arguments, node: ast.AST) -> Value:
    """The value of a call of something that was passed around, whatever the language."""
    if engine.frame.module.language == "javascript" and callee.code is None:
        return invoke(engine, state, callee, None, args, node)
    return dispatch(engine, state, callee, callee.name or "?", None, args, {}, node)


def exported(engine: Engine, frame: Frame, name: str) -> Value | None:
    """What a module hands out under a name, once its body was walked."""
    heap = engine.heap()
    holder = frame.env.get("module", UNKNOWN)
    exports = _part(heap, holder, "exports")
    if exports is None:
        return None
    found = _part(heap, exports, name)
    if found is None and name != "default":
        inner = _part(heap, exports, "default")
        return _part(heap, inner, name) if inner is not None else None
    return found if found is not None else exports


def _part(heap: Heap, owner: Value, name: str) -> Value | None:
    item = heap.of(owner)
    return item.items.get(name) if item is not None else None


def _prelude(engine: Engine, state: State, _node: nodes.Prelude) -> State | None:
    exports = engine.allocate(state, Object("dict"))
    state.env["exports"] = exports
    item = Object("dict", items={"exports": exports})
    state.env["module"] = engine.allocate(state, item, name="node:module")
    return state


EXPRESSIONS: Final[Mapping[type[ast.AST], Evaluation]] = {
    nodes.Name: _name,
    nodes.Member: _member,
    nodes.Index: _index,
    nodes.Assign: _assign,
    nodes.Function: _function,
    nodes.Class: _class,
    nodes.Regex: _regex,
    nodes.Sequence: _sequence,
    nodes.Mixture: _mixture,
    nodes.TypeOf: _type_of,
    nodes.Keys: _keys,
    nodes.Compare: _compare,
    nodes.Call: _call,
    nodes.New: _new,
}
STATEMENTS: Final[Mapping[type[ast.AST], Execution]] = {
    nodes.Procedure: _procedure,
    nodes.Prelude: _prelude,
}
