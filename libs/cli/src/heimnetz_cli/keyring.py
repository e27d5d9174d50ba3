"""The key that this person signs with: one file, readable by its owner alone."""

from pathlib import Path
from typing import TYPE_CHECKING

from heimnetz_cli.exits import Exit, Failure
from heimnetz_cli.session import folder, write_private

if TYPE_CHECKING:
    from heimnetz_manifest.signing import PrivateKey

_LONGEST_BYTES = 4096


def key_file() -> Path:
    return folder() / "signing-key.pem"


def next_file() -> Path:
    """Of a rotation under way: what is made stays until the registry has taken it."""
    return folder() / "signing-key.next.pem"


def find(file: Path) -> "PrivateKey | None":
    """Raises: Failure, when it is no key of ours or others may read it."""
    from heimnetz_manifest.signing import PrivateKey

    try:
        mode = file.stat().st_mode
    except FileNotFoundError:
        return None
    if mode & 0o077:
        raise Failure(f"others may read {file}; run: chmod 600 {file}")
    try:
        with file.open("rb") as stream:
            return PrivateKey.from_pem(stream.read(_LONGEST_BYTES))
    except ValueError as error:
        raise Failure(f"{file}: {error}") from None


def get() -> "PrivateKey":
    """Raises: Failure, when there is none."""
    key = find(key_file())
    if key is None:
        raise Failure("there is no key to sign with; run: heimnetz key new", Exit.NOT_FOUND)
    return key


def store(key: "PrivateKey", file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_private(file, key.to_pem().decode("ascii"))
