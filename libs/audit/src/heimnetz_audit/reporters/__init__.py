"""One module a format, each with `render(report) -> str`, the same bytes for the same report."""

from heimnetz_audit.reporters import cyclonedx, json, jsonl, markdown, sarif, text

ALL = {
    "json": json,
    "jsonl": jsonl,
    "sarif": sarif,
    "text": text,
    "markdown": markdown,
    "cyclonedx": cyclonedx,
}

__all__ = ["ALL", "cyclonedx", "json", "jsonl", "markdown", "sarif", "text"]
