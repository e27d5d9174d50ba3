"""Runs that the author tried: input, files, configuration, result."""

import json
from typing import Any

from heimnetz_docs import text
from heimnetz_docs.model import Block, Bullets, Cell, Code, Group, Look, Paragraph, Section, Subject


def describe(subject: Subject) -> Section | None:
    examples = subject.manifest.examples
    if not examples:
        return None
    groups = tuple(_group(subject, example) for example in examples)
    facts = [example.model_dump(mode="json") for example in examples]
    return Section("examples", "Examples", groups, facts)


def _group(subject: Subject, example: Any) -> Group:
    blocks: list[Block] = []
    if example.summary:
        blocks.append(Paragraph((Cell(example.summary),)))
    if example.input or not example.files:
        blocks.append(Code(_json(example.input), "json", "Input"))
    if example.files:
        files = tuple(
            (Cell(path, Look.CODE), Cell(f" ({text.size(len(subject.files.get(path, b'')))})"))
            for path in example.files
        )
        blocks += [Paragraph((Cell("Files passed in:"),)), Bullets(files)]
    if example.configuration:
        blocks.append(Code(_json(example.configuration), "json", "Configuration"))
    if example.output is not None:
        blocks.append(
            Code(_json(example.output), "json", "Result; members given here are equal in every run")
        )
    return Group(f"example-{example.name}", Cell(example.name, Look.CODE), tuple(blocks))


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
