"""What follows from an audit and from a signature. Pure: others look, the consequence is ours."""

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

from heimnetz_manifest.names import edit_distance_at_most_one
from heimnetz_registry.catalogue_errors import CatalogueExpired, CatalogueReplayed
from heimnetz_registry.errors import (
    SignatureDowngrade,
    SigningKeyForeign,
    SigningKeyRetired,
    SigningKeyRevoked,
    UnsignedRefused,
)
from heimnetz_registry.model import KeyState, SigningKey, State

# What the owner's policy says of packages without a signature.
Unsigned = Literal["allow", "review", "refuse"]

_AFTER_SUBMISSION = {
    "approve": State.APPROVED,
    "review": State.NEEDS_REVIEW,
    "reject": State.REJECTED,
}


_WORSE_VERDICTS = ("approve", "review", "reject")
_WORSE_GRADES = ("A", "B", "C", "D", "E", "F", "unknown")


def is_worse_audit(before: tuple[str | None, str | None], after: tuple[str, str]) -> bool:
    """Whether verdict or grade of an audit are worse than those of the one before.

    Words that we do not know are the worst.
    """
    if before[0] is None or before[1] is None:
        return True
    return any(
        _rank(words, new) > _rank(words, old)
        for words, old, new in zip((_WORSE_VERDICTS, _WORSE_GRADES), before, after, strict=True)
    )


def _rank(words: tuple[str, ...], word: str | None) -> int:
    return words.index(word) if word in words else len(words)


def state_after_audit(
    current: State,
    verdict: str,
    *,
    lookalike: str | None,
    is_review_due: bool = False,
    is_worse: bool = True,
) -> State | None:
    """The state that a version takes, or None when the audit changes nothing.

    An audit never undoes what a person decided, and never approves what a person has to see: who
    approved a version in spite of its audit is asked again when another one `is_worse`.
    """
    if current is State.SUBMITTED:
        if verdict == "approve" and (lookalike is not None or is_review_due):
            return State.NEEDS_REVIEW
        return _AFTER_SUBMISSION.get(verdict, State.NEEDS_REVIEW)
    if current is State.APPROVED and verdict != "approve" and is_worse:
        return State.NEEDS_REVIEW
    return None


def lookalike_of(plugin: str, others: Iterable[str]) -> str | None:
    """A name one typing error away, which a careless person could take for this one."""
    return next(
        (name for name in others if name != plugin and edit_distance_at_most_one(plugin, name)),
        None,
    )


def check_signer(key: SigningKey, publisher: str, last_signer: str | None) -> None:
    """Whether the key may vouch for a new version of this publisher's plugin.

    Raises: SigningKeyForeign, SigningKeyRevoked, SigningKeyRetired, SignatureDowngrade.
    """
    if last_signer is not None and key.publisher != last_signer:
        raise SignatureDowngrade(f"the plugin was signed by {last_signer}, not by {key.publisher}")
    if key.publisher != publisher:
        raise SigningKeyForeign(key.id, publisher)
    if key.state is KeyState.REVOKED:
        raise SigningKeyRevoked(key.id)
    if key.state is KeyState.RETIRED:
        raise SigningKeyRetired(key.id)


def check_index_expiry(expires_at: datetime, now: datetime) -> None:
    """Whether a catalogue's index may still be believed: who keeps newer ones back is found out.

    Raises: CatalogueExpired.
    """
    if expires_at <= now:
        raise CatalogueExpired(expires_at)


def check_index_order(known: tuple[int, str], found: tuple[int, str]) -> None:
    """Whether an index may follow the known one; both are counter and digest.

    Raises: CatalogueReplayed.
    """
    if found[0] < known[0] or (found[0] == known[0] and found[1] != known[1]):
        raise CatalogueReplayed(found[0], known[0])


def review_of_unsigned(unsigned: Unsigned, last_signer: str | None) -> bool:
    """Whether a person has to look at a package without a signature.

    Raises: SignatureDowngrade, UnsignedRefused.
    """
    if last_signer is not None:
        raise SignatureDowngrade(f"the plugin was signed by {last_signer}, this version is not")
    if unsigned == "refuse":
        raise UnsignedRefused
    return unsigned == "review"
