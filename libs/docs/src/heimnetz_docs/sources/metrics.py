"""What the plugin measures, and what its author promises."""

from heimnetz_docs.model import Block, Cell, Facts, Look, Section, Subject, Table


def describe(subject: Subject) -> Section | None:
    manifest = subject.manifest
    blocks: list[Block] = []
    if manifest.metrics:
        rows = tuple(
            (Cell(item.name, Look.CODE), Cell(item.type), Cell(item.unit or "-"), Cell(item.help))
            for item in manifest.metrics
        )
        blocks.append(Table("Metrics of the plugin", ("Name", "Type", "Unit", "Meaning"), rows))
    level = manifest.service_level
    if level:
        promises: list[tuple[str, Cell]] = []
        if level.availability is not None:
            promises.append(("Runs that end ok", Cell(f"{level.availability * 100:.6g} %")))
        if level.latency_seconds is not None:
            promises.append(("99 of 100 answers within", Cell(f"{level.latency_seconds:g} s")))
        blocks.append(Facts(tuple(promises)))
    if not blocks:
        return None
    facts = {
        "metrics": [item.model_dump(mode="json") for item in manifest.metrics],
        "service_level": level.model_dump(mode="json") if level else None,
    }
    return Section("metrics", "Metrics and service level", tuple(blocks), facts)
