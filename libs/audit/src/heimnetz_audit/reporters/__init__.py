"""One module a format, each with `render(report, standing=None) -> str`, always the same bytes.

Without a `standing` a report says what was found and nothing of an owner's waivers.
"""

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
