"""Functions that somebody outside calls: what they are handed, and where their result goes."""

import ast
from typing import Final

from heimnetz_audit.model.code import FunctionCode
from heimnetz_audit.model.values import Call, Value, constant
from heimnetz_audit.tracing import knowledge
from heimnetz_audit.tracing.calling import defaults
from heimnetz_audit.tracing.engine import Engine, Frame
from heimnetz_audit.tracing.heap import State
from heimnetz_audit.tracing.scripts import entering as scripts

ROUTE_METHODS: Final = frozenset(
    "route get post put delete patch head options websocket api_route view".split()
)
_HARMLESS: Final = frozenset({"int", "float", "bool", "UUID", "uuid.UUID", "date", "datetime"})
_REQUEST_TYPES: Final = frozenset({"HttpRequest", "Request", "HTTPServerRequest"})
#: What marks the function that the manifest names.
ENTRY_POINT: Final = "heimnetz.entry_point"
#: The first argument of such a function is what the platform was asked to do.
PLUGIN_DECORATORS: Final = ("heimnetz.", "heimnetz_sdk.", "heimnetz_plugin.")
_VIEWS: Final = {"django", "aiohttp", "starlette", "sanic", "rest_framework", "heimnetz_sdk"}
_RESPONSE_ROOTS: Final = {"flask", "quart", "bottle", "sanic"}


def route(code: FunctionCode, decorators: list[ast.expr]) -> ast.Call | None:
    """The decorator that makes the function answer requests."""
    if not knowledge.uses_framework(code.module.imports):
        return None
    for decorator in decorators:
        if (
            isinstance(decorator, ast.Call)
            and isinstance(decorator.func, ast.Attribute)
            and decorator.func.attr in ROUTE_METHODS
        ):
            return decorator
    return None


def is_plugin_entry(code: FunctionCode) -> bool:
    return any(name.startswith(PLUGIN_DECORATORS) for name in code.decorators)


def is_entry(code: FunctionCode, decorators: list[ast.expr]) -> bool:
    if code.module.language == "javascript":
        return scripts.is_entry(code)
    return route(code, decorators) is not None or is_plugin_entry(code)


def entry_paths(entry_point: str) -> tuple[frozenset[str], str]:
    """The files that can be the module of `module:function`, and the function."""
    dotted, _, function = entry_point.partition(":")
    path = dotted.replace(".", "/")
    ends = (".py", "/__init__.py")
    modules = {f"{root}{path}{end}" for root in ("src/", "") for end in ends}
    files = {f"{dotted}{end}" for end in ("", ".js", ".mjs", ".cjs")}
    return frozenset(modules | files), function


def parameters(
    engine: Engine, state: State, code: FunctionCode, decorators: list[ast.expr]
) -> dict[str, Value]:
    if code.module.language == "javascript":
        return scripts.parameters(engine, code)
    arguments = code.node.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    decorator = route(code, decorators)
    preset = defaults(arguments)
    found: dict[str, Value] = {}
    for argument in named:
        if argument.arg in state.env:
            continue
        value = _parameter(engine, code, argument, decorator, preset.get(argument.arg))
        found[argument.arg] = value
    for extra in (arguments.vararg, arguments.kwarg):
        if extra is not None:
            found[extra.arg] = Value(name=f"?{extra.arg}")
    return found


def _parameter(
    engine: Engine,
    code: FunctionCode,
    argument: ast.arg,
    decorator: ast.Call | None,
    default: ast.expr | None,
) -> Value:
    annotation = ast.unparse(argument.annotation) if argument.annotation is not None else ""
    unknown = Value(name=f"?{argument.arg}")
    kind = annotation.split("[")[0].rpartition(".")[2].strip("\"'")
    if (kind in _REQUEST_TYPES and knowledge.uses_framework(code.module.imports)) or (
        argument.arg == "request" and _is_view(code)
    ):
        return engine.source("passed", argument).replaced(name="flask.request")
    if decorator is not None:
        return _route_parameter(engine, code, argument, annotation, decorator, default)
    if is_plugin_entry(code):
        if annotation.rpartition(".")[2] in _HARMLESS or argument.arg in ("context", "ctx", "self"):
            return unknown
        return engine.source("input", argument)
    return unknown


def _is_view(code: FunctionCode) -> bool:
    return bool(code.module.imports & _VIEWS)


def _route_parameter(
    engine: Engine,
    code: FunctionCode,
    argument: ast.arg,
    annotation: str,
    decorator: ast.Call,
    default: ast.expr | None,
) -> Value:
    unknown = Value(name=f"?{argument.arg}")
    pattern = ""
    if decorator.args and isinstance(decorator.args[0], ast.Constant):
        pattern = str(decorator.args[0].value)
    if (
        any(f"<{kind}:{argument.arg}>" in pattern for kind in ("int", "float", "uuid"))
        or annotation.rpartition(".")[2].removesuffix(" | None") in _HARMLESS
    ):
        return unknown
    if isinstance(default, ast.Call) and ast.unparse(default.func).endswith(
        ("Depends", "Security")
    ):
        return unknown
    if f"{argument.arg}>" in pattern or f"{{{argument.arg}" in pattern:
        plain = "path:" not in pattern and ":path" not in pattern
        cleared = frozenset({"@no-slash"}) if plain else frozenset()
        return engine.source("request", argument, cleared)
    if code.module.imports & {"fastapi"} and argument.arg not in ("self", "db", "session"):
        value = engine.source("request", argument)
        if annotation and annotation[:1].isupper():
            return value
        return value
    return unknown


def observe_result(
    engine: Engine,
    state: State,
    code: FunctionCode,
    decorators: list[ast.expr],
    value: Value,
    frame: Frame,
) -> None:
    """What a route gives back is sent to a browser; the checks see it as a call."""
    decorator = route(code, decorators)
    if decorator is None or not code.module.imports & _RESPONSE_ROOTS:
        return
    ways = frame.returns or [(value, state)]
    for returned, way in ways:
        if not returned.taints and not returned.refs:
            continue
        item = way.heap.of(returned)
        if item is not None and item.kind != "tuple":
            continue
        if item is not None and item.seq:
            returned = item.seq[0]  # noqa: PLW2901 - a tuple is a body with status and headers
        taint = returned.taints[0] if returned.taints else None
        line = taint.trail.step.line if taint is not None else code.node.lineno
        engine.frames = [frame]
        engine.observe(
            Call(
                name="<response>",
                file=code.module.path,
                line=line,
                end_line=line,
                scope=code.qualified,
                receiver=None,
                args=(returned,),
                keywords={"name": constant(code.qualified)},
                facts=way.facts,
                heap=way.heap,
            )
        )
