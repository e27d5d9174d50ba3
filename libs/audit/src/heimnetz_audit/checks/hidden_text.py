"""The source shows something else than what the computer reads.

Characters that change the direction of text, that have no width, or that look like others, and
code far to the right of a line, are there to deceive a reader.

Found in `app.py`:

    role = 'user\u202e\u2066# admin\u2069\u2066'

Not found in `app.py`:

    role = 'Benutzer für Öl und Gas'
"""

import ast
import re
import unicodedata
from collections.abc import Iterator

from heimnetz_audit.model import Check, Confidence, Hit, PythonModule, Severity

_BIDI = re.compile("[\u202a-\u202e\u2066-\u2069]")
_INVISIBLE = re.compile(
    "[\u200b\u200c\u200d\u2060\u00ad\U000e0000-\U000e007f\ufe00-\ufe0f]{8,}|[\u3164\uffa0\u115f]"
)
_FAR = re.compile(r"\S[ \t]{120,}[^\s#]")


def _ask(module: PythonModule) -> Iterator[Hit]:
    if not module.text.isascii():
        for number, line in enumerate(module.lines, 1):
            if _BIDI.search(line):
                yield Hit(message="Characters turn the direction of the text around.", line=number)
                break
        for number, line in enumerate(module.lines, 1):
            if _INVISIBLE.search(line):
                yield Hit(message="The line holds invisible characters.", line=number)
                break
        yield from _look_alikes(module)
    for number, line in enumerate(module.lines, 1):
        found = _FAR.search(line) if len(line) > 120 else None
        if found is not None and _is_code(line[found.end() - 1 :]):
            yield Hit(
                message="Code stands far to the right, where nobody looks.",
                line=number,
                confidence=Confidence.MEDIUM,
            )
            break


def _is_code(text: str) -> bool:
    return bool(
        re.match(
            r";?\s*(import|exec|eval|__import__|from|os\.|subprocess|getattr|require|Function|global|process\.)",
            text,
        )
    )


def _look_alikes(module: PythonModule) -> Iterator[Hit]:
    """An identifier that mixes scripts reads like another one."""
    for node in module.nodes:
        name = node.id if isinstance(node, ast.Name) else getattr(node, "name", None)
        if isinstance(name, str) and not name.isascii() and _mixes(name):
            yield Hit(
                message="A name mixes letters of several scripts that look alike.",
                line=getattr(node, "lineno", 1),
            )
            return
    # Python reads such letters as plain ones, so that a search for the name misses them.
    found = re.search("[\U0001d400-\U0001d7ff\uff21-\uff3a\uff41-\uff5a]{3,}\\s*[(.=]", module.text)
    if found is not None:
        line = module.text.count("\n", 0, found.start()) + 1
        yield Hit(message="A name is written in letters that only look different.", line=line)


def _mixes(name: str) -> bool:
    scripts = {unicodedata.name(c, "?").split()[0] for c in name if c.isalpha()}
    return "LATIN" in scripts and bool(scripts & {"CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE"})


CHECK = Check(
    rule="hidden-text",
    title="Deceiving characters",
    cwe=1007,
    severity=Severity.HIGH,
    remedy="Write what is meant to run.",
    module=_ask,
)
