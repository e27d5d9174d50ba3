"""What the rules are: the code of the engine and of its checks, and the lists beside it.

A person may forget to raise a number; the digest of what decides cannot be forgotten.
"""

import hashlib
from pathlib import Path
from typing import Final

_DATA: Final = frozenset({".py", ".txt"})


def digest(folder: Path) -> str:
    """SHA-256 of the names and contents of code and lists below a folder."""
    made = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.suffix in _DATA and p.is_file()):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        made.update(f"{content} {path.relative_to(folder).as_posix()}\n".encode())
    return made.hexdigest()


RULES_SHA256: Final = digest(Path(__file__).parent)
#: Differs when the same package may get another report: the build of a SemVer 2.0 version.
ENGINE_VERSION: Final = f"1.7.0+{RULES_SHA256[:16]}"
