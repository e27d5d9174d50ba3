"""From the bytes of a script to the module that the engine walks, within bounds."""

import ast
import posixpath
from collections.abc import Callable, Container, Iterable
from pathlib import PurePosixPath
from typing import Final

import tree_sitter
import tree_sitter_javascript

from heimnetz_audit.model.code import PythonModule
from heimnetz_audit.scripting.lowering import Lowering, TooDeep, TooLarge

ENDINGS: Final = (".js", ".mjs", ".cjs", ".jsx", ".ts", ".mts", ".cts", ".tsx")
#: The syntax tree of a script takes up to 170 times the memory of its text (measured 2026-12-01).
SOURCE_LIMIT_BYTES: Final = 1024 * 1024
LINE_LIMIT: Final = 400_000
#: Brackets that are open at once. The parser itself takes time that grows with their square.
BRACKETS_LIMIT: Final = 500

_LANGUAGE: Final = tree_sitter.Language(tree_sitter_javascript.language())
#: Names of JavaScript that stand for what the checks call otherwise.
_MEANINGS: Final = {
    "readFileSync": "open", "readFile": "open", "createReadStream": "open", "existsSync": "exists",
    "readdirSync": "listdir", "readdir": "listdir", "writeFileSync": "write",
    "writeFile": "write", "appendFileSync": "write", "appendFile": "write",
    "createWriteStream": "write", "copyFileSync": "copyfile", "copyFile": "copyfile",
    "unlinkSync": "unlink", "rmSync": "remove", "renameSync": "rename", "pipe": "dup2",
    "execSync": "system", "execFile": "run", "execFileSync": "run", "spawnSync": "spawn",
    "createCipheriv": "Cipher", "createCipher": "Cipher", "readText": "paste",
    "writeText": "copy",
}  # fmt: skip
_ROOTS: Final = {
    "net": "socket", "tls": "socket", "dgram": "socket", "https": "http", "http2": "http",
    "axios": "requests", "got": "requests", "node-fetch": "requests", "request": "requests",
    "superagent": "requests", "needle": "requests", "undici": "requests", "ws": "websocket",
    "cross-fetch": "requests", "request-promise": "requests", "phin": "requests",
}  # fmt: skip
_GLOBAL_CLIENTS: Final = frozenset({"fetch", "XMLHttpRequest", "WebSocket", "sendBeacon"})


class Unreadable(Exception):
    """The file cannot be looked at; the message says why."""


def is_script(name: str, content: Callable[[], bytes]) -> bool:
    """`content` is asked for only where the name does not tell."""
    if name.endswith(ENDINGS):
        # Declarations of types hold no code; whoever requires them gets them parsed.
        return not name.endswith((".d.ts", ".d.mts", ".d.cts"))
    if "." in PurePosixPath(name).name:
        return False
    first = content()[:80].partition(b"\n")[0]
    return first.startswith(b"#!") and b"node" in first


def parse(path: str, text: str) -> PythonModule:
    """Raises: Unreadable."""
    source = text.encode("utf-8", "replace")
    if len(source) > SOURCE_LIMIT_BYTES:
        raise Unreadable(f"more than {SOURCE_LIMIT_BYTES} bytes of source")
    lines = tuple(text.split("\n"))
    if max(map(len, lines)) > LINE_LIMIT:
        raise Unreadable(f"a line of more than {LINE_LIMIT} characters")
    if _brackets(source) > BRACKETS_LIMIT:
        raise Unreadable("nested too deeply")
    tree = tree_sitter.Parser(_LANGUAGE).parse(source)
    lowering = Lowering(source)
    try:
        body = lowering.module(tree.root_node)
    except (TooDeep, RecursionError) as error:
        raise Unreadable("nested too deeply") from error
    except TooLarge as error:
        raise Unreadable("too much code for one audit") from error
    nodes = tuple(lowering.nodes)
    roots = {spec.removeprefix("node:") for spec, _ in lowering.requires}
    identifiers = frozenset(lowering.identifiers | _meanings(lowering.identifiers))
    return PythonModule(
        path=path,
        dotted=path,
        text=text,
        lines=lines,
        tree=ast.Module(body=body, type_ignores=[]),
        nodes=nodes,
        identifiers=identifiers | ({"socket"} & _imports(roots, identifiers)),
        imports=_imports(roots, identifiers),
        language="javascript",
        requires=tuple(lowering.requires),
        is_whole=not tree.root_node.has_error,
    )


def _meanings(identifiers: Iterable[str]) -> set[str]:
    return {_MEANINGS[name] for name in identifiers if name in _MEANINGS}


def _imports(roots: Iterable[str], identifiers: frozenset[str]) -> frozenset[str]:
    found = {root.split("/")[0] if root[:1] != "@" else root for root in roots if root[:1] != "."}
    found |= {_ROOTS[root] for root in found if root in _ROOTS}
    if identifiers & _GLOBAL_CLIENTS:
        found.add("requests")
    return frozenset(found)


def _brackets(source: bytes) -> int:
    """The most brackets that are open at once; those in texts are counted too."""
    most = depth = 0
    for byte in source.translate(None, _NO_BRACKETS):
        if byte in b"([{":
            depth += 1
            most = max(most, depth)
        elif depth:
            depth -= 1
    return most


_NO_BRACKETS: Final = bytes(set(range(256)) - set(b"()[]{}"))


def resolve(names: Container[str], path: str, spec: str) -> str:
    """The file of the package that `require(spec)` in `path` means; empty when it is none."""
    if not spec.startswith((".", "/")):
        return ""
    if spec.endswith((".json", ".node", ".wasm")):
        return ""
    base = posixpath.normpath(posixpath.join(posixpath.dirname(path), spec))
    stem = base.rpartition(".")[0] if base.endswith((".js", ".mjs", ".cjs")) else base
    candidates = (base, *(f"{stem}{end}" for end in ENDINGS), *(f"{base}{end}" for end in ENDINGS),
                  *(f"{base}/index{end}" for end in ENDINGS))  # fmt: skip
    return next((name for name in candidates if name in names), "")
