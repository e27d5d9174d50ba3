"""What functions of libraries give back, by their dotted names."""

import ast
from collections.abc import Callable
from typing import Final

from heimnetz_audit.model.code import ModuleCode
from heimnetz_audit.model.values import (
    ENCODED,
    UNKNOWN,
    Taint,
    Value,
    constant,
    join,
    merge_taints,
)
from heimnetz_audit.tracing import containers, folding, guarding, knowledge
from heimnetz_audit.tracing.engine import Engine
from heimnetz_audit.tracing.heap import Object, State
from heimnetz_audit.tracing.naming import attribute, canonical, is_standard, iterate

Arguments = tuple[Value, ...]
Keywords = dict[str, Value]
Model = Callable[[Engine, State, Arguments, Keywords, ast.AST], Value | None]


def result(
    engine: Engine, state: State, name: str, receiver: Value | None,
    args: Arguments, keywords: Keywords, node: ast.AST,
) -> Value:  # fmt: skip
    """The value of a call that leads out of the package."""
    implies = guarding.tested(engine, state, name, receiver, args)
    value = _known(engine, state, name, receiver, args, keywords, node)
    if value is None:
        value = _mixture(engine, state, name, receiver, (*args, *keywords.values()), node)
    return value if implies is None else value.replaced(implies=implies)


def _known(
    engine: Engine, state: State, name: str, receiver: Value | None,
    args: Arguments, keywords: Keywords, node: ast.AST,
) -> Value | None:  # fmt: skip
    method = name.rpartition(".")[2]
    if receiver is not None and not _is_module(receiver):
        found = containers.call(engine, state, receiver, method, args, node)
        if found is not None:
            return found
        found = folding.call_method(method, receiver, args)
        if found is not None:
            return found
        if method == "format" and receiver.text is not None:
            return folding.format_text(engine, node, receiver.text, args, keywords)
        found = containers.call_text(engine, state, receiver, method, args, node)
        if found is not None:
            return found
    model = _MODELS.get(name)
    if model is _open and receiver is not None and method != "open":
        args = (receiver, *args)
    if model is not None:
        found = model(engine, state, args, keywords, node)
        if found is not None:
            return found
    folded = folding.call_builtin(name, args) if not keywords else None
    if folded is not None:
        return folded
    return _by_table(engine, state, name, receiver, args, keywords, node)


def _is_module(value: Value) -> bool:
    """A name of a library, which no text method belongs to."""
    if value.consts is not None or value.taints or value.refs or value.parts or value.guards:
        return False
    return value.name is not None and not value.name.startswith("?") and "(" not in value.name


def _by_table(
    engine: Engine, state: State, name: str, receiver: Value | None,
    args: Arguments, keywords: Keywords, node: ast.AST,
) -> Value | None:  # fmt: skip
    method = name.rpartition(".")[2]
    if name in knowledge.CLEAN_CALLS or (
        receiver is not None and method in knowledge.CLEAN_METHODS
    ):
        return Value(name=f"{name}()")
    taints = taints_of(state, (*args, *keywords.values()))
    if name in knowledge.ENCODERS:
        return engine.derived(node, taints, cleared=frozenset({ENCODED}), name=f"{name}()")
    kind = knowledge.source_call(name)
    if name in knowledge.DECODERS:
        decoded = engine.recoded(node, taints_of(state, args))
        if kind is not None:
            source = engine.source(kind, node)
            decoded = decoded.replaced(taints=merge_taints(source.taints, decoded.taints))
        return decoded.replaced(name=f"{name}()")
    if kind is not None:
        source = engine.source(kind, node)
        return source.replaced(name=f"{name}()")
    escapes = knowledge.ESCAPES.get(name)
    if escapes is None and not is_standard(name):
        escapes = knowledge.named_escape(name) or None
    if escapes is not None:
        guards: tuple[tuple[int, str], ...] = ()
        return engine.derived(node, taints, cleared=escapes, guards=guards, name=f"{name}()")
    if name in knowledge.RESOLVERS:
        subject = receiver if receiver is not None and method == "resolve" else args[:1] and args[0]
        return resolved(engine, node, subject or UNKNOWN, taints)
    return None


