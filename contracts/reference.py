"""The tables of docs/reference/, from the code that they describe."""

import ast
import importlib
import pkgutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi.routing import RouteContext
from prometheus_client.metrics import MetricWrapperBase
from pydantic.fields import FieldInfo

from heimnetz_common import problems as edge
from heimnetz_common.auth import ROLES, Rule
from heimnetz_common.errors import HeimnetzError
from heimnetz_common.events import EventData
from heimnetz_common.settings import ServiceSettings
from heimnetz_registry.model import DECIDERS, KEY_STATES, STATES, TRANSITIONS, UPDATE_POLICIES
from heimnetz_sandbox.model import OUTCOMES

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ROOT / "services"


def settings(classes: Sequence[type[ServiceSettings]]) -> str:
    text = (
        "# Settings\n\nEach is an environment variable of one container. A wrong value stops the "
        "service, which says the variable, the value and the remedy. Those that a home needs to "
        "change are in `.env.example` at the root of the repository.\n"
    )
    common = ServiceSettings.model_fields
    text += f"\n## Every service\n\n{_fields('HEIMNETZ_<SERVICE>_', common)}"
    for cls in classes:
        own = {name: field for name, field in cls.model_fields.items() if name not in common}
        text += f"\n## {cls.service}\n\n{_fields(cls.model_config['env_prefix'], own)}"
    return text


def _fields(prefix: str, fields: Mapping[str, FieldInfo]) -> str:
    rows = [
        (f"`{prefix}{name.upper()}`", field.description or "", f"`{_value(field.default)}`")
        for name, field in fields.items()
    ]
    return _table(("variable", "meaning", "default"), rows)


def _value(default: object) -> str:
    if default is None or default == "":
        return "-"
    return str(default).lower() if isinstance(default, bool) else str(default)


def http(applications: Mapping[str, Sequence[tuple[RouteContext, list[Rule]]]]) -> str:
    text = (
        "# HTTP APIs\n\nThrough the gateway each path begins with `/api/<service>`; the OpenAPI "
        "document is at `/api/<service>/openapi.json`. The owner may do what any role may. "
        "`service` names the services that may call a route on their own behalf.\n"
    )
    for service, routes in applications.items():
        rows = [
            (f"`{method} {route.path}`", _summary(route), _callers(rule))
            for route, (rule, *_) in routes
            for method in sorted(route.methods or ())
        ]
        text += f"\n## {service}\n\n{_table(('route', 'what', 'who'), rows)}"
    return text


def access(
    applications: Mapping[str, Sequence[tuple[RouteContext, list[Rule]]]], services: Sequence[str]
) -> str:
    text = (
        "# Who may do what\n\nEvery route against every caller: people and programs by their role, "
        "nobody (without a token), and each service in its own name. The rules are in the code of "
        "the routes, one each; a test calls every route as every caller, and expects what stands "
        "here. `yes` is the door alone: behind it a publisher changes only its own plugins, for "
        "one.\n"
    )
    header = ("route", *ROLES, "nobody", *(f"service {name}" for name in services))
    for service, routes in applications.items():
        rows = [
            (f"`{method} {route.path}`", *_cells(rule, services))
            for route, (rule, *_) in routes
            for method in sorted(route.methods or ())
        ]
        text += f"\n## {service}\n\n{_table(header, rows)}"
    return text


def _cells(rule: Rule, services: Sequence[str]) -> list[str]:
    allowed = [role in rule.roles for role in ROLES]
    allowed += [False, *(name in rule.services for name in services)]
    return ["yes" if rule.is_public or cell else "-" for cell in allowed]


def _summary(route: RouteContext) -> str:
    described = (route.description or "").partition("\n")[0].rstrip(".")
    return described or str(route.name).replace("_", " ").capitalize()


def _callers(rule: Rule) -> str:
    if rule.is_public:
        return "everybody"
    roles = [role for role in ROLES if role in rule.roles]
    shown = "every role" if len(roles) == len(ROLES) else ", ".join(roles)
    services = ", ".join(sorted(rule.services))
    return "; ".join(filter(None, (shown, services and f"service {services}")))


def events(
    declared: Sequence[type[EventData]],
    producers: Mapping[str, str],
    listening: Mapping[str, Sequence[str]],
) -> str:
    text = (
        "# Events\n\nCloudEvents 1.0 in JSON on NATS JetStream; the subject and the type are "
        "`heimnetz.<event>`. Each is written in the transaction of the change that it tells of, "
        "and reaches every consumer at least once; a consumer acts on it once.\n"
    )
    for event in sorted(declared, key=lambda event: event.name):
        heard = ", ".join(listening[event.name]) or "nobody inside the platform"
        rows = [
            (f"`{name}`", _kind(schema))
            for name, schema in event.model_json_schema(by_alias=False)["properties"].items()
        ]
        text += (
            f"\n## {event.name}\n\n{_first(event)} Announced by {producers[event.name]}, "
            f"heard by {heard}.\n\n{_table(('field', 'type'), rows)}"
        )
    return text


