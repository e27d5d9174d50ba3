"""A version does what the version before did not: it starts programs, or reaches another host.

Who takes over a plugin that many trust, or buys it, brings what they want with an update, which
looks like any other. So a version is compared with the one before: programs that it starts, machine
code and code made at run time that were not there are for a person, a host that is new deserves a
look. What a first version does is no drift.

Found in `app.py`:

    import subprocess

    # The version before started nothing.
    subprocess.run(["systemctl", "restart", "app"])

Not found in `app.py`:

    import json

    # Neither did this one.
    print(json.dumps({"restarted": False}))
"""

from collections.abc import Iterator
from typing import Final

from heimnetz_audit.model import Check, Confidence, Hit, Severity
from heimnetz_audit.model.drift import Drift

CHECK = Check(
    rule="version-drift",
    title="A version that does more than the one before",
    cwe=506,
    severity=Severity.MEDIUM,
    remedy="Say in the changelog why the version needs it, or leave it out.",
)
_KINDS: Final = (
    ("processes", "it starts a program", Severity.HIGH),
    ("native_code", "it calls machine code", Severity.HIGH),
    ("programs", "it brings machine code", Severity.HIGH),
    ("dynamic_code", "it makes code at run time", Severity.HIGH),
    ("network", "it reaches another host", Severity.MEDIUM),
    ("files_written", "it writes other files", Severity.LOW),
    ("environment", "it reads more of the environment", Severity.LOW),
    ("size", "it is much larger", Severity.LOW),
)


def ask(drift: Drift) -> Iterator[tuple[Check, Hit]]:
    found = [
        (kind, drift.new(kind)[0], said, severity)
        for kind, said, severity in _KINDS
        if drift.new(kind)
    ]
    if found:
        since = drift.since or "the version before"
        yield (
            CHECK,
            Hit(
                message=f"New since {since}: "
                + "; ".join(f"{said}: {what}" for _, what, said, _ in found)
                + ".",
                severity=max(severity for *_, severity in found),
                confidence=Confidence.MEDIUM,
                file="plugin.yaml",
                line=1,
            ),
        )
