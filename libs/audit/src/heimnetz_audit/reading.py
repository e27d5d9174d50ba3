"""From bytes to syntax trees, within bounds, and without ever executing anything."""

import ast
import io
import re
import sys
import tokenize
import warnings
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Final

from heimnetz_audit import scripting
from heimnetz_audit.model import PythonModule, SourceTree, Unknown
from heimnetz_audit.model.code import absolute
from heimnetz_audit.model.tree import FILE_LIMIT_BYTES

#: A larger source file is not parsed: nobody writes 3 MB of Python by hand, and a syntax tree
#: takes about sixty times the memory of its text (measured with CPython 3.11).
SOURCE_LIMIT_BYTES: Final = 3 * 1024 * 1024
LINE_LIMIT: Final = 400_000
#: CPython's own parser gives up at 200 brackets; operators and blocks can nest deeper.
DEPTH_LIMIT: Final = 200
#: Text of the modules whose trees are held at once, in bytes.
CACHE_BYTES: Final = 2 * 1024 * 1024

#: Text of the scripts that one script reaches, when all of them are followed, in bytes; of more,
#: the nearest are followed.
REACH_BYTES: Final = 1024 * 1024
NEAREST_BYTES: Final = 200 * 1024

PYTHON_ENDINGS: Final = (".py", ".pyw", ".pyi")
_PYTHON_TWO: Final = re.compile(
    r"^\s*print\s+[\"'\w]|^\s*exec\s+[\"'\w]|except\s+[\w.]+\s*,\s*\w+\s*:|^\s*raise\s+\w+\s*,",
    re.MULTILINE,
)


#: Whatever Python runs the audit: what a version has, or had, is no dependency.
_STANDARD: Final = sys.stdlib_module_names | {
    *"asynchat asyncore cgi cgitb compression crypt distutils imp imghdr lib2to3 mailcap".split(),
    *"nntplib pipes smtpd sndhdr spwd sunau telnetlib tomllib uu xdrlib aifc audioop chunk".split(),
    *"annotationlib heimnetz_sdk".split(),
}


class Unreadable(Exception):
    """The file cannot be looked at; the message says why."""


def is_python(name: str, content: bytes) -> bool:
    if name.endswith(PYTHON_ENDINGS):
        return True
    first = content[:80].partition(b"\n")[0]
    return "." not in PurePosixPath(name).name and first.startswith(b"#!") and b"python" in first


def decode(content: bytes) -> str:
    """Raises: Unreadable."""
    if len(content) > FILE_LIMIT_BYTES:
        raise Unreadable("larger than an audit reads")
    if b"\0" in content:
        raise Unreadable("holds null bytes")
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
        text = content.decode(encoding)
    except (SyntaxError, UnicodeDecodeError, LookupError, ValueError) as error:
        raise Unreadable("its encoding cannot be read") from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def parse(path: str, content: bytes) -> PythonModule:
    """Raises: Unreadable."""
    if len(content) > SOURCE_LIMIT_BYTES:
        raise Unreadable(f"more than {SOURCE_LIMIT_BYTES} bytes of source")
    text = decode(content)
    lines = tuple(text.split("\n"))
    if max(map(len, lines)) > LINE_LIMIT:
        raise Unreadable(f"a line of more than {LINE_LIMIT} characters")
    if _indentation(lines) > DEPTH_LIMIT:
        raise Unreadable("nested too deeply")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text, filename="<package>")
    except (RecursionError, MemoryError) as error:
        raise Unreadable("nested too deeply") from error
    except (SyntaxError, ValueError, OverflowError) as error:
        old = bool(_PYTHON_TWO.search(text))
        why = "written for Python 2" if old else "not valid Python"
        raise Unreadable(why) from error
    nodes = _flatten(tree)
    return PythonModule(
        path=path,
        dotted=dotted_name(path),
        text=text,
        lines=lines,
        tree=tree,
        nodes=nodes,
        identifiers=_identifiers(nodes),
        imports=_imports(nodes),
        is_package=path.endswith("__init__.py"),
    )


def _indentation(lines: Iterable[str]) -> int:
    return max((len(line) - len(line.lstrip(" \t")) for line in lines), default=0) // 2


def dotted_name(path: str) -> str:
    pure = PurePosixPath(path)
    parts = [*pure.parts[:-1], pure.stem]
    if parts[-1] == "__init__" and len(parts) > 1:
        parts.pop()
    return ".".join(parts)


def _flatten(tree: ast.Module) -> tuple[ast.AST, ...]:
    """Every node, in the order of the source. Raises: Unreadable."""
    found: list[ast.AST] = []
    waiting: list[tuple[ast.AST, int]] = [(tree, 0)]
    while waiting:
        node, depth = waiting.pop()
        if depth > DEPTH_LIMIT:
            raise Unreadable("nested too deeply")
        found.append(node)
        children = [(child, depth + 1) for child in ast.iter_child_nodes(node)]
        # A chain such as `a + b + c` is deep on one side only, and is followed in a loop.
        if isinstance(node, ast.BinOp) and isinstance(node.left, ast.BinOp):
            children[0] = (node.left, depth)
        elif isinstance(node, ast.If) and len(node.orelse) == 1:
            children[-1] = (node.orelse[0], depth)
        waiting.extend(reversed(children))
    return tuple(found)


