"""Machine code is written into memory and started.

It is neither in the package as code nor seen by anybody who reads it.
"""

from collections.abc import Iterator

from heimnetz_audit.model import Check, Hit, PythonModule, Severity

_CALLS = frozenset({"VirtualAlloc", "VirtualAllocEx", "WriteProcessMemory", "CreateRemoteThread",
                    "RtlMoveMemory", "NtCreateThreadEx", "QueueUserAPC", "VirtualProtect",
                    "CreateThread", "memfd_create"})  # fmt: skip


def _ask(module: PythonModule) -> Iterator[Hit]:
    if module.imports.isdisjoint({"ctypes", "cffi", "win32process"}):
        return
    found = module.identifiers & _CALLS
    executable = "PROT_EXEC" in module.identifiers and "mmap" in module.identifiers
    if len(found) >= 2 or (executable and "CFUNCTYPE" in module.identifiers):
        name = min(found) if found else "PROT_EXEC"
        line = next((n for n, text in enumerate(module.lines, 1) if name in text), 1)
        yield Hit(message="Machine code is put into memory and started.", line=line)


CHECK = Check(
    rule="memory-injection",
    title="Machine code in memory",
    cwe=506,
    severity=Severity.CRITICAL,
    remedy="Remove it.",
    module=_ask,
)
