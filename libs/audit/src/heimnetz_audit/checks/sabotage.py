"""Protection is switched off, or data is destroyed.

The firewall, the virus scanner, logs and backups, or everything in a folder of the user: what blackmail
and destruction begin with. A plugin that tidies up removes files that it made, by their names.

Found in `app.py`:

    import os
    os.system('rm -rf / --no-preserve-root')

Not found in `app.py`:

    import os
    os.remove('/tmp/readings.csv')
"""

import re
from collections.abc import Iterator

from heimnetz_audit.model import Call, Check, Confidence, Hit, PythonModule, Severity
from heimnetz_audit.model.questions import on
from heimnetz_audit.model.threats import PROCESSES, first_match, line_of

_LINES = re.compile(
    r"rm\s+-[a-z]*r[a-z]*f?[a-z]*\s+(--no-preserve-root\s+)?(/|~|\$HOME)(\s|\*|$)|vssadmin.*delete|"
    r"wbadmin\s+delete|bcdedit.*recoveryenabled|Set-MpPreference|netsh.*firewall.*(off|disable)|"
    r"iptables\s+-F|ufw\s+disable|setenforce\s+0|history\s+-c|wevtutil\s+cl|mkfs\.|dd\s+if=.*of=/dev/|"
    r":\(\)\s*\{|sc\s+stop\s+WinDefend|taskkill.*(defender|antivirus|avast|MsMpEng|explorer)|"
    r"chattr\s+-i|cipher\s+/w|useradd\b|net\s+user\s+\S+\s+\S+\s+/add|chmod\s+(u\+s|4755|[0-7]*4[0-7]{3})\b|"
    r"systemctl\s+(stop|disable)\s+(firewalld|auditd|apparmor|ufw|clamav)|format\s+[a-z]:|shutdown\s+[-/]",
    re.IGNORECASE,
)
_CIPHERS = frozenset({"Fernet", "AES", "ChaCha20", "Cipher", "encrypt"})
_RANSOM = re.compile(r"your files (have been|are|were) encrypted|decrypt.{0,40}(bitcoin|btc|monero)|"
                     r"\.(locked|encrypted|crypt|wncry)$|send.{0,30}(btc|bitcoin).{0,40}to", re.IGNORECASE | re.DOTALL)  # fmt: skip


def _ask_process(call: Call) -> Iterator[Hit]:
    if _LINES.search(line_of(call)):
        yield Hit(message="A command destroys data or switches protection off.")


def _ask_remove(call: Call) -> Iterator[Hit]:
    path = call.argument(0, "path")
    text = path.text if path is not None else None
    if text in ("/", "~", "/home", "C:\\", "C:/", "/etc", "/usr", "/var"):
        yield Hit(message="A whole system or home folder is removed.")


def _ask_own(call: Call) -> Iterator[Hit]:
    value = call.argument(0, "path")
    if value is None:
        return
    if value.name == "?__file__" or any(
        t.source.text.find("sys.argv[0]") >= 0 for t in value.taints
    ):
        yield Hit(
            message="The code removes itself after it ran.",
            confidence=Confidence.MEDIUM,
            severity=Severity.HIGH,
        )


def _ask_either(call: Call) -> Iterator[Hit]:
    yield from _ask_remove(call)
    yield from _ask_own(call)


def _ask_module(module: PythonModule) -> Iterator[Hit]:
    names = module.identifiers
    walks = names & {"walk", "rglob", "glob", "listdir", "scandir"}
    if walks and names & _CIPHERS and names & {"remove", "unlink", "rename", "write"}:
        found = first_match(module, _RANSOM)
        if found is not None:
            yield Hit(
                message="Files are encrypted to blackmail their owner.",
                severity=Severity.CRITICAL,
                line=found[0],
            )


CHECK = Check(
    rule="sabotage",
    title="Destroys data or protection",
    cwe=506,
    severity=Severity.HIGH,
    remedy="Remove only what the plugin itself made, by its name.",
    calls={
        **on(PROCESSES, _ask_process),
        **on("shutil.rmtree os.remove os.unlink os.rmdir os.removedirs", _ask_either),
    },
    module=_ask_module,
)