def resolved(engine: Engine, node: ast.AST, subject: Value, taints: tuple[Taint, ...]) -> Value:
    """A path whose `..` are gone: where it begins is where it leads."""
    value = engine.derived(node, subject.taints, parts=subject.parts)
    below = tuple((number, "resolved") for number, _ in value.guards)
    above = tuple((number, "resolved") for number, scope in subject.guards if not scope)
    return value.replaced(guards=value.guards + below + above, name="resolved")


def taints_of(state: State, values: Arguments) -> tuple[Taint, ...]:
    taints: tuple[Taint, ...] = ()
    for value in values:
        taints = merge_taints(taints, state.heap.taints(value))
    return taints


def _mixture(
    engine: Engine, state: State, name: str, receiver: Value | None, values: Arguments,
    node: ast.AST,
) -> Value:  # fmt: skip
    taints = taints_of(state, values)
    if receiver is not None:
        # A request is asked for one of its parts; the object itself is no part.
        taints = merge_taints(state.heap.taints(receiver), taints)
        method = name.rpartition(".")[2]
        if receiver.refs and values and method.startswith(("set", "add", "put", "write", "append")):
            for ref in receiver.refs:
                item = state.heap.get(ref)
                if item is not None:
                    state.heap.put(ref, item.changed(rest=Value(taints=taints)))
    return engine.derived(node, taints, name=canonical(f"{name}()"))


# --- models of single functions -------------------------------------------------------------


def _text(
    engine: Engine, state: State, args: Arguments, _keywords: Keywords, node: ast.AST
) -> Value | None:
    """`str(x)` is the same text."""
    if not args or args[0].consts is not None:
        return None
    if args[0].refs:
        return engine.derived(node, state.heap.taints(args[0]))
    return args[0].replaced(name=None if args[0].name != "resolved" else "resolved")


def _container(kind: str) -> Model:
    def make(
        engine: Engine, state: State, args: Arguments, keywords: Keywords, node: ast.AST
    ) -> Value | None:
        if not args:
            if kind == "dict":
                return engine.allocate(state, Object("dict", items=dict(keywords)))
            return engine.allocate(state, Object(kind, seq=()))
        item = state.heap.of(args[0])
        if kind == "dict":
            if item is not None and item.kind == "dict":
                return engine.allocate(state, item.changed(items={**item.items, **keywords}))
            return engine.allocate(
                state, Object("dict", rest=Value(taints=state.heap.taints(args[0])))
            )
        elements = state.heap.elements(args[0])
        if elements is not None:
            return engine.allocate(state, Object(kind, seq=elements))
        if args[0].taints or args[0].refs:
            element = iterate(engine, state, args[0], node)
            return engine.allocate(state, Object(kind, rest=element), taints=args[0].taints)
        return Value(name=f"{kind}()")

    return make


def _config(
    engine: Engine, state: State, _args: Arguments, _keywords: Keywords, _node: ast.AST
) -> Value | None:
    return engine.allocate(state, Object("config"), name="configparser.ConfigParser()")


def _buffer(
    engine: Engine, state: State, args: Arguments, _keywords: Keywords, _node: ast.AST
) -> Value | None:
    rest = args[0] if args else None
    return engine.allocate(state, Object("buffer", rest=rest), name="io.StringIO()")


def _import(
    engine: Engine, _state: State, args: Arguments, _keywords: Keywords, _node: ast.AST
) -> Value | None:
    name = args[0].text if args else None
    if name is None:
        return None
    module = None if is_standard(name) else engine.program.find(name)
    return Value(name=canonical(name), code=ModuleCode(module) if module is not None else None)


def _vars(
    _engine: Engine, _state: State, args: Arguments, _keywords: Keywords, _node: ast.AST
) -> Value | None:
    return Value(name=f"{args[0].name}.__dict__") if args and args[0].name else None


def _open(
    engine: Engine, _state: State, args: Arguments, keywords: Keywords, node: ast.AST
) -> Value | None:
    """A file gives what is in it; some files hold what nobody hands out."""
    path = args[0] if args else keywords.get("file", UNKNOWN)
    mode = args[1] if len(args) > 1 else keywords.get("mode")
    if mode is not None and mode.text is not None and set(mode.text) & set("wax"):
        return Value(name="open()")
    is_secret = any(knowledge.SECRET_FILES.search(text) for text in path.texts())
    return engine.source("secret" if is_secret else "file", node).replaced(name="open()")