def _kind(schema: Mapping[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_kind(part) for part in schema["anyOf"])
    return str(schema.get("format") or schema.get("type", "object"))


def states() -> str:
    rows = [
        (
            f"`{state}`",
            meaning,
            ", ".join(f"`{to}` ({by})" for to, by in TRANSITIONS[state].items()) or "nothing",
            ", ".join(DECIDERS.get(state, ())) or "-",
        )
        for state, meaning in STATES.items()
    ]
    outcomes = [(f"`{outcome}`", meaning) for outcome, meaning in OUTCOMES.items()]
    key_states = [(f"`{state}`", meaning) for state, meaning in KEY_STATES.items()]
    policies = [(f"`{policy}`", meaning) for policy, meaning in UPDATE_POLICIES.items()]
    return (
        "# States and outcomes\n\n## States of a version\n\nThe audit or a person brings a version "
        "into another state; every transition is kept with its reason (`heimnetz trail`).\n\n"
        f"{_table(('state', 'meaning', 'becomes (by)', 'who may bring it there'), rows)}"
        "\n## States of a signing key\n\nA key that was rotated or revoked never becomes active "
        f"again.\n\n{_table(('state', 'meaning'), key_states)}"
        "\n## Update policies of an installation\n\nSet by `heimnetz update PLUGIN --policy …`.\n\n"
        f"{_table(('policy', 'meaning'), policies)}"
        "\n## Outcomes of a run\n\nA run has exactly one, which never changes; its reason says "
        f"more.\n\n{_table(('outcome', 'meaning'), outcomes)}"
    )


def problems() -> str:
    found = {
        kind: (status, HTTPStatus(status).phrase) for status, kind in edge.FRAMEWORK_KINDS.items()
    }
    for error in _errors():
        found[error.kind] = (edge.status_of(error), error.title)
    rows = [(f"`{kind}`", str(status), title) for kind, (status, title) in sorted(found.items())]
    return (
        "# Problems\n\nEvery error answer is a problem document (RFC 9457). Programs match on the "
        f"end of its `type`, `{edge.TYPE_BASE}<kind>`; its `detail` is for people and may change. "
        "`errors` lists single mistakes with a JSON Pointer each, and for YAML the line and "
        f"column.\n\n{_table(('kind', 'status', 'title'), rows)}"
    )


def _errors() -> Iterator[type[HeimnetzError]]:
    for path in sorted(SOURCES.glob("*/src/*/*errors.py")):
        importlib.import_module(f"{path.parent.name}.{path.stem}")
    for info in pkgutil.iter_modules(importlib.import_module("heimnetz_common").__path__):
        if info.name not in {"testing", "migrating"}:
            importlib.import_module(f"heimnetz_common.{info.name}")
    waiting = [HeimnetzError]
    while waiting:
        error = waiting.pop()
        waiting += error.__subclasses__()
        # A test in the same process may have errors of its own.
        if "kind" in vars(error) and error.__module__.startswith("heimnetz_"):
            yield error


def metrics(services: Sequence[str]) -> str:
    rows = {}
    own = [f"heimnetz_{service.replace('-', '_')}.metrics" for service in services]
    for name in ("heimnetz_common.telemetry", *own):
        for value in vars(importlib.import_module(name)).values():
            if isinstance(value, MetricWrapperBase):
                (family,) = value.describe()
                exported = family.name + ("_total" if family.type == "counter" else "")
                labels = value._labelnames  # noqa: SLF001 - the library has no public way to read them
                rows[exported] = (family.type, labels, family.documentation)
    rows |= _computed()
    table = [
        (f"`{name}`", kind, ", ".join(f"`{label}`" for label in labels) or "-", meaning)
        for name, (kind, labels, meaning) in sorted(rows.items())
    ]
    return (
        "# Metrics\n\nScraped by Prometheus from `/metrics` of each service, inside the stack "
        "only.\n\n" + _table(("metric", "type", "labels", "meaning"), table)
    )


def _computed() -> Iterator[tuple[str, tuple[str, Sequence[str], str]]]:
    """Families that are computed at each scrape; name, help and labels are literals."""
    for path in sorted(SOURCES.glob("*/src/**/*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            kind, is_family, _ = node.func.id.partition("MetricFamily")
            if is_family and len(node.args) >= 2:
                name, meaning = (ast.literal_eval(argument) for argument in node.args[:2])
                labels = [ast.literal_eval(k.value) for k in node.keywords if k.arg == "labels"]
                suffix = "_total" if kind == "Counter" else ""
                yield name + suffix, (kind.lower(), (labels or [()])[0], meaning)


def _first(cls: type) -> str:
    return " ".join((cls.__doc__ or "").split("\n\n")[0].split())


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    escaped = ([cell.replace("|", "\\|") for cell in line] for line in lines)
    return "".join(f"| {' | '.join(cells)} |\n" for cells in escaped)
