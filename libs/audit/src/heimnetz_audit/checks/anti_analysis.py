"""The code looks whether somebody is looking.

It asks for a debugger, a virtual machine or tools of analysts, and behaves well when it finds them.
Code that has nothing to hide does the same wherever it runs, and what a trial run showed of this one
says nothing about what it does at home.

Found in `app.py`:

    import os, sys
    if os.path.exists('/usr/bin/VBoxClient') or 'vmware' in open('/proc/cpuinfo').read():
        sys.exit(0)

Not found in `app.py`:

    import os, sys
    if not os.path.exists('settings.ini'):
        sys.exit(0)
"""

import ast
import re
from collections.abc import Iterator

from heimnetz_audit.model import Call, Check, Confidence, Hit, PythonModule, Severity
from heimnetz_audit.model.questions import on
from heimnetz_audit.model.threats import strings

_MACHINES = re.compile(
    r"\b(vbox\w*|virtualbox|vmware|qemu|xen|hyper-v|sandboxie|cuckoo|vmtoolsd|"
    r"vmwaretray|vmsrvc|vmusrvc|prl_cc|xenservice|joebox|wine_get_version)\b",
    re.IGNORECASE,
)
_TOOLS = re.compile(
    r"\b(wireshark|processhacker|procmon|procexp|ollydbg|x64dbg|x32dbg|ida64|idaq|fiddler|"
    r"httpdebugger|dumpcap|pestudio|immunitydebugger|windbg|ksdumper|tcpview|sysmon|apimonitor)",
    re.IGNORECASE,
)
_MACS = re.compile(r"^(08:00:27|00:0c:29|00:05:69|00:50:56|00:1c:14|00:16:3e)", re.IGNORECASE)
_LEAVES = frozenset({"exit", "_exit", "quit", "abort", "kill"})


def _say(_call: Call) -> Iterator[Hit]:
    yield Hit(message="The code asks whether a debugger is attached.")


def _ask_module(module: PythonModule) -> Iterator[Hit]:
    places: list[int] = []
    marks: set[str] = set()
    for line, text in strings(module):
        for pattern in (_MACHINES, _TOOLS, _MACS):
            found = pattern.search(text[:2_000])
            if found is not None:
                places.append(line)
                marks.add(found.group(0).lower())
    leaves = bool(module.identifiers & _LEAVES)
    if (len(marks) >= 2 and leaves) or len(marks) >= 4:
        yield Hit(
            message="The code looks for virtual machines or tools of analysts.",
            line=min(places),
            confidence=Confidence.MEDIUM,
        )
    yield from _traced(module)


def _traced(module: PythonModule) -> Iterator[Hit]:
    """`if sys.gettrace(): sys.exit()`"""
    for node in module.nodes:
        if not isinstance(node, ast.If):
            continue
        asks = any(
            isinstance(n, ast.Attribute) and n.attr == "gettrace" for n in ast.walk(node.test)
        )
        if asks and any(
            isinstance(n, ast.Call)
            and getattr(n.func, "attr", getattr(n.func, "id", "")) in _LEAVES
            for statement in node.body
            for n in ast.walk(statement)
        ):
            yield Hit(message="The code ends itself when it is debugged.", line=node.lineno)


CHECK = Check(
    rule="anti-analysis",
    title="Hides from analysis",
    cwe=506,
    severity=Severity.MEDIUM,
    remedy="Behave the same whether somebody looks or not.",
    calls=on(
        "ctypes.windll.kernel32.IsDebuggerPresent "
        "ctypes.windll.kernel32.CheckRemoteDebuggerPresent "
        "ctypes.windll.ntdll.NtQueryInformationProcess win32api.IsDebuggerPresent",
        _say,
    ),
    module=_ask_module,
)
