"""Files that hold passwords, keys, cookies or wallets are opened.

A plugin gets the secrets it needs from the platform. Whoever reads the browser's or the user's own
has another purpose.

Found in `app.py`:

    import os, shutil
    shutil.copy(os.path.expanduser('~/.config/google-chrome/Default/Login Data'), '/tmp/x')

Not found in `app.py`:

    import shutil
    shutil.copy('readings.csv', '/tmp/x')
"""

import re
from collections.abc import Iterator

from heimnetz_audit.model import Call, Check, Confidence, Hit, PythonModule, Severity
from heimnetz_audit.model.questions import on
from heimnetz_audit.model.threats import PROCESSES, first_match, line_of

_THEFT = re.compile(
    r"Login Data|Local State|Web Data|cookies\.sqlite|logins\.json|key[34]\.db|wallet\.dat|"
    r"nkbihfbeogaeaoehlefnkodbefgpgknn|Local Storage[\\/]+leveldb|\.electrum[\\/]wallets|"
    r"Exodus[\\/]exodus\.wallet|Ethereum[\\/]keystore|User Data[\\/]+Default|MetaMask|"
    r"Telegram Desktop[\\/]tdata|/etc/shadow|atomic[\\/]Local Storage|\.bitcoin|solana[\\/]id\.json",
    re.IGNORECASE,
)
_PRIVATE = re.compile(
    r"\.ssh[\\/]|id_(rsa|ed25519|ecdsa|dsa)\b|\.aws[\\/]credentials|\.git-credentials|\.netrc|"
    r"\.pypirc|\.npmrc|\.docker[\\/]config\.json|\.kube[\\/]config|\.gnupg|/etc/(passwd|sudoers)|"
    r"\.bash_history|\.zsh_history|application_default_credentials|\.config/gcloud|keychain",
    re.IGNORECASE,
)
_READERS = (
    "open io.open sqlite3.connect shutil.copy shutil.copyfile shutil.copy2 shutil.copytree "
    "glob.glob os.listdir os.walk zipfile.ZipFile().write pathlib.Path().read_text "
    "pathlib.Path().read_bytes os.scandir tarfile.open().add codecs.open"
)


def _ask(call: Call) -> Iterator[Hit]:
    mode = call.argument(1, "mode")
    if call.name == "open" and mode is not None and mode.text and set(mode.text) & set("wax"):
        return
    receiver = list(call.receiver.texts()) if call.receiver is not None else []
    text = "/".join([*receiver, *(t for value in call.every()[:2] for t in value.texts())])
    if _THEFT.search(text):
        yield Hit(message="Stored passwords, cookies or wallets are read.", severity=Severity.HIGH)
    elif _PRIVATE.search(text):
        yield Hit(message="A private file of the user is read.", severity=Severity.MEDIUM)


def _ask_process(call: Call) -> Iterator[Hit]:
    line = line_of(call)
    if _THEFT.search(line) or re.search(
        r"security\s+(find|dump)-|netsh\s+wlan.*key=clear|\btrufflehog\b|\bgh\s+auth\s+token|cmdkey\s+/list|mimikatz|lsass",
        line,
        re.IGNORECASE,
    ):
        yield Hit(message="A command reads stored passwords.", severity=Severity.HIGH)
    elif _PRIVATE.search(line):
        yield Hit(message="A command reads private files.", severity=Severity.MEDIUM)


def _ask_decrypt(_call: Call) -> Iterator[Hit]:
    yield Hit(message="Passwords that the system protects are decrypted.", severity=Severity.HIGH)


def _ask_module(module: PythonModule) -> Iterator[Hit]:
    """A list of such places, which a loop goes through."""
    found = first_match(module, _THEFT)
    uses = {"open", "copy", "copyfile", "copy2", "connect", "listdir", "walk", "glob", "exists"}
    if found is not None and module.identifiers & uses:
        yield Hit(
            message=f"The place of stored passwords or wallets is named: {found[1].group(0)}",
            severity=Severity.MEDIUM,
            confidence=Confidence.MEDIUM,
            line=found[0],
        )


CHECK = Check(
    rule="credential-access",
    title="Reads stored credentials",
    cwe=522,
    severity=Severity.HIGH,
    remedy="Ask for a secret in the manifest; the platform hands it over.",
    calls={
        **on(_READERS, _ask),
        **on(PROCESSES, _ask_process),
        **on(
            "win32crypt.CryptUnprotectData browser_cookie3.chrome browser_cookie3.firefox "
            "browser_cookie3.load browser_cookie3.edge",
            _ask_decrypt,
        ),
    },
    module=_ask_module,
)
