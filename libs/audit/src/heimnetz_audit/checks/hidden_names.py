"""A dangerous function is called under a name that was put together or disguised.

`getattr(os, "sys" + "tem")` does what `os.system` does, but a search for the latter finds nothing.
Whoever writes a call so that a reader overlooks it knows that the reader would object.

Found in `app.py`:

    getattr(__import__('o' + 's'), 'sys' + 'tem')('id')

Not found in `app.py`:

    import os
    name = getattr(os, 'name')
"""

import ast
from collections.abc import Iterator

from heimnetz_audit.model import Call, Check, Confidence, Hit, Severity
from heimnetz_audit.model.questions import on

_DANGEROUS = (
    "exec eval compile __import__ os.system os.popen subprocess.Popen subprocess.call "
    "subprocess.run subprocess.check_output marshal.loads pickle.loads base64.b64decode "
    "os.execv os.execve os.execl os.spawnl pty.spawn builtins.exec importlib.import_module "
    "urllib.request.urlopen ctypes.windll.kernel32.VirtualAlloc"
)


def _ask(call: Call) -> Iterator[Hit]:
    function = getattr(call.source, "func", None)
    if isinstance(function, ast.Name | ast.Attribute):
        base = function.value if isinstance(function, ast.Attribute) else None
        # `__import__("os").system(...)` hides the module, `getattr(x, "y").z` part of the name.
        if isinstance(base, ast.Call) and _is_import(base):
            yield Hit(message=f"{call.name} is reached through a hidden import.")
        return
    if function is not None:
        yield Hit(message=f"{call.name} is called under a disguised name.")


def _is_import(node: ast.Call) -> bool:
    return isinstance(node.func, ast.Name) and node.func.id == "__import__"


def _ask_import(call: Call) -> Iterator[Hit]:
    """The name of a module is put together from pieces."""
    argument = call.source.args[0] if getattr(call.source, "args", None) else None
    name = call.args[0].text if call.args else None
    suspects = {"os", "subprocess", "socket", "ctypes", "marshal", "base64", "builtins", "pty",
                "requests", "urllib", "zlib", "child_process", "vm", "net", "dgram"}  # fmt: skip
    if (
        (name or "").removeprefix("node:") in suspects
        and argument is not None
        and not isinstance(argument, ast.Constant | ast.Name)
    ):
        yield Hit(
            message=f"The name of the module {name} is put together.", confidence=Confidence.HIGH
        )


def _ask_both(call: Call) -> Iterator[Hit]:
    yield from _ask(call)
    yield from _ask_import(call)


CHECK = Check(
    rule="hidden-names",
    title="Disguised call",
    cwe=506,
    severity=Severity.HIGH,
    remedy="Call the function by its name.",
    calls={
        **on(_DANGEROUS, _ask),
        **on("__import__ importlib.import_module", _ask_both),
    },
)
