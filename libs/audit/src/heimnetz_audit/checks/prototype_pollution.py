"""Keys from outside reach the object that all objects of JavaScript inherit from.

`store[a][b] = value` with `__proto__` for `a` gives every object of the program a member that
somebody else chose. Refuse `__proto__`, `constructor` and `prototype` as keys, or keep such data in
a `Map`.

Found in `app.js`:

    const app = require('express')();
    const store = {};

    app.post('/x', (req, res) => {
      store[req.body.group][req.body.name] = req.body.value;
      res.end();
    });

Not found in `app.js`:

    const app = require('express')();
    const store = new Map();

    app.post('/x', (req, res) => {
      store.set(req.body.name, req.body.value);
      res.end();
    });
"""

from collections.abc import Iterator
from typing import Final

from heimnetz_audit.model import Call, Check, Confidence, Hit, Severity
from heimnetz_audit.model.checks import REMOTE
from heimnetz_audit.model.questions import on, origin, tainted
from heimnetz_audit.model.values import Taint

_SINK: Final = "key"
#: Of a value that was reached by such a key.
_KEYED: Final = frozenset({"keyed"})


def _is_refused(taint: Taint, call: Call) -> bool:
    """Whether the keys that lead there were told apart from all others."""

    def lacks(text: str) -> bool:
        return taint.lacks(f"@not:{text}", call.facts) or taint.lacks(text, call.facts)

    return lacks("__proto__") and (lacks("constructor") or lacks("prototype"))


def _ask(call: Call) -> Iterator[Hit]:
    if call.receiver is None:
        return
    reached = [
        taint
        for taint in call.receiver.taints
        if taint.kind in _KEYED
        and taint.is_live(_SINK, call.facts)
        and not _is_refused(taint, call)
    ]
    for taint in call.live(call.args[0], _SINK, REMOTE) if reached else ():
        yield Hit(
            message=f"Two keys in a row come from {origin(taint)}, and may lead to the prototype.",
            confidence=Confidence.MEDIUM,
            taint=taint,
        )
        return


CHECK = Check(
    rule="prototype-pollution",
    title="Prototype changed from outside",
    cwe=1321,
    severity=Severity.HIGH,
    remedy="Refuse __proto__, constructor and prototype as keys, or use a Map.",
    calls={
        "<assignment>": _ask,
        **on(
            "npm:lodash.set npm:lodash.setWith npm:dot-prop.set npm:object-path.set npm:dset",
            tainted(_SINK, "A path into an object is chosen by {}.", 1, sources=REMOTE,
                    severity=Severity.MEDIUM),
        ),
    },
)  # fmt: skip
