"""A script was made unreadable on purpose.

A tool gave its variables names such as `_0x3fa2`, moved its texts into a list that the code turns
around before it looks something up, or wrote all of it with six characters. That is more than
making a file small: it keeps a reader from seeing what the code does. Ship what was written; a
minified file with its source beside it is no finding.

Found in `app.js`:

    var _0x1c9a=['log','push','shift'];(function(_0x2b,_0x3c){var _0x4d=function(_0x5e1f){
    while(--_0x5e1f){_0x2b['push'](_0x2b['shift']());}};_0x4d(++_0x3c);}(_0x1c9a,0x12));
    var _0x77aa=function(_0x88bb,_0x99cc){_0x88bb=_0x88bb-0x0;return _0x1c9a[_0x88bb];};
    console[_0x77aa('0x0')](_0x77aa('0x1'));

Not found in `app.js`:

    var n=['log','push'];function f(a){return n[a]}console[f(0)](f(1));
"""

import ast
import re
from collections.abc import Iterator
from typing import Final

from heimnetz_audit.model import Check, Hit, PythonModule, Severity

_MADE: Final = re.compile(r"^_0x[0-9a-f]{2,8}$", re.IGNORECASE)
#: Distinct names of that kind in a file.
_LEAST_NAMES: Final = 6
_SIX: Final = re.compile(r"[\[\]()!+]{1000,}")
_FACES: Final = re.compile("ﾟωﾟ|\\(ﾟДﾟ\\)")
_ESCAPES: Final = re.compile(r"(?:\\x[0-9a-fA-F]{2}|\\u00[0-9a-fA-F]{2}){60,}")
_SHOWN: Final = "The script was made unreadable"


def _ask(module: PythonModule) -> Iterator[Hit]:
    if module.language != "javascript":
        return
    names = {
        node.id: node.lineno
        for node in reversed(module.nodes)
        if isinstance(node, ast.Name) and node.id[:3] == "_0x"
    }
    made = {name: line for name, line in names.items() if _MADE.match(name)}
    if len(made) >= _LEAST_NAMES:
        yield Hit(message=f"{_SHOWN}: its names are made up by a tool.", line=min(made.values()))
        return
    for pattern, how in (
        (_SIX, "it is written with six characters."),
        (_FACES, "it is written as pictures of faces."),
        (_ESCAPES, "its texts are written as numbers."),
    ):
        found = pattern.search(module.text)
        if found is not None:
            line = module.text.count("\n", 0, found.start()) + 1
            yield Hit(message=f"{_SHOWN}: {how}", line=line)
            return


CHECK = Check(
    rule="obfuscated-script",
    title="Script made unreadable",
    cwe=506,
    severity=Severity.HIGH,
    remedy="Ship the code as it was written.",
    module=_ask,
)
