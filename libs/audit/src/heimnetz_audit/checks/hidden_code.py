"""Code is unpacked from a text and executed.

Code that anybody may read needs no base64, compression or encryption. Whoever hides code from a
reader hides what it does.

Found in `app.py`:

    import base64
    exec(base64.b64decode('cHJpbnQoMSk='))

Not found in `app.py`:

    import base64
    picture = base64.b64decode('cHJpbnQoMSk=')
"""

import ast
import re
from collections.abc import Iterator

from heimnetz_audit.model import Call, Check, Confidence, Hit, PythonModule, Severity
from heimnetz_audit.model.questions import on
from heimnetz_audit.model.threats import PROCESSES

_SOURCES = frozenset({"decoded"})
_PACKED = re.compile(r"^[A-Za-z0-9+/=_-]{400,}$|(\\x[0-9a-fA-F]{2}){60,}|^[0-9a-fA-F]{600,}$")


def _ask(call: Call) -> Iterator[Hit]:
    for value in (*call.args[:1], *call.keywords.values()):
        for taint in call.live(value, "code", _SOURCES):
            yield Hit(message="Decoded data is executed as code.", taint=taint)
            return


def _ask_process(call: Call) -> Iterator[Hit]:
    for value in call.every():
        for taint in call.live(value, "command", _SOURCES):
            yield Hit(message="Decoded data is executed as a command.", taint=taint)
            return


def _ask_address(call: Call) -> Iterator[Hit]:
    for value in call.args[:2]:
        for taint in call.live(value, "ssrf", _SOURCES):
            if not value.prefix:
                yield Hit(
                    message="The address of a request is hidden by an encoding.",
                    severity=Severity.MEDIUM,
                    taint=taint,
                )
                return


def _ask_module(module: PythonModule) -> Iterator[Hit]:
    """`exec` of a text that was put together from numbers, or of a long packed constant."""
    for node in module.nodes:
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        if node.func.id not in ("exec", "eval") or not node.args:
            continue
        inner = list(ast.walk(node.args[0]))
        has_chr = any(
            isinstance(n, ast.Name) and n.id in ("chr", "bytes", "bytearray") for n in inner
        )
        has_loop = any(isinstance(n, ast.ListComp | ast.GeneratorExp) for n in inner) or any(
            isinstance(n, ast.Name) and n.id == "map" for n in inner
        )
        has_reverse = any(
            isinstance(n, ast.Slice) and isinstance(n.step, ast.UnaryOp) for n in inner
        )
        packed = any(
            isinstance(n, ast.Constant) and isinstance(n.value, str | bytes)
            and _PACKED.search(n.value if isinstance(n.value, str) else n.value.decode("latin-1"))
            for n in inner
        )  # fmt: skip
        if (has_chr and has_loop) or has_reverse or packed:
            yield Hit(
                message="A text that was made unreadable is executed as code.",
                line=node.lineno,
                end_line=node.end_lineno or node.lineno,
                confidence=Confidence.HIGH,
            )


CHECK = Check(
    rule="hidden-code",
    title="Decoded, then executed",
    cwe=506,
    severity=Severity.CRITICAL,
    remedy="Ship the code as it is.",
    calls={
        **on("exec eval compile types.CodeType marshal.loads types.FunctionType pickle.loads", _ask),
        **on(PROCESSES, _ask_process),
        **on("requests.get requests.post urllib.request.urlopen urllib.request.Request httpx.get "
             "urllib.request.urlretrieve socket.socket().connect", _ask_address),
    },
    module=_ask_module,
)  # fmt: skip
