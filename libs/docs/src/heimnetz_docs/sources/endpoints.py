"""How programs call the plugin: the invocation endpoint, and routes of its own if it has any."""

from heimnetz_docs import shapes
from heimnetz_docs.model import Block, Cell, Look, Notice, Paragraph, Section, Subject, Table, Tone


def describe(subject: Subject) -> Section:
    manifest = subject.manifest
    blocks: list[Block] = []
    if manifest.kind == "service":
        blocks.append(
            Paragraph(
                (
                    Cell("It answers on the plugins' port, at "),
                    Cell(f"https://HOME:8444/{manifest.name}/", Look.CODE),
                    Cell(", to everybody who reaches that port."),
                )
            )
        )
    elif manifest.triggers.http:
        route = f"POST /api/sandbox/v1/plugins/{manifest.name}/runs"
        blocks += [
            Paragraph(
                (Cell("A run is started by "), Cell(route, Look.CODE), Cell(". What it answers:"))
            ),
            _answers(),
        ]
    else:
        blocks.append(Notice(Tone.NOTE, "This plugin cannot be called over HTTP."))
    if manifest.endpoints and manifest.kind == "service":
        rows = tuple(
            (Cell(f"{item.method} {item.path}", Look.CODE), Cell(item.summary))
            for item in manifest.endpoints
        )
        blocks.append(Table("Routes of the plugin itself", ("Route", "What it does"), rows))
    blocks.append(
        Paragraph(
            (
                Cell("The whole interface for programs: "),
                Cell("openapi.json", href="openapi.json"),
                Cell(" (OpenAPI 3.1). Errors are problem documents (RFC 9457); match on their "),
                Cell("type", Look.CODE),
                Cell("."),
            )
        )
    )
    warnings = tuple(
        f"{item.method} {item.path}: the schema of its {what} is left out: {reason}"
        for item in manifest.endpoints
        for what, schema in (("input", item.input), ("output", item.output))
        if (reason := shapes.mistake(schema)) is not None
    )
    facts = {
        "openapi": "openapi.json",
        "endpoints": [item.model_dump(mode="json") for item in manifest.endpoints],
    }
    return Section("http-api", "HTTP API", tuple(blocks), facts, warnings)


def _answers() -> Table:
    return Table(
        "Answers to a call",
        ("Status", "Meaning"),
        (
            (
                Cell("200", Look.CODE),
                Cell("The run ended within the time that Prefer gave it."),
            ),
            (
                Cell("202", Look.CODE),
                Cell("The run was accepted; Location says where to ask for it."),
            ),
            (Cell("401, 403", Look.CODE), Cell("No token, or one that may not start runs.")),
            (Cell("404", Look.CODE), Cell("The plugin is not installed.")),
            (
                Cell("413, 415, 422", Look.CODE),
                Cell(
                    "Input that is too large, of another kind, or invalid; the problem says where."
                ),
            ),
        ),
    )
