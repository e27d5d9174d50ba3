"""Pressed keys are recorded and kept or sent away.

Passwords are among them, and letters to people who never agreed to be read. A shortcut that starts
something needs one combination of keys, not every key that is pressed, and keeps none of them.

Found in `app.py`:

    from pynput import keyboard
    def seen(key):
        open('/tmp/keys', 'a').write(str(key))
    keyboard.Listener(on_press=seen).start()

Not found in `app.py`:

    def seen(key):
        return str(key)
"""

from collections.abc import Iterator

from heimnetz_audit.model import Check, Confidence, Hit, PythonModule, Severity
from heimnetz_audit.model.threats import NETWORK_MODULES

_MODULES = frozenset({"pynput", "keyboard", "pyHook", "pyxhook", "evdev"})
_HOOKS = frozenset({"Listener", "on_press", "hook", "HookManager", "on_release", "record",
                    "SetWindowsHookExA", "SetWindowsHookExW", "GetAsyncKeyState", "read_loop",
                    "start_recording", "read_event"})  # fmt: skip
_STORES = frozenset({"write", "writelines", "append", "basicConfig", "FileHandler"})


def _ask(module: PythonModule) -> Iterator[Hit]:
    names = module.identifiers
    watches = (module.imports & _MODULES and names & _HOOKS) or (
        "ctypes" in module.imports and names & {"SetWindowsHookExA", "SetWindowsHookExW", "GetAsyncKeyState"}
    )  # fmt: skip
    if not watches:
        return
    sends = module.imports & NETWORK_MODULES
    keeps = ("open" in names and names & _STORES) or names & {"basicConfig", "FileHandler"}
    if sends or keeps:
        line = next(
            (n for n, text in enumerate(module.lines, 1) if any(hook in text for hook in _HOOKS)), 1
        )
        yield Hit(
            message="Pressed keys are recorded and "
            + ("sent to another machine." if sends else "written to a file."),
            severity=Severity.CRITICAL if sends else Severity.HIGH,
            confidence=Confidence.MEDIUM,
            line=line,
        )


CHECK = Check(
    rule="key-logger",
    title="Records pressed keys",
    cwe=506,
    severity=Severity.HIGH,
    remedy="React to the one combination that is meant, and keep no keys.",
    module=_ask,
)
