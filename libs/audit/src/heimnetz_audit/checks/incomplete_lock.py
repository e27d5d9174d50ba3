"""What the package needs is not pinned: a line of the lock without version or hash, or no line.

The lock decides which code runs beside the plugin. A line without an exact version and hashes lets
whoever serves the file choose that code, today or at the next installation; what is asked for (in
`requirements.in` or `pyproject.toml`) or imported and stands on no line comes from nobody knows
where. The names of distributions and of modules differ, so that an import alone weighs little.

Found in `requirements.lock`:

    requests>=2.32

Not found in `requirements.lock`:

    requests==2.32.0 --hash=sha256:1111111111111111111111111111111111111111111111111111111111111111
"""

import re
from collections.abc import Iterator
from typing import Final

from heimnetz_audit.model import Check, Confidence, Hit, Package, Severity

#: Enough to see what is wrong with a lock.
HITS_LIMIT: Final = 20
#: Distributions whose modules have another name than they.
_PROVIDERS: Final = {
    "attr": "attrs",
    "bs4": "beautifulsoup4",
    "crypto": "pycryptodome",
    "cv2": "opencv",
    "dns": "dnspython",
    "docx": "python-docx",
    "fitz": "pymupdf",
    "git": "gitpython",
    "github": "pygithub",
    "magic": "python-magic",
    "mysqldb": "mysqlclient",
    "openssl": "pyopenssl",
    "pil": "pillow",
    "pkg-resources": "setuptools",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "socks": "pysocks",
    "usb": "pyusb",
    "yaml": "pyyaml",
    "zmq": "pyzmq",
}


def provides(distribution: str, module: str) -> bool:
    """Whether a normalised distribution may hold a module; when in doubt, it does."""
    name = re.sub(r"[-_.]+", "-", module).lower().strip("-")
    known = _PROVIDERS.get(name)
    if known is not None and (distribution == known or distribution.startswith(f"{known}-")):
        return True
    bare = re.sub(r"^py(?:thon)?-?|[0-9]+$", "", distribution)
    return name in {distribution, bare, *distribution.split("-")} or distribution.startswith(
        f"{name}-"
    )


def _ask(package: Package) -> Iterator[Hit]:
    pinned = package.pinned
    if pinned.state == "damaged" and not pinned.loose and not pinned.dependencies:
        yield Hit(
            message=f"The lock {pinned.lock} is missing, empty or too large to be read.",
            file="plugin.yaml",
            line=1,
        )
        return
    for line, name in pinned.loose[:HITS_LIMIT]:
        what = name or "A line"
        yield Hit(
            message=f"{what} is not pinned to one version with hashes.", file=pinned.lock, line=line
        )
    if pinned.state == "missing":
        return
    names = {each.name for each in pinned.dependencies} | {name for _, name in pinned.loose}
    for file, line, name in pinned.wanted[:HITS_LIMIT]:
        if name not in names:
            yield _missing(f"{name} is asked for and not in the lock.", file, line)
    for module, (file, line) in sorted(package.needs.items())[:HITS_LIMIT]:
        if not any(provides(name, module) for name in names):
            yield _missing(f"{module} is imported and not in the lock.", file, line)


def _missing(message: str, file: str, line: int) -> Hit:
    return Hit(
        message=message, file=file, line=line, severity=Severity.LOW, confidence=Confidence.LOW
    )


CHECK = Check(
    rule="deps-lock",
    title="Dependency that is not pinned",
    cwe=494,
    severity=Severity.MEDIUM,
    remedy="Lock again with hashes, for instance with `uv pip compile --generate-hashes`.",
    package=_ask,
)
