"""The clipboard, the screen, pressed keys, the camera or the microphone are watched.

Few plugins have a reason to; where the recording is also sent away, none has.

Found in `app.py`:

    import pyautogui
    pyautogui.screenshot('/tmp/s.png')

Not found in `app.py`:

    import json
    json.dump({}, open('/tmp/s.json', 'w'))
"""

import re
from collections.abc import Iterator

from heimnetz_audit.model import Call, Check, Hit, PythonModule, Severity
from heimnetz_audit.model.checks import Question
from heimnetz_audit.model.questions import on
from heimnetz_audit.model.threats import first_match

_WALLETS = re.compile(
    r"\[13\]\[a-km-z|0x\[a-fA-F0-9\]\{40\}|bc1\[|\(bc1\||T\[A-Za-z1-9\]\{33\}|\[LM3\]"
)
_ADDRESSES = re.compile(r"^(0x[a-fA-F0-9]{40}|bc1[a-z0-9]{25,60}|[13][a-km-zA-HJ-NP-Z1-9]{25,34})$")


def _say(message: str) -> Question:
    def ask(_call: Call) -> Iterator[Hit]:
        yield Hit(message=message)

    return ask


def _ask_module(module: PythonModule) -> Iterator[Hit]:
    """Clipboard read and written, with wallet addresses in the code: it swaps them."""
    names = module.identifiers
    uses_clipboard = {"paste", "copy"} <= names or {"GetClipboardData", "SetClipboardData"} <= names
    if uses_clipboard or {"clipboard_get", "clipboard_append"} <= names:
        found = first_match(module, _WALLETS) or first_match(module, _ADDRESSES)
        if found is not None:
            yield Hit(
                message="Addresses of wallets in the clipboard are replaced.",
                severity=Severity.CRITICAL,
                line=found[0],
            )


CHECK = Check(
    rule="surveillance",
    title="Watches the user",
    cwe=359,
    severity=Severity.MEDIUM,
    remedy="Ask the user for the content instead of taking it.",
    calls={
        **on(
            "pyperclip.paste clipboard.paste win32clipboard.GetClipboardData "
            "tkinter.Tk().clipboard_get PIL.ImageGrab.grabclipboard pandas.read_clipboard "
            "pyperclip.waitForNewPaste pyperclip.waitForPaste",
            _say("The clipboard is read."),
        ),
        **on(
            "PIL.ImageGrab.grab pyautogui.screenshot pyscreenshot.grab mss.mss().grab "
            "mss.mss().shot mss.mss d3dshot.create",
            _say("The screen is recorded."),
        ),
        **on(
            "pynput.keyboard.Listener keyboard.on_press keyboard.hook keyboard.record "
            "keyboard.on_release keyboard.read_event keyboard.read_key pyHook.HookManager "
            "pyxhook.HookManager ctypes.windll.user32.SetWindowsHookExA pynput.mouse.Listener "
            "ctypes.windll.user32.GetAsyncKeyState ctypes.windll.user32.SetWindowsHookExW "
            "win32api.GetAsyncKeyState keyboard.start_recording pynput.Listener evdev.InputDevice",
            _say("Pressed keys are recorded."),
        ),
        **on("cv2.VideoCapture", _say("The camera is used.")),
        **on(
            "pyaudio.PyAudio().open sounddevice.rec speech_recognition.Microphone",
            _say("The microphone is used."),
        ),
        **on("pyautogui.typewrite pyautogui.hotkey", _say("Key strokes are made up.")),
    },
    module=_ask_module,
)
