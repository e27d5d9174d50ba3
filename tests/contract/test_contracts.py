"""What is promised to others is what the code does, and what it is told others give."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import generate
import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from heimnetz_common.testing import SERVICES

EVENTS = generate.ROOT / "contracts" / "events"


def test_what_is_committed_is_what_the_code_makes() -> None:
    made, committed = generate.documents(), generate.committed()

    assert committed.keys() == made.keys(), "python contracts/generate.py"
    for name, text in made.items():
        assert committed[name] == text, f"{name} is old: python contracts/generate.py"


@pytest.mark.parametrize("service", SERVICES)
def test_an_api_is_described_as_the_standard_wants(service: str) -> None:
    validate(json.loads((generate.ROOT / f"contracts/openapi/{service}.json").read_text("utf-8")))


def schema(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text("utf-8"))
    return document


@pytest.mark.parametrize("path", sorted(EVENTS.glob("*.json")), ids=lambda path: path.stem)
def test_an_event_has_a_schema_and_one_producer(path: Path) -> None:
    document = schema(path.stem)

    Draft202012Validator.check_schema(document)
    producers = [
        service
        for service in SERVICES
        for event in generate.announced(service)
        if event.name == path.stem
    ]
    assert producers == [document["x-producer"]]


READINGS = [
    (service, subscription.data_type)
    for service in SERVICES
    for subscription in generate.subscriptions(service)
]


@pytest.mark.parametrize(
    ("service", "event"), READINGS, ids=lambda value: getattr(value, "name", value)
)
def test_a_consumer_reads_only_what_the_producer_sends(service: str, event: Any) -> None:
    sent, read = schema(event.name), event.model_json_schema(mode="validation", by_alias=False)

    for field in read["properties"]:
        assert field in sent["properties"], f"{service} reads {field}, which nobody sends"
    assert fits(sent, read, Defined(sent, read))


class Defined:
    """Follows references of either side."""

    def __init__(self, sent: Mapping[str, Any], read: Mapping[str, Any]) -> None:
        self._definitions = {**read.get("$defs", {}), **sent.get("$defs", {})}
        self._read = read.get("$defs", {})

    def sent(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        return self._follow(schema, self._definitions)

    def read(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        return self._follow(schema, self._read)

    def _follow(self, schema: Mapping[str, Any], where: Mapping[str, Any]) -> Mapping[str, Any]:
        found: Mapping[str, Any] = (
            where[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
        )
        return found


def fits(sent: Mapping[str, Any], read: Mapping[str, Any], defined: Defined) -> bool:
    """Whether what is sent is of the type that is read, as far as events use types."""
    sent, read = defined.sent(sent), defined.read(read)
    if "anyOf" in sent:
        return all(fits(part, read, defined) for part in sent["anyOf"])
    if "anyOf" in read:
        return any(fits(sent, part, defined) for part in read["anyOf"])
    if not {"type", "enum"} & read.keys():
        return True
    if "enum" in read:
        return set(sent.get("enum", [None])) <= set(read["enum"])
    kinds = {"number": ("number", "integer")}.get(read["type"], (read["type"],))
    return sent.get("type") in kinds and all(
        name in sent.get("properties", {}) and fits(sent["properties"][name], part, defined)
        for name, part in read.get("properties", {}).items()
    )


@pytest.mark.parametrize("service", SERVICES)
def test_every_route_has_exactly_one_rule(service: str, tmp_path: Path) -> None:
    rules = {
        f"{sorted(route.methods or ())} {route.path}": len(found)
        for route, found in generate.routes(generate.application(service, tmp_path))
    }

    assert rules
    assert {name: count for name, count in rules.items() if count != 1} == {}


@pytest.mark.parametrize("service", SERVICES)
def test_every_setting_says_what_it_is_for(service: str) -> None:
    fields = generate.settings_class(service).model_fields

    assert [name for name, field in fields.items() if not field.description] == []