def _variable(
    engine: Engine, _state: State, args: Arguments, _keywords: Keywords, node: ast.AST
) -> Value | None:
    found = engine.source("environment", node)
    return join(found, args[1]) if len(args) > 1 else found


def _getattr(
    engine: Engine, state: State, args: Arguments, _keywords: Keywords, node: ast.AST
) -> Value | None:
    if len(args) < 2 or args[1].text is None:
        return None
    found = attribute(engine, state, args[0], args[1].text, node)
    return found if len(args) < 3 else join(found, args[2])


def _setattr(
    _engine: Engine, state: State, args: Arguments, _keywords: Keywords, _node: ast.AST
) -> Value | None:
    if len(args) == 3 and args[1].text is not None:
        for ref in args[0].refs:
            item = state.heap.get(ref)
            if item is not None:
                state.heap.put(ref, item.changed(attrs={**item.attrs, args[1].text: args[2]}))
    return constant(None)


def _path_join(
    engine: Engine, _state: State, args: Arguments, _keywords: Keywords, node: ast.AST
) -> Value | None:
    return path_join(engine, args, node)


def path_join(engine: Engine, args: Arguments, node: ast.AST) -> Value | None:
    """`os.path.join`: a part that begins with a slash throws away what stands before it."""
    pieces: list[Value] = []
    for position, each in enumerate(args):
        if position:
            pieces.append(constant("/"))
        pieces.append(each)
    if len(args) > 1 and any(each.taints for each in args[1:]):
        return folding.concat(engine, node, tuple(pieces)).replaced(name="os.path.join()")
    return folding.concat(engine, node, tuple(pieces)) if args else None


def _path(
    engine: Engine, state: State, args: Arguments, keywords: Keywords, node: ast.AST
) -> Value | None:
    if not args:
        return Value(name="pathlib.Path()")
    joined = path_join(engine, args, node) or UNKNOWN
    return joined.replaced(name="pathlib.Path()")


def _common_path(
    engine: Engine, state: State, args: Arguments, _keywords: Keywords, node: ast.AST
) -> Value | None:
    elements = state.heap.elements(args[0]) if args else None
    guards = tuple(
        (number, "root")
        for each in elements or ()
        for number, scope in each.guards
        if scope == "resolved"
    )
    return Value(guards=guards)


def _address(
    engine: Engine, _state: State, args: Arguments, _keywords: Keywords, node: ast.AST
) -> Value | None:
    """The parts of an address: a test of its host is one of where the address leads."""
    if not args or not args[0].taints:
        return None
    value = engine.derived(node, args[0].taints, name="urllib.parse.urlparse()")
    return value.replaced(guards=value.guards + args[0].guards)


def _map(
    engine: Engine, state: State, args: Arguments, _keywords: Keywords, node: ast.AST
) -> Value | None:
    if len(args) < 2:
        return None
    element = iterate(engine, state, args[1], node)
    mapped = engine.apply(state, args[0], (element,), node)
    return engine.allocate(state, Object("list", rest=mapped.replaced(consts=None)))


def _filter(
    engine: Engine, state: State, args: Arguments, _keywords: Keywords, node: ast.AST
) -> Value | None:
    return keep(engine, state, args[0], args[1], node) if len(args) > 1 else None


def keep(engine: Engine, state: State, choose: Value, values: Value, node: ast.AST) -> Value:
    """The elements for which a function is true; what it proves is proven of them."""
    element = iterate(engine, state, values, node)
    test = engine.apply(state, choose, (element,), node)
    inner = state.fork()
    guarding.refine(inner, test, holds=True)
    taints = tuple(
        t._replace(cleared=t.cleared | {k for n, k in inner.facts if n in t.chain})
        for t in element.taints
    )
    return engine.allocate(state, Object("list", rest=element.replaced(taints=taints, consts=None)))


