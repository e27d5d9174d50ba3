"""What a package says of itself, and the dependencies that its lock pins."""

from dataclasses import dataclass
from typing import Literal

#: `missing`: nobody says what the package needs. `none`: its manifest names no lock.
LockState = Literal["missing", "none", "damaged", "whole"]


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class Dependency:
    """One pinned distribution; `name` is normalised (PEP 503), `line` is 1-based.

    `needed_by` holds normalised names, and `""` for the package itself; it is empty where the lock
    does not tell.
    """

    name: str
    version: str
    hashes: tuple[str, ...]
    needed_by: tuple[str, ...]
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundled:
    """One package of npm that lies in the package, or that its lock names; `line` is 1-based."""

    name: str
    version: str
    file: str
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pinned:
    """Texts are as the package wrote them, and empty where it says nothing.

    `loose` are lines of the lock that pin nothing, with the name where there is one; `wanted` are
    file, line and name of what the author asked to be locked. Names are normalised. `unread` are
    files that should tell what is bundled.
    """

    name: str = ""
    version: str = ""
    licence: str = ""
    lock: str = ""
    state: LockState = "missing"
    dependencies: tuple[Dependency, ...] = ()
    loose: tuple[tuple[int, str], ...] = ()
    wanted: tuple[tuple[str, int, str], ...] = ()
    bundled: tuple[Bundled, ...] = ()
    unread: tuple[str, ...] = ()
