"""The code reaches for the machine below it: the container engine, the kernel, other processes.

Who may speak to the engine's socket rules the machine. A plugin has no business with either; in its
container they are not there, and the attempt says what it is for.

Found in `app.py`:

    import socket
    s = socket.socket(socket.AF_UNIX)
    s.connect('/var/run/docker.sock')

Not found in `app.py`:

    import socket
    s = socket.socket(socket.AF_UNIX)
    s.connect('/run/heimnetz/broker.sock')
"""

import ast
import re
from collections.abc import Iterator

from heimnetz_audit.model import Check, Confidence, Hit, PythonModule, Severity
from heimnetz_audit.model.threats import first_match

_ENGINE = re.compile(r"(docker|containerd|podman|crio)(/[a-z]+)?\.sock\b|/run/containerd/")
_KERNEL = re.compile(
    r"/proc/(1|self/root|\d+/root)/|/proc/1/(mem|environ|root)|/proc/sys/kernel/core_pattern|"
    r"/proc/sysrq-trigger|release_agent|/proc/kcore|/dev/(k?mem|port)\b|/proc/\d+/mem|"
    r"nsenter\b.*(-t|--target)\s*1\b|/sys/kernel/uevent_helper|/proc/self/mem"
)
_USES = frozenset({"open", "connect", "exists", "write_text", "read_text", "read_bytes", "run"})
_FORKS = frozenset({"fork", "forkpty"})


def _ask_module(module: PythonModule) -> Iterator[Hit]:
    if module.identifiers & _USES:
        yield from _about(module)
    for node in module.nodes:
        if isinstance(node, ast.While) and _is_endless(node) and _breeds(node):
            yield Hit(
                message="A loop without an end makes processes.",
                severity=Severity.HIGH,
                confidence=Confidence.MEDIUM,
                line=node.lineno,
            )


def _about(module: PythonModule) -> Iterator[Hit]:
    kernel = first_match(module, _KERNEL)
    if kernel is not None:
        yield Hit(
            message=f"A way into the kernel or another process is named: {kernel[1].group(0)}",
            severity=Severity.HIGH,
            line=kernel[0],
        )
    engine = first_match(module, _ENGINE)
    if engine is not None:
        yield Hit(
            message=f"The container engine's socket is named: {engine[1].group(0)}",
            severity=Severity.MEDIUM,
            line=engine[0],
        )


def _is_endless(loop: ast.While) -> bool:
    leaves = any(isinstance(node, ast.Break | ast.Return) for node in ast.walk(loop))
    return isinstance(loop.test, ast.Constant) and bool(loop.test.value) and not leaves


def _breeds(loop: ast.While) -> bool:
    """A fork whose child stays in a loop of its own, and nothing that waits for it."""
    names = {node.attr for node in ast.walk(loop) if isinstance(node, ast.Attribute)}
    return bool(names & _FORKS) and not names & {"wait", "waitpid", "execv", "execve", "_exit"}


CHECK = Check(
    rule="host-access",
    title="Reaches for the host",
    cwe=653,
    severity=Severity.MEDIUM,
    remedy="Ask for what is needed in the manifest; nothing of the host is given to a plugin.",
    module=_ask_module,
)
