"""The commands that put the plugin to use, made from its manifest."""

import json
import shlex
from typing import Any

from heimnetz_docs.model import Block, Cell, Code, Notice, Paragraph, Section, Subject, Tone


def describe(subject: Subject) -> Section:
    manifest = subject.manifest
    blocks: list[Block] = [
        Paragraph((Cell("Install this version; each permission is shown before you say yes:"),)),
        Code(f"heimnetz install {manifest.name}@{manifest.version}", "sh"),
    ]
    facts: dict[str, Any] = {"install": f"heimnetz install {manifest.name}@{manifest.version}"}
    if manifest.kind == "service":
        return _service(blocks, facts, str(manifest.name))
    if not manifest.triggers.http:
        blocks.append(Notice(Tone.NOTE, "It cannot be called: its triggers start it."))
        return Section("usage", "Usage", tuple(blocks), facts)
    command, request = commands(subject)
    blocks += [
        Paragraph((Cell("Run it and wait for the result:"),)),
        Code(command, "sh"),
        Paragraph((Cell("The same over HTTP, from any program:"),)),
        Code(request, "sh"),
        Paragraph(
            (
                Cell("Input, answers and errors are in "),
                Cell("HTTP API", href="#http-api"),
                Cell(", runs that the author tried in "),
                Cell("Examples", href="#examples"),
                Cell("."),
            )
        ),
    ]
    return Section("usage", "Usage", tuple(blocks), facts | {"run": command, "request": request})


def _service(blocks: list[Block], facts: dict[str, Any], name: str) -> Section:
    address = f"https://HOME:8444/{name}/"
    blocks += [
        Paragraph(
            (Cell("It runs from then on. Its pages, with the name of your server for HOME:"),)
        ),
        Code(address),
        Paragraph(
            (Cell("Its routes for programs are in "), Cell("HTTP API", href="#http-api"), Cell("."))
        ),
    ]
    return Section("usage", "Usage", tuple(blocks), facts | {"pages": address})


def commands(subject: Subject) -> tuple[str, str]:
    """The first example as a command and as an HTTP request."""
    manifest = subject.manifest
    example = manifest.examples[0] if manifest.examples else None
    command = ["heimnetz", "run", str(manifest.name)]
    url = f'"$HEIMNETZ_URL/api/sandbox/v1/plugins/{manifest.name}/runs"'
    request = [f"curl {url}", '-H "Authorization: Bearer $HEIMNETZ_TOKEN"', "-H 'Prefer: wait=30'"]
    given = example.input if example else {}
    if given:
        command += ["--input", json.dumps(given, ensure_ascii=False)]
    if example and example.files:
        for path in example.files:
            command += ["--file", path]
        request.append(f"-F {shlex.quote(f'input={json.dumps(given)};type=application/json')}")
        request += [f"-F {shlex.quote('file=@' + path)}" for path in example.files]
    else:
        request.append(f"--json {shlex.quote(json.dumps({'input': given}, ensure_ascii=False))}")
    return shlex.join(command), " \\\n  ".join(request)
