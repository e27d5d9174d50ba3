"""What starts a run."""

import json

from heimnetz_docs import text
from heimnetz_docs.model import Bullets, Cell, Look, Notice, Section, Subject, Tone
from heimnetz_manifest import Manifest


def describe(subject: Subject) -> Section:
    triggers = subject.manifest.triggers
    items: list[tuple[Cell, ...]] = []
    if subject.manifest.kind == "service":
        items.append((Cell("It is a service: it runs all the time, once it is installed."),))
    elif triggers.http:
        items.append(
            (
                Cell("A call over HTTP, with "),
                Cell("heimnetz run", Look.CODE),
                Cell(" or by a program."),
            )
        )
    for cron in triggers.cron:
        cells = [
            Cell("On schedule "),
            Cell(cron.schedule, Look.CODE),
            Cell(f", times in {cron.time_zone}"),
        ]
        if cron.input:
            cells += [
                Cell(", with the input "),
                Cell(json.dumps(cron.input, ensure_ascii=False), Look.CODE),
            ]
        items.append((*cells, Cell(".")))
    items += [
        (Cell("When the event "), Cell(event, Look.CODE), Cell(" is announced."))
        for event in triggers.events
    ]
    block = Bullets(tuple(items)) if items else Notice(Tone.WARNING, "Nothing starts it.")
    return Section("triggers", "Triggers", (block,), triggers.model_dump(mode="json"))


def summary(manifest: Manifest) -> str:
    if manifest.kind == "service":
        return "All the time"
    triggers = manifest.triggers
    parts = ["when called"] if triggers.http else []
    if triggers.cron:
        parts.append(
            f"on schedule {triggers.cron[0].schedule}"
            if len(triggers.cron) == 1
            else "on schedules"
        )
    if triggers.events:
        parts.append(f"on {text.count(len(triggers.events), 'event')}")
    joined = ", ".join(parts) or "never"
    return joined[0].upper() + joined[1:]
