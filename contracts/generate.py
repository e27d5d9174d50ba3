"""Writes what others rely on, from the code that decides it: `python contracts/generate.py`.

contracts/openapi/   the HTTP API of each service (OpenAPI 3.1)
contracts/events/    the data of each event (JSON Schema 2020-12)
contracts/manifest.schema.json, contracts/state.schema.json
docs/reference/      tables for people: settings, routes, access, events, states, problems, metrics
docs/checks/         a page for each check of the audit, and their index
libs/cli/.../help.py what `heimnetz --help` prints

A test compares what is committed with what this makes.
"""

import importlib
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import reference
from fastapi import FastAPI
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts
from typer.main import get_command

from heimnetz_audit import explaining
from heimnetz_cli.app import app as cli
from heimnetz_cli.state import state_schema
from heimnetz_common.auth import Rule
from heimnetz_common.events import EventData
from heimnetz_common.sealing import generate_key
from heimnetz_common.settings import ServiceSettings
from heimnetz_common.testing import SERVICES, KeyRing
from heimnetz_manifest import manifest_schema

ROOT = Path(__file__).resolve().parents[1]
HELP = "libs/cli/src/heimnetz_cli/help.py"
MARK = "<!-- Made by contracts/generate.py; change the code instead. -->\n"


def module(service: str, name: str) -> Any:
    return importlib.import_module(f"heimnetz_{service.replace('-', '_')}.{name}")


def settings_class(service: str) -> type[ServiceSettings]:
    (found,) = (
        value
        for value in vars(module(service, "settings")).values()
        if isinstance(value, type)
        and issubclass(value, ServiceSettings)
        and value is not ServiceSettings
    )
    return found


def application(service: str, folder: Path, ring: KeyRing | None = None) -> FastAPI:
    """The service's application, with secrets of its own making and nothing that runs."""
    secrets = (ring or KeyRing(folder)).secrets_dir(service)
    (secrets / "encryption.key").write_text(generate_key())
    (secrets / "alertmanager-webhook-token").write_text("none")
    settings = settings_class(service)(secrets_dir=secrets, tls=False)
    app: FastAPI = module(service, "app").create(settings)
    return app


def routes(app: FastAPI) -> Iterator[tuple[RouteContext, list[Rule]]]:
    """Every route with the rules that it carries."""
    for route in iter_route_contexts(app.routes):
        if isinstance(route.original_route, APIRoute):
            calls = [one.call for one in route.dependant.dependencies]
            yield route, [call for call in calls if isinstance(call, Rule)]


def announced(service: str) -> list[type[EventData]]:
    """The events that the service itself announces."""
    events = module(service, "events")
    heard = {subscription.data_type for subscription in subscriptions(service)}
    return [
        value
        for value in vars(events).values()
        if isinstance(value, type)
        and issubclass(value, EventData)
        and value.__module__ == events.__name__
        and "name" in vars(value)
        and value not in heard
    ]


def subscriptions(service: str) -> tuple[Any, ...]:
    consumers = module(service, "consumers")
    declared = getattr(consumers, "SUBSCRIPTIONS", None)
    return tuple(consumers.subscriptions(lambda: None) if declared is None else declared)


def _event_schema(event: type[EventData], service: str) -> dict[str, Any]:
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"https://heimnetz.example/contracts/events/{event.name}.json",
        "x-producer": service,
        **event.model_json_schema(mode="serialization", by_alias=False),
    }


def _json(document: Any) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _help() -> str:
    """The command's help as a module, which prints it without loading the commands."""
    command = get_command(cli)
    with command.make_context("heimnetz", [], resilient_parsing=True, terminal_width=78) as context:
        text = command.get_help(context).replace("\\", "\\\\").replace('"""', '\\"""')
    head = '"""What `heimnetz --help` prints in 80 columns; made by contracts/generate.py."""'
    return f'{head}\n\nTEXT = """\\\n{text}\n"""\n'


def documents() -> dict[str, str]:
    """Every generated file: its path below the root, and its text."""
    made: dict[str, str] = {
        "contracts/manifest.schema.json": _json(manifest_schema()),
        "contracts/state.schema.json": _json(state_schema()),
    }
    producers: dict[str, str] = {}
    apps: dict[str, FastAPI] = {}
    for service in SERVICES:
        with tempfile.TemporaryDirectory() as folder:
            apps[service] = application(service, Path(folder))
        made[f"contracts/openapi/{service}.json"] = _json(apps[service].openapi())
        for event in announced(service):
            producers[event.name] = service
            made[f"contracts/events/{event.name}.json"] = _json(_event_schema(event, service))
    listening: dict[str, list[str]] = {name: [] for name in producers}
    for service in SERVICES:
        for subscription in subscriptions(service):
            listening[subscription.data_type.name].append(service)
    events = [event for service in SERVICES for event in announced(service)]
    ruled = {name: list(routes(app)) for name, app in apps.items()}
    pages = {
        "settings": reference.settings([settings_class(service) for service in SERVICES]),
        "http": reference.http(ruled),
        "access": reference.access(ruled, SERVICES),
        "events": reference.events(events, producers, listening),
        "states": reference.states(),
        "problems": reference.problems(),
        "metrics": reference.metrics(SERVICES),
    }
    made |= {f"docs/reference/{name}.md": f"{MARK}{text}" for name, text in pages.items()}
    explanations = explaining.explain_all()
    made |= {
        f"docs/checks/{each.check.rule}.md": f"{MARK}{explaining.page(each)}"
        for each in explanations
    }
    made[HELP] = _help()
    made["docs/checks/README.md"] = f"{MARK}{explaining.index(explanations)}"
    return made


def committed() -> dict[str, str]:
    folders = (ROOT / "contracts", ROOT / "docs" / "reference", ROOT / "docs" / "checks")
    paths = [path for folder in folders for path in sorted(folder.rglob("*"))]
    return {
        str(path.relative_to(ROOT)): path.read_text("utf-8")
        for path in [*paths, ROOT / HELP]
        if path.suffix in {".json", ".md"} or path == ROOT / HELP
    }


def main() -> None:
    made = documents()
    for stale in committed().keys() - made.keys():
        (ROOT / stale).unlink()
    for name, text in made.items():
        path = ROOT / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    sys.stdout.write(f"{len(made)} files\n")


if __name__ == "__main__":
    main()
