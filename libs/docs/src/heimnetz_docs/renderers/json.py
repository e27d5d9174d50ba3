"""Pages for programs."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from heimnetz_docs.guides import Guide
from heimnetz_docs.model import Entry, Known, Page

_LINE = json.JSONEncoder(ensure_ascii=False, sort_keys=True)


def version(page: Page, known: Known) -> bytes:
    return dump(
        {
            "plugin": page.plugin,
            "version": page.version,
            "title": page.title,
            "summary": page.summary,
            "state": page.state,
            "publisher": known.publisher,
            "published_at": known.published_at.isoformat() if known.published_at else None,
            "sha256": page.sha256,
            "size_bytes": page.size_bytes,
            "grade": page.grade.letter if page.grade else None,
            "warnings": list(page.warnings),
            "sections": {section.anchor: section.facts for section in page.sections},
        }
    )


def entries(items: Iterable[Entry]) -> bytes:
    return _dump_lines([_entry(item) for item in items])


def search(plugins: Iterable[Entry], guides: Iterable[Guide]) -> bytes:
    return _dump_lines(search_entries(plugins, guides))


def search_entries(plugins: Iterable[Entry], guides: Iterable[Guide]) -> list[dict[str, str]]:
    found = [
        {
            "title": item.title,
            "text": f"{item.plugin} {item.summary}",
            "href": f"{item.plugin}/",
            "kind": "plugin",
        }
        for item in plugins
    ]
    found += [
        {
            "title": item.title,
            "text": item.summary,
            "href": f"platform/{item.path}.html",
            "kind": "guide",
        }
        for item in guides
    ]
    return found


def script(name: str, value: Any) -> bytes:
    """A value as a script, so that a page opened from a disk can read it too."""
    # `</` and the line separators mean something to an HTML or a script parser.
    text = json.dumps(value, sort_keys=True).replace("<", "\\u003c")
    return f"window.{name}={text};\n".encode()


def dump(value: Any) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True) + "\n").encode(
        "utf-8", "replace"
    )


def _dump_lines(items: Sequence[Mapping[str, Any]]) -> bytes:
    """An item a line: they are many, and the indenting encoder is ten times slower."""
    lines = ",\n".join(map(_LINE.encode, items))
    return f'{{"items": [\n{lines}\n]}}\n'.encode("utf-8", "replace")


def _entry(item: Entry) -> dict[str, Any]:
    return {
        "plugin": item.plugin,
        "version": item.version,
        "title": item.title,
        "summary": item.summary,
        "state": item.state,
        "grade": item.grade,
        "published_at": item.published_at.isoformat() if item.published_at else None,
    }