def _next(
    _engine: Engine, state: State, args: Arguments, _keywords: Keywords, _node: ast.AST
) -> Value | None:
    if not args or not args[0].refs:
        return None
    content = state.heap.content(args[0])
    return join(content, args[1]) if len(args) > 1 else content


def _enumerate(
    engine: Engine, state: State, args: Arguments, _keywords: Keywords, node: ast.AST
) -> Value | None:
    if not args:
        return None
    element = iterate(engine, state, args[0], node)
    pair = engine.allocate(state, Object("tuple", seq=(UNKNOWN, element)))
    return engine.allocate(state, Object("list", rest=pair))


def _zip(
    engine: Engine, state: State, args: Arguments, _keywords: Keywords, node: ast.AST
) -> Value | None:
    row = tuple(iterate(engine, state, each, node) for each in args)
    pair = engine.allocate(state, Object("tuple", seq=row))
    return engine.allocate(state, Object("list", rest=pair))


def _compile(
    engine: Engine, state: State, args: Arguments, _keywords: Keywords, _node: ast.AST
) -> Value | None:
    items = {"pattern": args[0]} if args else {}
    return engine.allocate(state, Object("regex", items=items), name="re.compile()")


def _substitute(
    engine: Engine, state: State, args: Arguments, _keywords: Keywords, node: ast.AST
) -> Value | None:
    return substitute(engine, args, node) if len(args) > 2 else None


def substitute(engine: Engine, args: Arguments, node: ast.AST) -> Value | None:
    """`re.sub("[^a-z]", "", x)` leaves only what the class names."""
    if args[0].text is None or args[1].text is None:
        return None
    cleared = frozenset(guarding.kept_kinds(args[0].text, args[1].text))
    taints = merge_taints(args[1].taints, args[2].taints)
    return engine.derived(node, taints, cleared=cleared)


_MODELS: Final[dict[str, Model]] = {
    "str": _text,
    "list": _container("list"),
    "set": _container("set"),
    "tuple": _container("tuple"),
    "frozenset": _container("set"),
    "collections.deque": _container("list"),
    "queue.Queue": _container("list"),
    "queue.SimpleQueue": _container("list"),
    "sorted": _container("list"),
    "reversed": _container("list"),
    "dict": _container("dict"),
    "collections.OrderedDict": _container("dict"),
    "collections.defaultdict": lambda e, s, _a, _k, _n: e.allocate(s, Object("dict")),
    "configparser.ConfigParser": _config,
    "configparser.RawConfigParser": _config,
    "configparser.SafeConfigParser": _config,
    "io.StringIO": _buffer,
    "io.BytesIO": _buffer,
    "__import__": _import,
    "importlib.import_module": _import,
    "importlib.__import__": _import,
    "vars": _vars,
    "open": _open,
    "io.open": _open,
    "pathlib.Path().read_text": _open,
    "pathlib.Path().read_bytes": _open,
    "os.getenv": _variable,
    "os.environ.get": _variable,
    "getattr": _getattr,
    "setattr": _setattr,
    "os.path.join": _path_join,
    "pathlib.Path": _path,
    "pathlib.PurePath": _path,
    "pathlib.PosixPath": _path,
    "os.path.commonpath": _common_path,
    "os.path.commonprefix": _common_path,
    "urllib.parse.urlparse": _address,
    "urllib.parse.urlsplit": _address,
    "werkzeug.urls.url_parse": _address,
    "map": _map,
    "filter": _filter,
    "next": _next,
    "iter": lambda _e, _s, a, _k, _n: a[0] if a else None,
    "enumerate": _enumerate,
    "zip": _zip,
    "re.compile": _compile,
    "re.sub": _substitute,
    "copy.copy": lambda _e, _s, a, _k, _n: a[0] if a else None,
    "copy.deepcopy": lambda _e, _s, a, _k, _n: a[0] if a else None,
    "os.fspath": lambda _e, _s, a, _k, _n: a[0] if a else None,
    "os.path.expanduser": lambda _e, _s, a, _k, _n: a[0] if a else None,
    "os.path.expandvars": lambda _e, _s, a, _k, _n: a[0] if a else None,
    "typing.cast": lambda _e, _s, a, _k, _n: a[1] if len(a) == 2 else None,
}
