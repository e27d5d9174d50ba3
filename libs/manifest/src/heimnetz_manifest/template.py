"""The commented `plugin.yaml` that a new plugin begins with, made from the model's own words."""

from __future__ import annotations

import textwrap
import types
import typing
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from heimnetz_manifest.model import Manifest
from heimnetz_manifest.schema import SCHEMA_ID

_GIVEN = {
    "manifest": "1",
    "name": "my-plugin",
    "version": "0.1.0",
    "title": "My plugin",
    "summary": "What it does, in one line",
    "licence": "Apache-2.0",
    "authors": "\n  - name: Your Name",
    "kind": "job",
    "runtime": "python",
    "entry_point": "my_plugin.main:run",
}
_SHOWN = {
    "description": "|\n  More about it, in Markdown.",
    "homepage": "https://example.org/my-plugin",
    "keywords": "[smart-meter]",
    "category": "energy",
    "icon": "icon.svg",
    "fresh": "container",
    "triggers": (
        '\n  http: true\n  cron:\n    - schedule: "0 6 * * *"\n      time_zone: Europe/Berlin'
        "\n  events: [heimnetz.run.finished.v1]"
    ),
    "permissions": (
        "\n  network:\n    - to: api.example.org:443\n      reason: Reads the prices of tomorrow"
        "\n  storage:\n    size: 1 MiB\n    reason: Remembers what it has seen"
        "\n  secrets:\n    - name: password\n      to: api.example.org:443"
        "\n      reason: The price service asks for it"
        "\n  publish:\n    - event: energy.price.changed.v1\n      reason: Others react to it"
        "\n  call:\n    - plugin: log-digest\n      reason: Sums up its own log"
    ),
    "limits": (
        "\n  memory: 128 MiB\n  cpu: 0.5\n  cpu_time: 20 s\n  processes: 64\n  open_files: 64"
        "\n  wall: 30 s\n  tmp: 32 MiB\n  tmp_inodes: 1024\n  result: 1 MiB\n  log: 256 KiB"
        "\n  output: 32 MiB\n  output_inodes: 256"
    ),
    "configuration": (
        "\n  type: object\n  properties:\n    price:\n      type: number\n      default: 0.32"
        "\n      minimum: 0\n    password:\n      type: string\n      secret: true"
    ),
    "examples": (
        "\n  - name: a-day\n    input: {day: 2026-03-29}\n    files: [examples/day.csv]"
        "\n    configuration: {price: 0.4}\n    output: {days: 1}"
    ),
    "endpoints": "\n  - method: GET\n    path: /readings/{day}\n    summary: Readings of one day",
    "metrics": "\n  - name: readings_total\n    type: counter\n    help: Readings taken in",
    "service_level": "\n  availability: 0.99\n  latency: 2 s",
    "health": "\n  path: /healthz\n  interval: 30 s",
    "dependencies": "\n  lock: requirements.lock",
    "native": "[src/my_plugin/fast.so]",
}
_WIDTH = 96


def manifest_template() -> str:
    """Valid as it stands; every key that may be added stands in comments with its meaning."""
    parts = [f"# yaml-language-server: $schema={SCHEMA_ID}\n"]
    for name, info in Manifest.model_fields.items():
        comment = textwrap.wrap(_comment(name, info), _WIDTH)
        parts.append("".join(f"# {line}\n" for line in comment) + _entry(name))
    return "\n".join(parts)


def all_keys() -> str:
    """The template with every optional key taken in; tests parse it, so that no comment lies."""
    return "\n".join(_write(name) for name in Manifest.model_fields)


def _entry(name: str) -> str:
    text = _write(name)
    return text if name in _GIVEN else "".join(f"#: {line}\n" for line in text.splitlines())


def _write(name: str) -> str:
    value = _GIVEN.get(name) or _SHOWN[name]
    return f"{name}:{value}\n" if value.startswith("\n") else f"{name}: {value}\n"


def _comment(name: str, info: FieldInfo) -> str:
    words = info.description or name.replace("_", " ").capitalize()
    choices = _choices(info.annotation)
    need = "Required" if info.is_required() else "Optional"
    return f"{words}. {need}{'; one of ' + ', '.join(choices) if choices else ''}."


def _choices(annotation: Any) -> list[str]:
    if typing.get_origin(annotation) is typing.Literal:
        return [str(choice) for choice in typing.get_args(annotation)]
    if typing.get_origin(annotation) in {typing.Union, types.UnionType}:
        return [choice for inner in typing.get_args(annotation) for choice in _choices(inner)]
    return []


def explained_keys(model: type[BaseModel] = Manifest, prefix: str = "") -> list[tuple[str, str]]:
    """Every key of the vocabulary with its meaning, for the documentation and its test."""
    found: list[tuple[str, str]] = []
    for name, info in model.model_fields.items():
        key = f"{prefix}{info.alias or name}"
        found.append((key, info.description or ""))
        inner = _model_in(info.annotation)
        if inner is not None:
            many = "[]" if typing.get_origin(info.annotation) is list else ""
            found += explained_keys(inner, f"{key}{many}.")
    return found


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and not typing.get_origin(annotation):
        return annotation if issubclass(annotation, BaseModel) else None
    return next(filter(None, map(_model_in, typing.get_args(annotation))), None)
