"""Turns the docstring of a check into its page: what it finds, why, what to do, and examples.

A docstring holds prose, then `Found in` a file and `Not found in` a file, each with an indented
example. The tests run every example, so that no page can say what the check does not do.
"""

import inspect
import re
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from heimnetz_audit.checks import MODULES
from heimnetz_audit.model import Check
from heimnetz_audit.reporters.wording import fenced

_EXAMPLE: Final = re.compile(
    r"^(Found|Not found) in `([^`]+)`:\n\n((?:    .*\n|\n)+)", re.MULTILINE
)
_LANGUAGES: Final = {"py": "python", "js": "javascript", "yaml": "yaml"}
_CWE: Final = "https://cwe.mitre.org/data/definitions"


@dataclass(frozen=True, slots=True)
class Example:
    """One file of a package."""

    file: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What a check says of itself: `what` is a sentence, `why` is Markdown."""

    check: Check
    what: str
    why: str
    found: Example
    not_found: Example


def explain(rule: str) -> Explanation | None:
    """None where no check has this rule."""
    return next((each for each in explain_all() if each.check.rule == rule), None)


def explain_all() -> tuple[Explanation, ...]:
    """Sorted by rule. Raises: ValueError, when a docstring is not as it has to be."""
    made = [_explain(module.CHECK, inspect.cleandoc(module.__doc__ or "")) for module in MODULES]
    return tuple(sorted(made, key=lambda each: each.check.rule))


def _explain(check: Check, text: str) -> Explanation:
    examples = {
        word: Example(file, textwrap.dedent(body).strip("\n") + "\n")
        for word, file, body in _EXAMPLE.findall(f"{text}\n")
    }
    prose = _EXAMPLE.split(f"{text}\n", maxsplit=1)[0].strip()
    what, _, why = prose.partition("\n\n")
    if not what or not why or set(examples) != {"Found", "Not found"}:
        raise ValueError(f"{check.rule}: what, why, and two examples are needed")
    return Explanation(
        check=check,
        what=" ".join(what.split()),
        why=why.strip(),
        found=examples["Found"],
        not_found=examples["Not found"],
    )


def page(explanation: Explanation) -> str:
    """Markdown. Its headings are the same on every page and never change: others link to them."""
    check = explanation.check
    cwe = f"[CWE-{check.cwe}]({_CWE}/{check.cwe}.html)" if check.cwe is not None else "-"
    return (
        f"# {check.title}\n\n{explanation.what}\n\n"
        f"| rule | severity | weakness |\n| --- | --- | --- |\n"
        f"| `{check.rule}` | {check.severity.label}, unless a finding says otherwise | {cwe} |\n\n"
        f"## Why\n\n{explanation.why}\n\n"
        f"## How to fix\n\n{check.remedy}\n\n"
        f"## Found\n\n{_shown(explanation.found)}\n"
        f"## Not found\n\n{_shown(explanation.not_found)}"
    )


def _shown(example: Example) -> str:
    language = _LANGUAGES.get(example.file.rpartition(".")[2], "text")
    lines = "\n".join(fenced(line) for line in example.text.rstrip("\n").split("\n"))
    return f"In `{example.file}`:\n\n```{language}\n{lines}\n```\n"


def index(explanations: Iterable[Explanation]) -> str:
    """A table of all pages, for the folder in which they lie."""
    rows = "".join(
        f"| [{each.check.rule}]({each.check.rule}.md) | {each.check.severity.label} "
        f"| {f'CWE-{each.check.cwe}' if each.check.cwe is not None else '-'} | {each.what} |\n"
        for each in explanations
    )
    return (
        "# Checks\n\nWhat an audit looks for. Each finding names its rule, and each rule has a "
        "page, here and by `heimnetz explain RULE`.\n\n"
        f"| rule | severity | weakness | what it finds |\n| --- | --- | --- | --- |\n{rows}"
    )
