"""An OpenAPI document as sections for people: a section a route, then a section a schema."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from heimnetz_docs.model import Block, Cell, Code, Facts, Look, Paragraph, Section, Table, Tone
from heimnetz_docs.sources.configuration import fields, type_of

_REFERENCE = "#/components/schemas/"
_EXAMPLES = 3


def sections(document: Mapping[str, Any]) -> tuple[Section, ...]:
    routes = [
        _route(method, path, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]
    schemas = [
        Section(f"schema-{name.lower()}", f"{name} (schema)", tuple(_schema(schema)))
        for name, schema in sorted(document["components"]["schemas"].items())
    ]
    return (_server(document), *routes, *schemas)


def _server(document: Mapping[str, Any]) -> Section:
    server = document["servers"][0]
    variables = server.get("variables", {})
    address = server["url"].format(**{name: item["default"] for name, item in variables.items()})
    token = "a token: Authorization: Bearer …" if document["security"] else "nothing"
    pairs = [
        ("Address", Cell("that of these pages" if address == "/" else address, Look.CODE)),
        ("What is there", Cell(server["description"])),
        ("A request needs", Cell(token)),
    ]
    pairs += [(f"{name} is", Cell(item["description"])) for name, item in variables.items()]
    blocks: list[Block] = [Facts(tuple(pairs))]
    if not document["paths"]:
        blocks.append(Paragraph((Cell("There is no route: nothing of it is called over HTTP."),)))
    return Section("server", "Where it answers", tuple(blocks))


def _route(method: str, path: str, operation: Mapping[str, Any]) -> Section:
    blocks: list[Block] = [Paragraph((Cell(operation["summary"]),))]
    parameters = operation.get("parameters", [])
    if parameters:
        blocks.append(_parameters(parameters))
    body = operation.get("requestBody")
    if body:
        blocks += _content("Body of the request", body["content"])
    blocks.append(_answers(operation["responses"]))
    for status, answer in operation["responses"].items():
        if "application/json" in answer.get("content", {}):
            blocks += _content(f"Answer {status}", answer["content"])
    return Section(operation["operationId"], f"{method.upper()} {path}", tuple(blocks))


def _parameters(parameters: list[Mapping[str, Any]]) -> Table:
    rows = tuple(
        (
            Cell(item["name"], Look.CODE),
            Cell(item["in"]),
            Cell(type_of(item["schema"])),
            Cell("must be given", Look.MARK, Tone.WARNING)
            if item["required"]
            else Cell("may be left out"),
            Cell(item.get("description") or str(item["schema"].get("description", "-"))),
        )
        for item in parameters
    )
    return Table("Parameters", ("Name", "Where", "Type", "Needed", "Meaning"), rows)


def _answers(responses: Mapping[str, Mapping[str, Any]]) -> Table:
    rows = tuple(
        (
            Cell("any other" if status == "default" else status, Look.CODE),
            Cell(answer["description"]),
            Cell(", ".join(answer.get("content", {})) or "-"),
        )
        for status, answer in responses.items()
    )
    return Table("Answers", ("Status", "Meaning", "Form"), rows)


def _content(caption: str, content: Mapping[str, Mapping[str, Any]]) -> Iterator[Block]:
    for form, media in content.items():
        schema = media["schema"]
        reference = schema.get("$ref", "")
        if reference:
            name = reference.removeprefix(_REFERENCE)
            link = Cell(name, href=f"#schema-{name.lower()}")
            yield Paragraph((Cell(f"{caption}, {form}: "), link, Cell(".")))
        else:
            yield Paragraph((Cell(f"{caption}, {form}:"),))
            yield from _schema(schema)
        for name, example in list(media.get("examples", {}).items())[:_EXAMPLES]:
            yield Code(_json(example["value"]), "json", f"Example {name}")


def _schema(schema: Mapping[str, Any]) -> Iterator[Block]:
    if schema.get("description"):
        yield Paragraph((Cell(str(schema["description"])),))
    rows = tuple(
        (
            Cell(path, Look.CODE),
            Cell(type_of(inner)),
            Cell("yes" if is_required else "no"),
            Cell(str(inner.get("description") or inner.get("title") or "-")),
        )
        for path, inner, is_required in fields(schema)
    )
    if rows:
        yield Table("Members", ("Name", "Type", "Needed", "Meaning"), rows)
    yield Code(_json(schema), "json", "JSON Schema")


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
