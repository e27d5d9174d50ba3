"""What a dependency lock may say: exact versions with hashes, and nothing that pip would obey."""

import re

from heimnetz_sandbox.errors import CannotPrepare

MAX_LOCK_BYTES = 256 * 1024

# name[extras]==version ; marker --hash=sha256:...  (PEP 508 without URLs, pip's hash option)
_REQUIREMENT = re.compile(
    r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?(?:\[[A-Za-z0-9._, -]+\])?"
    r"\s*==\s*[A-Za-z0-9.!+_-]+"
    r"(?:\s*;\s*[A-Za-z0-9_.'\"()<>=!~, -]+?)?"
    r"(?:\s+--hash=sha256:[0-9a-f]{64})+"
)


def check(lock: bytes) -> None:
    """Raises: CannotPrepare."""
    if len(lock) > MAX_LOCK_BYTES:
        raise CannotPrepare(f"the lock is larger than {MAX_LOCK_BYTES} bytes")
    try:
        text = lock.decode("utf-8")
    except UnicodeDecodeError as error:
        raise CannotPrepare("the lock is not UTF-8") from error
    joined = re.sub(r"\\\r?\n", " ", text)
    for number, line in enumerate(joined.splitlines(), 1):
        requirement = re.sub(r"(^|\s)#.*", "", line).strip()
        if requirement and not _REQUIREMENT.fullmatch(requirement):
            raise CannotPrepare(
                f"line {number} of the lock is no exact version with sha256 hashes:"
                f" {requirement[:80]!a}"
            )
