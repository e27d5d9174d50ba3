"""The plugin's entry point."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from log_digest.digesting import Digest
from log_digest.model import LogError, Place
from log_digest.reading import numbered, parser, recognise
from log_digest.writing import write

if TYPE_CHECKING:
    from heimnetz_sdk.plugin import Context

PAGE = "digest.md"


def run(input: Mapping[str, Any], context: "Context") -> dict[str, Any]:  # noqa: A002, ARG001
    """Read every file that came with the run, and digest them together."""
    if not context.files:
        raise LogError("no file came with the run; send at least one log")
    ignored = tuple(str(text) for text in context.config.get("ignore") or ())
    digest = Digest()
    forms: dict[str, str] = {}
    for name in sorted(context.files):
        file = context.files[name]
        form = recognise(file, name)
        forms[name] = form or "unknown"
        context.log(f"{name}: {forms[name]}")
        parse = parser(form)
        for number, line in numbered(file, name):
            if ignored and any(text in line for text in ignored):
                digest.ignored += 1
                continue
            entry = parse(line)
            if entry is None:
                digest.refuse(Place(name, number), line)
            else:
                digest.take(entry, Place(name, number), line)
    report = {
        "formats": forms,
        **digest.report(int(context.config.get("top") or 10)),
        "page": PAGE,
    }
    (context.out / PAGE).write_text(write(report), encoding="utf-8")
    context.log(f"{digest.lines} lines, {digest.errors} errors")
    return report
