"""The code arranges to be started again: at log-in, at boot, or by a schedule.

A plugin is started by the platform. What starts itself outlives its removal.

Found in `app.py`:

    open('/etc/cron.d/x', 'w').write('* * * * * root /tmp/p')

Not found in `app.py`:

    open('/etc/hosts').read()
"""

import re
from collections.abc import Iterator

from heimnetz_audit.model import Call, Check, Confidence, Hit, PythonModule, Severity
from heimnetz_audit.model.questions import on
from heimnetz_audit.model.threats import PROCESSES, first_match, line_of, texts_of

_PLACES = re.compile(
    r"Start Menu[\\/]+Programs[\\/]+Startup|/etc/(cron|systemd/system|init\.d|rc\.local|profile\.d)|"
    r"LaunchAgents|LaunchDaemons|\.config/(autostart|systemd)|\.(bashrc|zshrc|profile|bash_profile|"
    r"zprofile|bash_login)\b|/var/spool/cron|/etc/ld\.so\.preload|sitecustomize|usercustomize",
    re.IGNORECASE,
)
_SYSTEM = re.compile(r"^/etc/(cron\.[a-z]+|systemd/system|init\.d|profile\.d)/|^/var/spool/cron")
_KEYS = re.compile(r"authorized_keys|/etc/(sudoers|passwd|shadow|ld\.so\.preload)", re.IGNORECASE)
_LINES = re.compile(
    r"\bcrontab\b(?!\s+-l)|schtasks(\.exe)?\s.*/create|systemctl\s+(--user\s+)?enable|"
    r"reg(\.exe)?\s+add\b.*\\Run|launchctl\s+load|update-rc\.d|sc(\.exe)?\s+create|New-ScheduledTask",
    re.IGNORECASE | re.DOTALL,
)
_RUN = re.compile(
    r"CurrentVersion\\+(Run|RunOnce|Winlogon|Policies\\+Explorer\\+Run)", re.IGNORECASE
)


def _ask_open(call: Call) -> Iterator[Hit]:
    mode = call.argument(1, "mode")
    path = call.argument(0, "file")
    if path is None or mode is None or mode.text is None or not set(mode.text) & set("wax+"):
        return
    yield from _about("".join(path.texts()))


def _ask_path(call: Call) -> Iterator[Hit]:
    texts = [*(call.receiver.texts() if call.receiver is not None else ()), *texts_of(call)]
    yield from _about(" ".join(texts))


def _about(path: str) -> Iterator[Hit]:
    if _KEYS.search(path):
        yield Hit(message="A file that decides who may log in is changed.", severity=Severity.HIGH)
    elif _PLACES.search(path):
        yield Hit(message="A start-up file is written.", confidence=Confidence.HIGH)


def _ask_process(call: Call) -> Iterator[Hit]:
    line = line_of(call)
    if _LINES.search(line):
        yield Hit(message="A command adds a start-up entry.")
    elif re.search(r">>?\s*\S*(\.bashrc|\.profile|authorized_keys|/etc/cron)", line):
        yield Hit(message="A command adds to a start-up file.", severity=Severity.HIGH)


def _ask_registry(call: Call) -> Iterator[Hit]:
    if any(_RUN.search(text) for text in texts_of(call)):
        yield Hit(message="A start-up entry is put into the registry.")


def _ask_module(module: PythonModule) -> Iterator[Hit]:
    """A list of such places, which a loop goes through."""
    found = first_match(module, _SYSTEM)
    if found is not None and module.identifiers & {"write_text", "write_bytes", "write"}:
        yield Hit(
            message=f"A place of start-up files is named: {found[1].group(0)}",
            confidence=Confidence.MEDIUM,
            line=found[0],
        )


CHECK = Check(
    rule="persistence",
    title="Starts itself again",
    cwe=506,
    severity=Severity.MEDIUM,
    remedy="Leave starting to the platform: use a trigger of the manifest.",
    calls={
        **on("open io.open", _ask_open),
        **on(
            "shutil.copy shutil.copyfile shutil.copy2 shutil.move os.symlink os.rename "
            "pathlib.Path().write_text pathlib.Path().write_bytes os.link",
            _ask_path,
        ),
        **on(PROCESSES, _ask_process),
        **on(
            "winreg.OpenKey winreg.CreateKey winreg.OpenKeyEx winreg.CreateKeyEx _winreg.OpenKey "
            "winreg.SetValue winreg.SetValueEx _winreg.CreateKey",
            _ask_registry,
        ),
    },
    module=_ask_module,
)
