"""What a variable, a member or an element of an object is, and what is stored there."""

import ast

from heimnetz_audit.model.code import ClassCode
from heimnetz_audit.model.values import (
    UNKNOWN,
    Taint,
    Value,
    constant,
    join,
    merge_taints,
)
from heimnetz_audit.scripting import nodes
from heimnetz_audit.tracing import folding, indexing, knowledge
from heimnetz_audit.tracing.calling import observe_plain
from heimnetz_audit.tracing.engine import Engine, Frame
from heimnetz_audit.tracing.heap import Object, State
from heimnetz_audit.tracing.naming import member_of
from heimnetz_audit.tracing.scripts import vocabulary

#: What a value that was reached by a key from outside carries besides its own origin.
KEYED = "keyed"
_MARKUP = frozenset({"innerHTML", "outerHTML", "srcdoc"})
_LOCATIONS = frozenset(
    {("node:location", "href"), ("document", "location"), ("window", "location")}
)


def lookup(engine: Engine, state: State, node: nodes.Name) -> Value:
    found = state.env.get(node.id)
    if found is not None:
        return found
    frame = _home(engine, node.id)
    if frame is not None:
        return frame.env[node.id]
    if node.id in vocabulary.GLOBALS:
        name = vocabulary.canonical(node.id)
        source = knowledge.source_attribute(engine, name, node)
        return source or Value(name=name)
    return Value(name=f"?{node.id}")


def _home(engine: Engine, name: str) -> Frame | None:
    """The frame around this one that has the variable."""
    frame: Frame | None = engine.frame.parent
    while frame is not None:
        if name in frame.env:
            return frame
        frame = frame.parent
    if engine.frame.code is not None:
        module = engine.load(engine.frame.module)
        if name in module.env:
            return module
    return None


def member(engine: Engine, state: State, owner: Value, key: str, node: ast.AST) -> Value:
    found = _of_objects(engine, state, owner, key)
    if found is not None:
        return found
    if isinstance(owner.code, ClassCode):
        inner = owner.code.find(key)
        if isinstance(inner, Value):
            return inner
    if key == "length":
        return _length(engine, state, owner, node)
    if key == "prototype" and owner.code is not None:
        return owner
    if owner.name is None:
        dotted = f"?.{key}"
    else:
        dotted = vocabulary.canonical(f"{owner.name}.{key}")
        source = _source(engine, state, owner, key, dotted, node)
        if source is not None:
            return source
    if owner.refs or not owner.taints:
        return Value(name=dotted)
    return engine.derived(node, owner.taints, name=dotted, guards=_views(owner, key))


def _views(owner: Value, key: str) -> tuple[tuple[int, str], ...]:
    if key in ("host", "hostname", "origin"):
        return tuple((number, "host") for number, scope in owner.guards if not scope)
    return ()


def _source(
    engine: Engine, state: State, owner: Value, key: str, dotted: str, node: ast.AST
) -> Value | None:
    if owner.name == "os.environ":
        observe_plain(engine, state, "os.environ.get", (constant(key),), node)
        return engine.source("environment", node).replaced(name=f"os.environ[{key}]")
    if owner.name in ("flask.request", "node:context"):
        if key in vocabulary.REQUEST_PARTS and dotted != "flask.request":
            own = frozenset({"redirect"}) if key in vocabulary.OWN_ADDRESS else frozenset()
            return engine.source("request", node, own).replaced(name=f"flask.request.{key}")
        return Value(name=dotted)
    if owner.name == "node:location":
        if key in vocabulary.LOCATION_PARTS:
            # A page that asks where it stands asks its own server.
            own = frozenset({"redirect", "ssrf"}) if key == "href" else frozenset()
            return engine.source("request", node, own).replaced(name=dotted)
        return Value(name=dotted)
    if dotted in ("os.environ", "sys.argv", "sys.stdin", "flask.request"):
        return knowledge.source_attribute(engine, dotted, node)
    known = knowledge.CONSTANTS.get(dotted)
    return constant(known) if known is not None else None


def _length(engine: Engine, state: State, owner: Value, node: ast.AST) -> Value:
    item = state.heap.of(owner)
    if item is not None and item.seq is not None:
        return constant(len(item.seq))
    folded = folding.fold(len, owner) if owner.consts is not None else None
    return folded or Value(name="length")


def _of_objects(engine: Engine, state: State, owner: Value, key: str) -> Value | None:
    results: Value | None = None
    for ref in owner.refs:
        item = state.heap.get(ref)
        value = _of_object(engine, state, owner, item, key) if item is not None else None
        if value is not None:
            results = value if results is None else join(results, value)
    return results


def _of_object(engine: Engine, state: State, owner: Value, item: Object, key: str) -> Value | None:
    found = item.attrs.get(key) or item.items.get(key)
    if found is None and isinstance(item.cls, ClassCode):
        inner = item.cls.find(key)
        if inner is not None:
            found = member_of(engine, state, inner, owner)
    if item.kind not in ("dict", "instance") or item.rest is None:
        return found
    # Something was stored under a key that is not known.
    return item.rest if found is None else join(found, item.rest)


