"""Functions of a script that somebody outside calls, and what they are handed."""

import ast
from typing import Final

from heimnetz_audit.model.code import FunctionCode
from heimnetz_audit.model.values import UNKNOWN, Value
from heimnetz_audit.scripting import nodes
from heimnetz_audit.tracing.engine import Engine
from heimnetz_audit.tracing.heap import State
from heimnetz_audit.tracing.scripts import vocabulary

#: As `entering.ENTRY_POINT` of the engine, which knows the manifest.
ENTRY_POINT: Final = "heimnetz.entry_point"
_FRAMEWORKS: Final = frozenset(
    (
        "express fastify koa @koa/router koa-router http https http2 connect restify polka hapi "
        "@hapi/hapi router find-my-way micro hono next @fastify/express express-promise-router "
        "oak h3 tinyhttp @tinyhttp/app sirv itty-router @nestjs/common"
    ).split()
)
#: What is asked of a request, and what is done with the answer to it.
_ASKED: Final = frozenset(
    "query body params headers cookies url originalUrl files file rawBody".split()
)
_ANSWERED: Final = frozenset(
    "send json status render redirect end sendFile sendStatus writeHead setHeader download cookie "
    "code header type write jsonp".split()
)
#: What marks a function that a framework was told to call.
_HANDLER: Final = "script.handler"
_CONTEXT: Final = "script.context"
#: Frameworks that hand over one object for both the request and the answer.
_CONTEXTS: Final = frozenset({"koa", "koa-router", "@koa/router", "hono", "oak"})
_ROUTES: Final = frozenset(
    "get post put delete patch all use head options param createServer on route addHook".split()
)


def _names(code: FunctionCode) -> list[str]:
    return [argument.arg for argument in code.node.args.args if argument.arg != "this"]


def _looks_like_handler(code: FunctionCode) -> int:
    """The position of a parameter that is asked as a request is, before one that is answered.

    -1 where there is none. The names of the parameters do not matter.
    """
    node = code.node
    if not isinstance(node, nodes.Procedure):
        return -1
    if node.handles is None:
        node.handles = _request_position(node, _names(code))
    return node.handles


def _request_position(node: nodes.Procedure, names: list[str]) -> int:
    if not 2 <= len(names) <= 4:
        return -1
    used: dict[str, set[str]] = {name: set() for name in names}
    for inner in ast.walk(node):
        if isinstance(inner, nodes.Member) and isinstance(inner.value, nodes.Name):
            used.get(inner.value.id, set()).add(inner.attr)
    for position in (0, 1) if len(names) == 4 else (0,):
        if used[names[position]] & _ASKED and used[names[position + 1]] & _ANSWERED:
            return position
    return -1


def is_entry(code: FunctionCode) -> bool:
    if not {ENTRY_POINT, _HANDLER, _CONTEXT}.isdisjoint(code.decorators):
        return True
    return _looks_like_handler(code) >= 0


def parameters(engine: Engine, code: FunctionCode) -> dict[str, Value]:
    names = _names(code)
    found = {name: Value(name=f"?{name}") for name in names}
    found.update(zip(names, _given(engine, code, names), strict=False))
    if code.node.args.vararg is not None:
        found[code.node.args.vararg.arg] = UNKNOWN
    return found


def _given(engine: Engine, code: FunctionCode, names: list[str]) -> tuple[Value, ...]:
    if not names:
        return ()
    node = code.node.args.args[0]
    if ENTRY_POINT in code.decorators:
        return engine.source("input", node), Value(name="heimnetz.context")
    if _CONTEXT in code.decorators:
        return Value(name="node:context"), Value(name="?next")
    position = _looks_like_handler(code)
    if _HANDLER in code.decorators or position >= 0:
        request = engine.source("passed", node).replaced(name="flask.request")
        handed = (request, Value(name="node:response"), Value(name="?next"))
        is_late = position == 1 or (position < 0 and len(names) == 4)
        return (Value(name="?error"), *handed) if is_late else handed
    return ()


def handle(
    engine: Engine, state: State, name: str, args: tuple[Value, ...], node: ast.AST
) -> Value | None:
    """The call that says which functions answer requests: `app.get("/x", handler)`."""
    method = name.rpartition(".")[2]
    if method not in _ROUTES or engine.frame.module.imports.isdisjoint(_FRAMEWORKS):
        return None
    handlers = [each for each in args if isinstance(each.code, FunctionCode)]
    handlers += [
        inner
        for each in args
        if (item := state.heap.of(each)) is not None
        for inner in (*(item.seq or ()), item.items.get("handler"))
        if inner is not None and isinstance(inner.code, FunctionCode)
    ]
    if not handlers or not _serves(name, args):
        return None
    mark = _CONTEXT if _hands_context(engine) else _HANDLER
    for each in handlers:
        code = each.code
        if mark not in code.decorators:
            code.decorators = (*code.decorators, mark)
        if code.module is not engine.frame.module:
            engine.apply(state, each, _given(engine, code, _names(code)), node)
    return Value(name=name.rpartition(".")[0] or name)


def _hands_context(engine: Engine) -> bool:
    return not engine.frame.module.imports.isdisjoint(_CONTEXTS)


def _serves(name: str, args: tuple[Value, ...]) -> bool:
    owner, _, method = name.rpartition(".")
    if owner in vocabulary.CLIENTS or owner in ("requests", "node:http", "node:https"):
        return method == "createServer"
    if method == "createServer":
        return name.startswith(("node:http", "npm:restify", "npm:connect"))
    if method == "on":
        return bool(args) and args[0].text == "request"
    if method in ("use", "route", "addHook", "param"):
        return True
    # `cache.get("key", found)` is no route.
    path = args[0] if args else UNKNOWN
    return bool(path.refs) or path.prefix[:1] in ("/", "*", ":") or path.const is ...