def _identifiers(nodes: Iterable[ast.AST]) -> frozenset[str]:
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.alias):
            found.update(node.name.split("."))
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.update(node.module.split("."))
    return frozenset(found)


def _imports(nodes: Iterable[ast.AST]) -> frozenset[str]:
    """Roots of the imported names: `os` for `import os.path`."""
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return frozenset(found)


class Sources:
    """The modules and scripts of a tree, parsed when needed; only some trees are held at once."""

    def __init__(self, tree: SourceTree) -> None:
        self._files = tree.files
        self._held: OrderedDict[str, PythonModule] = OrderedDict()
        self._held_bytes = 0
        self._failed: dict[str, Unknown] = {}
        self._by_dotted: dict[str, str] = {}
        self._by_tail: dict[str, str] = {}
        self._roots: set[str] = set()
        self._scripts: set[str] = set()
        self._within: frozenset[str] | None = None
        #: Of each script that was parsed: the size of its text, and what it requires.
        self._required: dict[str, tuple[int, tuple[str, ...]]] = {}
        #: What has to be forgotten together with a module.
        self.dropped: list[str] = []

    def index(self, names: Iterable[str], scripts: Iterable[str] = ()) -> None:
        self._scripts = set(scripts)
        for name in names:
            dotted = dotted_name(name)
            self._by_dotted.setdefault(dotted, name)
            parts = dotted.split(".")
            self._roots.update(parts)
            for start in range(1, min(len(parts), 6)):
                self._by_tail.setdefault(".".join(parts[start:]), name)

    def find(self, dotted: str) -> PythonModule | None:
        path = self._by_dotted.get(dotted) or self._by_tail.get(dotted)
        return self.module(path) if path is not None else None

    def resolve(self, path: str, spec: str) -> PythonModule | None:
        found = scripting.resolve(self._files, path, spec)
        if not found or (self._within is not None and found not in self._within):
            return None
        # Whatever its name says, what is required is run.
        self._scripts.add(found)
        return self.module(found)

    def narrow(self, module: PythonModule) -> bool:
        """Lets `resolve` find what a walk of the module may follow; False when that is not all."""
        self._within = None
        if module.language == "python":
            return True
        reached: set[str] = set()
        near: set[str] = set()
        total = 0
        waiting = [module.path]
        while waiting and total <= REACH_BYTES:
            following: list[str] = []
            for path in waiting:
                if path in reached:
                    continue
                size, required = self._requires(path)
                reached.add(path)
                total += size
                if total <= NEAREST_BYTES:
                    near.add(path)
                following.extend(required)
            waiting = following
        is_whole = total <= REACH_BYTES
        self._within = None if is_whole else frozenset(near)
        return is_whole

    def _requires(self, path: str) -> tuple[int, tuple[str, ...]]:
        known = self._required.get(path)
        if known is None:
            self._scripts.add(path)
            module = self.module(path)
            known = (len(module.text), self.imports_of(module)) if module is not None else (0, ())
            self._required[path] = known
        return known

    def module(self, path: str) -> PythonModule | None:
        """The parsed module; None when `unknown_about` tells why there is none."""
        if path in self._failed:
            return None
        held = self._held.get(path)
        if held is not None:
            self._held.move_to_end(path)
            return held
        try:
            module = self._parse(path)
        except (Unreadable, scripting.Unreadable) as error:
            self._failed[path] = Unknown(path, "reading", str(error))
            return None
        self._held[path] = module
        self._held_bytes += len(module.text)
        while self._held_bytes > CACHE_BYTES and len(self._held) > 1:
            dropped, old = self._held.popitem(last=False)
            self._held_bytes -= len(old.text)
            self.dropped.append(dropped)
        return module

    def _parse(self, path: str) -> PythonModule:
        content = self._files[path]
        if path not in self._scripts:
            return parse(path, content)
        return scripting.parse(path, decode(content))

    def unknown_about(self, path: str) -> list[Unknown]:
        return [self._failed[path]] if path in self._failed else []

    def imports_of(self, module: PythonModule) -> tuple[str, ...]:
        """The files of the package that the module names in an import, or may name."""
        if module.language == "javascript":
            specs = (scripting.resolve(self._files, module.path, s) for s, _ in module.requires)
            return tuple(sorted({*specs} - {""}))
        found: set[str] = set()
        for node in module.nodes:
            if isinstance(node, ast.Import):
                found.update(self._paths(alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = absolute(module, node)
                found.add(self._paths(base))
                found.update(self._paths(f"{base}.{alias.name}") for alias in node.names)
        return tuple(sorted(found - {""}))

    def needs_of(self, module: PythonModule) -> tuple[tuple[str, int], ...]:
        """Modules of others, with lines: imported at the top of the module, without a way out."""
        found: dict[str, int] = {}
        for node in module.tree.body:
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            else:
                continue
            for root in (name.partition(".")[0] for name in names):
                if root not in _STANDARD and root not in self._roots:
                    found.setdefault(root, node.lineno)
        return tuple(sorted(found.items()))

    def _paths(self, dotted: str) -> str:
        return self._by_dotted.get(dotted) or self._by_tail.get(dotted) or ""
