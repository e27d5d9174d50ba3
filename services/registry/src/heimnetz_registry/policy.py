"""What follows from an audit. Pure: the audit is the auditor's, the consequence is ours."""

from collections.abc import Iterable

from heimnetz_manifest.names import edit_distance_at_most_one
from heimnetz_registry.model import State

_AFTER_SUBMISSION = {
    "approve": State.APPROVED,
    "review": State.NEEDS_REVIEW,
    "reject": State.REJECTED,
}


def state_after_audit(current: State, verdict: str, *, lookalike: str | None) -> State | None:
    """The state that a version takes, or None when the audit changes nothing.

    An audit never undoes what a person decided, and never approves what a person has to see.
    """
    if current is State.SUBMITTED:
        if verdict == "approve" and lookalike is not None:
            return State.NEEDS_REVIEW
        return _AFTER_SUBMISSION.get(verdict, State.NEEDS_REVIEW)
    if current is State.APPROVED and verdict != "approve":
        return State.NEEDS_REVIEW
    return None


def lookalike_of(plugin: str, others: Iterable[str]) -> str | None:
    """A name one typing error away, which a careless person could take for this one."""
    return next(
        (name for name in others if name != plugin and edit_distance_at_most_one(plugin, name)),
        None,
    )
