"""How a version differs from the one before."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Something that came with a version, or went.

    `kind` is a field of `InferredPermissions`, or `dependencies`, `findings`,
    `manifest`, `programs` (files of machine code) or `size`.
    """

    kind: str
    what: str
    is_new: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """`since` is the version before, empty where it says none; `left_out` changes are not told."""

    since: str
    changes: tuple[Change, ...]
    left_out: int = 0

    def new(self, *kinds: str) -> tuple[str, ...]:
        return tuple(c.what for c in self.changes if c.is_new and c.kind in kinds)
