"""A dependency has nearly the name of another one that many people know.

Whoever mistypes a name, or reads over a letter, installs what somebody else put there under that
name, and its code runs with the rights of whatever asked for it. The names in the lock are compared
with a list of well-known ones: one letter too many, too few or another one, two letters swapped, a
separator moved, letters and digits that look alike. A name that is on the list itself is not asked
about; one that is near to it and honest is for a person to say.

Found in `requirements.lock`:

    reqeusts==2.32.0 --hash=sha256:1111111111111111111111111111111111111111111111111111111111111111

Not found in `requirements.lock`:

    requests==2.32.0 --hash=sha256:1111111111111111111111111111111111111111111111111111111111111111
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from importlib.resources import files
from typing import Final

from heimnetz_audit.model import Check, Confidence, Hit, Package, Severity

#: Almost every short word has an honest neighbour.
LEAST_CHARACTERS: Final = 5
CLEAR_CHARACTERS: Final = 7
#: No name that many people know is longer.
MOST_CHARACTERS: Final = 64
_ALIKE: Final = (("rn", "m"), ("vv", "w"), ("0", "o"), ("1", "l"), ("i", "l"), ("5", "s"))


def _read_popular() -> frozenset[str]:
    text = files("heimnetz_audit").joinpath("popular.txt").read_text("utf-8")
    return frozenset(re.sub(r"#.*", "", text).split())


def _looks(name: str) -> str:
    """The same text for names that a reader takes for each other."""
    seen = name.replace("-", "")
    for written, read in _ALIKE:
        seen = seen.replace(written, read)
    return seen


def _without_one(name: str) -> Iterator[str]:
    for index in range(len(name)):
        yield name[:index] + name[index + 1 :]


POPULAR: Final = _read_popular()
_BY_LOOKS: Final = {_looks(name): name for name in sorted(POPULAR) if len(name) > 2}
# Two names that differ in one place have a text in common once a letter is left out of either.
_BY_PIECE: Final[dict[str, list[str]]] = defaultdict(list)
for _name in sorted(POPULAR):
    if len(_name) >= LEAST_CHARACTERS:
        for _piece in {_name, *_without_one(_name)}:
            _BY_PIECE[_piece].append(_name)


def imitated(name: str) -> str | None:
    """The well-known name that a normalised name can be taken for."""
    if name in POPULAR or len(name) > MOST_CHARACTERS:
        return None
    if len(name) > 2 and (alike := _BY_LOOKS.get(_looks(name))) is not None:
        return alike
    if len(name) < LEAST_CHARACTERS:
        return None
    near = {
        known
        for piece in (name, *_without_one(name))
        for known in _BY_PIECE.get(piece, ())
        if _is_one_slip(name, known)
    }
    return min(near, default=None)


def _is_one_slip(one: str, other: str) -> bool:
    """One letter more, fewer or another, or two neighbours swapped."""
    short, long = sorted((one, other), key=len)
    start = 0
    while start < len(short) and short[start] == long[start]:
        start += 1
    if len(short) < len(long):
        return short[start:] == long[start + 1 :]
    rest, other_rest = one[start:], other[start:]
    return rest[1:] == other_rest[1:] or (
        rest[1::-1] == other_rest[:2] and rest[2:] == other_rest[2:]
    )


def _is_clear(name: str, known: str) -> bool:
    """Short words are often one letter apart by chance."""
    return _looks(name) == _looks(known) or len(known) >= CLEAR_CHARACTERS


def _ask(package: Package) -> Iterator[Hit]:
    for dependency in package.pinned.dependencies:
        known = imitated(dependency.name)
        if known is not None:
            yield Hit(
                message=f"The lock asks for {dependency.name}, which is nearly {known}.",
                file=package.pinned.lock,
                line=dependency.line,
                severity=Severity.HIGH if _is_clear(dependency.name, known) else Severity.MEDIUM,
                confidence=Confidence.MEDIUM,
            )


CHECK = Check(
    rule="deps-typosquat",
    title="Dependency with nearly a well-known name",
    cwe=1357,
    severity=Severity.HIGH,
    remedy="Write the name that was meant, and lock again; where the package is meant, have a person say so.",
    package=_ask,
)