def element(engine: Engine, state: State, owner: Value, key: Value, node: ast.AST) -> Value:
    """`owner[key]`."""
    text = key.text
    if text is not None and not text.isdigit():
        return member(engine, state, owner, text, node)
    if key.consts is not None and len(key.consts) > 1:
        found: Value | None = None
        for const in key.consts:
            one = element(engine, state, owner, constant(const), node)
            found = one if found is None else join(found, one)
        return found or UNKNOWN
    if owner.name == "os.environ":
        is_dump = any(taint.kind == "dump" for taint in key.taints)
        return engine.source("dump" if is_dump else "environment", node)
    if owner.refs and (key.const is not ... or not owner.taints):
        item = state.heap.of(owner)
        value = state.heap.content(owner)
        if item is not None and isinstance(key.const, int):
            value = indexing.element(state, item, owner, key)
        return _keyed(engine, value, key)
    if owner.consts is not None and isinstance(key.const, int):
        folded = folding.fold(lambda text: text[key.const], owner)
        if folded is not None:
            return folded
    taints = merge_taints(owner.taints, state.heap.taints(owner))
    name = f"{owner.name}[]" if owner.name else None
    value = engine.derived(node, taints, name=name)
    ends = indexing.ends_of(owner, key.const)
    return _keyed(engine, value.replaced(guards=value.guards + ends), key)


def _keyed(_engine: Engine, value: Value, key: Value) -> Value:
    if not key.taints:
        return value
    marks = tuple(Taint(KEYED, t.source, t.chain, t.cleared, t.trail) for t in key.taints)
    return value.replaced(taints=merge_taints(marks, value.taints))


def assign(
    engine: Engine, state: State, target: ast.expr, value: Value, *, declares: bool = False
) -> None:
    if isinstance(target, ast.Name):
        _assign_name(engine, state, target.id, value, declares=declares)
    elif isinstance(target, nodes.Member):
        owner = engine.evaluate(state, target.value)
        _observe_member(engine, state, owner, target.attr, value, target)
        store(state, owner, target.attr, value)
    elif isinstance(target, nodes.Index):
        owner = engine.evaluate(state, target.value)
        key = engine.evaluate(state, target.slice)
        observe_plain(engine, state, "<assignment>", (key, value), target, receiver=owner)
        if key.text is not None:
            _observe_member(engine, state, owner, key.text, value, target)
            store(state, owner, key.text, value)
        else:
            indexing.store(engine, state, owner, key, value)
    elif isinstance(target, nodes.ObjectPattern):
        _assign_object(engine, state, target, value, declares=declares)
    elif isinstance(target, ast.List):
        _assign_list(engine, state, target, value, declares=declares)
    elif isinstance(target, nodes.Default):
        default = engine.evaluate(state, target.value)
        is_known = value.taints or value.refs or value.consts not in (None, (None,)) or value.code
        kept = value if is_known else join(value, default)
        assign(engine, state, target.target, kept, declares=declares)
    elif isinstance(target, ast.Starred):
        assign(engine, state, target.value, value, declares=declares)


def _assign_name(engine: Engine, state: State, name: str, value: Value, *, declares: bool) -> None:
    if declares or name in state.env:
        state.env[name] = value
        return
    frame = _home(engine, name)
    if frame is None:
        state.env[name] = value
        return
    known = frame.env[name]
    if known is not value:
        frame.env[name] = join(known, value)


def _assign_object(
    engine: Engine, state: State, target: nodes.ObjectPattern, value: Value, *, declares: bool
) -> None:
    for key, inner in zip(target.keys, target.targets, strict=True):
        part = element(engine, state, value, engine.evaluate(state, key), inner)
        assign(engine, state, inner, part, declares=declares)
    if target.rest is not None:
        assign(engine, state, target.rest, value, declares=declares)


def _assign_list(
    engine: Engine, state: State, target: ast.List, value: Value, *, declares: bool
) -> None:
    elements = state.heap.elements(value)
    content = state.heap.content(value) if value.refs else engine.derived(target, value.taints)
    for position, inner in enumerate(target.elts):
        if isinstance(inner, ast.Starred):
            rest = engine.allocate(state, Object("list", rest=content))
            assign(engine, state, inner.value, rest, declares=declares)
        elif elements is not None and position < len(elements):
            assign(engine, state, inner, elements[position], declares=declares)
        else:
            assign(engine, state, inner, content.replaced(consts=None), declares=declares)


def store(state: State, owner: Value, key: str, value: Value) -> None:
    """`owner.key = value`."""
    is_certain = len(owner.refs) == 1
    for ref in owner.refs:
        item = state.heap.get(ref)
        if item is None:
            continue
        is_instance = item.kind == "instance"
        held = item.attrs if is_instance else item.items
        known = held.get(key)
        kept = value if is_certain or known is None else join(known, value)
        changed = {**held, key: kept}
        state.heap.put(
            ref, item.changed(attrs=changed) if is_instance else item.changed(items=changed)
        )


def _observe_member(
    engine: Engine, state: State, owner: Value, key: str, value: Value, node: ast.AST
) -> None:
    """Storing is calling, where somebody looks at what is stored."""
    if key in _MARKUP:
        observe_plain(engine, state, "markupsafe.Markup", (value,), node)
    elif owner.name == "node:context" and key == "body":
        observe_plain(engine, state, "<response>", (value,), node)
    elif (owner.name, key) in _LOCATIONS:
        observe_plain(engine, state, "flask.redirect", (value,), node)
    elif owner.name is not None:
        args = (constant(key), value)
        observe_plain(engine, state, f"{owner.name}.__setitem__", args, node, receiver=owner)
