"""Whom we talk to, and as whom: stored by `heimnetz login`, overridden by the environment."""

import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from heimnetz_cli.exits import Exit, Failure

if TYPE_CHECKING:
    from heimnetz_sdk.client import Client

DEFAULT_URL = "https://localhost:8443"


@dataclass(frozen=True)
class Session:
    url: str
    token: str | None = None
    ca_file: Path | None = None


def folder() -> Path:
    """`$XDG_CONFIG_HOME/heimnetz`; the XDG specification makes relative paths invalid."""
    base = os.environ.get("XDG_CONFIG_HOME", "")
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".config") / "heimnetz"


def load() -> Session:
    """The stored session under the environment's variables.

    A stored token and CA go to the stored address only, never to another that a variable names.
    """
    stored = _stored()
    url = os.environ.get("HEIMNETZ_URL") or stored.url
    if url.rstrip("/") != stored.url.rstrip("/"):
        stored = Session(url)
    ca_file = os.environ.get("HEIMNETZ_CA_FILE")
    return Session(
        url=url,
        token=os.environ.get("HEIMNETZ_TOKEN") or stored.token,
        ca_file=Path(ca_file) if ca_file else stored.ca_file,
    )


def _stored() -> Session:
    file = folder() / "session.json"
    try:
        document = json.loads(file.read_text())
        ca_file = document.get("ca_file")
        return Session(document["url"], document["token"], Path(ca_file) if ca_file else None)
    except FileNotFoundError:
        return Session(DEFAULT_URL)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Failure(f"{file} cannot be read ({error}); log in again, or delete it") from None


def save(session: Session) -> Path:
    """Store for the next call, readable by this user only; the CA is copied beside."""
    place = folder()
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    ca_file = None
    if session.ca_file is not None:
        ca_file = place / "ca.crt"
        if session.ca_file.resolve() != ca_file.resolve():
            write_private(ca_file, session.ca_file.read_text())
    document = {
        "url": session.url,
        "token": session.token,
        "ca_file": None if ca_file is None else str(ca_file),
    }
    file = place / "session.json"
    write_private(file, json.dumps(document, indent=2) + "\n")
    return file


def forget() -> bool:
    """True if there was something to forget."""
    file = folder() / "session.json"
    had_one = file.exists()
    file.unlink(missing_ok=True)
    (folder() / "ca.crt").unlink(missing_ok=True)
    return had_one


def write_private(file: Path, text: str) -> None:
    """A whole file or none, readable by this user only."""
    # mkstemp makes the file 0600 from its first moment; the rename keeps an old one whole.
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(descriptor, "w") as stream:
            stream.write(text)
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def open_client(session: Session | None = None) -> "Client":
    """Raises: Failure, when nobody is logged in."""
    from heimnetz_sdk.client import Client

    session = session or load()
    if session.token is None:
        raise Failure(
            f"not logged in at {session.url}; run: heimnetz login --url {session.url}",
            Exit.UNAUTHENTICATED,
        )
    return Client(session.url, token=session.token, ca_file=session.ca_file)
