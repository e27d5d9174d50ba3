"""A program is started so that nobody notices.

It has no input and no output, no window, and lives on when what started it ends. A program that does
what the user expects says what it does, and ends with the plugin.

Found in `app.py`:

    import subprocess
    subprocess.Popen(['/tmp/p'], creationflags=0x08000000, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)

Not found in `app.py`:

    import subprocess
    subprocess.run(['ls'], check=True)
"""

import re
from collections.abc import Iterator

from heimnetz_audit.model import Call, Check, Confidence, Hit, Severity
from heimnetz_audit.model.questions import on
from heimnetz_audit.model.threats import PROCESSES, line_of

_STREAMS = ("stdin", "stdout", "stderr")


def _ask(call: Call) -> Iterator[Hit]:
    silent = [
        name for name in _STREAMS
        if (v := call.keywords.get(name)) is not None and (v.name or "").endswith("DEVNULL")
    ]  # fmt: skip
    detached = call.keywords.get("start_new_session")
    flags = call.keywords.get("creationflags")
    hidden = flags is not None and (
        (flags.name or "").endswith(("CREATE_NO_WINDOW", "DETACHED_PROCESS"))
        or flags.const in (0x08000000, 0x00000008, 134217728)
    )
    is_apart = detached is not None and detached.const is True
    if len(silent) == 3 or (hidden and len(silent) >= 1) or (is_apart and len(silent) >= 2):
        yield Hit(message="A program is started without any trace.", confidence=Confidence.MEDIUM)
    elif hidden:
        yield Hit(message="A program is started without a window.", severity=Severity.LOW)
    line = line_of(call)
    if re.search(r"\bnohup\b.*&\s*$|>\s*/dev/null\s+2>&1\s*&\s*$", line):
        yield Hit(message="A command goes on in the background, unseen.", severity=Severity.MEDIUM)


def _ask_packages(call: Call) -> Iterator[Hit]:
    line = line_of(call)
    if re.search(r"\bpip3?\s+install\b|\bnpm\s+install\b|-m\s+pip\s+install", line):
        yield Hit(
            message="A package is installed while the code runs.", confidence=Confidence.MEDIUM
        )


def _ask_both(call: Call) -> Iterator[Hit]:
    hits = [*_ask(call), *_ask_packages(call)]
    yield from hits[:1]


CHECK = Check(
    rule="quiet-process",
    title="Program started unseen",
    cwe=506,
    severity=Severity.MEDIUM,
    remedy="Start programs in the open, and log what they say.",
    calls=on(PROCESSES, _ask_both),
)
