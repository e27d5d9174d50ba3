"""Code stands where nobody expects it, or a file is not what its name says.

A `.pth` file with an import runs at every start of Python; a picture that begins like a program is
one.

Found in `x.pth`:

    import os; os.system('id')

Not found in `x.pth`:

    ./lib
"""

import re
from collections.abc import Iterator
from typing import Final

from heimnetz_audit.model import Check, Confidence, Hit, Package, Severity

_PROGRAMS: Final = (b"\x7fELF", b"MZ\x90", b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe")
_NATIVE: Final = (".so", ".pyd", ".dll", ".dylib", ".exe", ".bin", ".o", ".a", ".node", ".elf", "")
_PICTURES: Final = (".png", ".jpg", ".jpeg", ".gif", ".txt", ".md", ".json", ".csv", ".ico", ".pdf",
                    ".svg", ".yaml", ".yml", ".html", ".css", ".toml", ".cfg", ".ini", ".wav", ".mp3")  # fmt: skip
_SCRIPT: Final = re.compile(rb"^(#!\s*/(usr/)?bin/|import |from \w+ import |exec\()")


def _ask(package: Package) -> Iterator[Hit]:
    for name in package.tree.files:
        base = name.rpartition("/")[2].lower()
        ending = f".{base.rpartition('.')[2]}" if "." in base else ""
        if ending == ".pth":
            yield from _ask_pth(name, package.tree.files[name][:100_000])
        elif ending in _PICTURES:
            head = package.tree.files[name][:64]
            if head.startswith(_PROGRAMS):
                yield Hit(
                    message="The file is a program, whatever its name says.", file=name, line=1
                )
            elif ending not in (".txt", ".md", ".html", ".svg") and _SCRIPT.match(head):
                yield Hit(
                    message="The file holds code, whatever its name says.",
                    file=name,
                    line=1,
                    severity=Severity.MEDIUM,
                    confidence=Confidence.MEDIUM,
                )
        elif ending in (".exe", ".dll", ".scr", ".msi"):
            yield Hit(
                message="The package brings a program for Windows.",
                file=name,
                line=1,
                severity=Severity.LOW,
            )


def _ask_pth(name: str, content: bytes) -> Iterator[Hit]:
    for number, line in enumerate(content.splitlines(), 1):
        if line.startswith((b"import ", b"import\t")):
            is_long = len(line) > 200 or re.search(
                rb"exec|eval|base64|urllib|subprocess|os\.", line
            )
            yield Hit(
                message="The file runs code at every start of Python.",
                file=name,
                line=number,
                severity=Severity.HIGH if is_long else Severity.MEDIUM,
            )
            return


CHECK = Check(
    rule="unexpected-place",
    title="Code where nobody looks",
    cwe=506,
    severity=Severity.HIGH,
    remedy="Keep code in modules, and name files after what they hold.",
    package=_ask,
)
