"""Machine code is written into memory and started.

It is neither in the package as code nor seen by anybody who reads it. Memory that is made writable and
executable, filled and started is how code that nobody may see is brought in; calling a function of a
library needs none of it.

Found in `app.py`:

    import ctypes
    k = ctypes.windll.kernel32
    p = k.VirtualAlloc(0, 4096, 0x3000, 0x40)
    k.RtlMoveMemory(p, bytes(8), 1)
    k.CreateThread(0, 0, p, 0, 0, 0)

Not found in `app.py`:

    import ctypes
    size = ctypes.sizeof(ctypes.c_int)
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
    remedy="Call functions of a library that is shipped as a file and named in the manifest.",
    module=_ask,
)
