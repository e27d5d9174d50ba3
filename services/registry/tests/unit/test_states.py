from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heimnetz_registry import events
from heimnetz_registry.errors import (
    IllegalTransition,
    NotDecidable,
    SignatureDowngrade,
    SigningKeyForeign,
    SigningKeyRetired,
    SigningKeyRevoked,
    UnsignedRefused,
)
from heimnetz_registry.model import (
    DECIDERS,
    TRANSITIONS,
    By,
    KeyState,
    SigningKey,
    State,
    check_decider,
    check_transition,
)
from heimnetz_registry.policy import (
    check_signer,
    is_worse_audit,
    lookalike_of,
    review_of_unsigned,
    state_after_audit,
)

STATES = st.sampled_from(State)


def test_the_table_names_every_state() -> None:
    assert set(TRANSITIONS) == set(State)
    assert set(DECIDERS) == set(State)


@given(STATES, STATES, st.sampled_from(By))
def test_what_is_not_in_the_table_is_refused(current: State, wanted: State, by: By) -> None:
    if TRANSITIONS[current].get(wanted) == by:
        check_transition(current, wanted, by)
    else:
        with pytest.raises(IllegalTransition):
            check_transition(current, wanted, by)


@given(STATES)
def test_every_state_can_be_deleted_once_and_nothing_comes_back(state: State) -> None:
    if state is not State.DELETED:
        assert TRANSITIONS[state][State.DELETED] is By.PERSON
    assert TRANSITIONS[State.DELETED] == {}


@given(STATES, st.sampled_from(["approve", "review", "reject", "nonsense"]), st.booleans())
def test_an_audit_only_ever_makes_transitions_that_are_its_own(
    state: State, verdict: str, alike: bool
) -> None:
    wanted = state_after_audit(state, verdict, lookalike="other" if alike else None)

    if wanted is not None:
        check_transition(state, wanted, By.AUDIT)


@pytest.mark.parametrize(
    ("state", "verdict", "wanted"),
    [
        (State.SUBMITTED, "approve", State.APPROVED),
        (State.SUBMITTED, "review", State.NEEDS_REVIEW),
        (State.SUBMITTED, "reject", State.REJECTED),
        (State.SUBMITTED, "unheard of", State.NEEDS_REVIEW),
        (State.APPROVED, "approve", None),
        (State.APPROVED, "review", State.NEEDS_REVIEW),
        (State.APPROVED, "reject", State.NEEDS_REVIEW),
        (State.NEEDS_REVIEW, "approve", None),
        (State.QUARANTINED, "approve", None),
        (State.REJECTED, "approve", None),
    ],
)
def test_an_audit_has_the_consequence_of_the_architecture(
    state: State, verdict: str, wanted: State | None
) -> None:
    assert state_after_audit(state, verdict, lookalike=None) is wanted


@pytest.mark.parametrize(
    ("before", "after", "wanted"),
    [
        (("approve", "A"), ("review", "A"), State.NEEDS_REVIEW),
        (("review", "C"), ("review", "C"), None),
        (("review", "C"), ("review", "B"), None),
        (("review", "C"), ("review", "D"), State.NEEDS_REVIEW),
        (("review", "F"), ("reject", "F"), State.NEEDS_REVIEW),
        (("review", "C"), ("approve", "D"), None),
        (("review", "F"), ("review", "unknown"), State.NEEDS_REVIEW),
        (("review", "unknown"), ("review", "F"), None),
        (("review", "C"), ("unheard of", "C"), State.NEEDS_REVIEW),
        ((None, None), ("review", "A"), State.NEEDS_REVIEW),
    ],
)
def test_an_approval_in_spite_of_an_audit_stands_until_a_worse_one(
    before: tuple[str | None, str | None], after: tuple[str, str], wanted: State | None
) -> None:
    state = state_after_audit(
        State.APPROVED, after[0], lookalike=None, is_worse=is_worse_audit(before, after)
    )

    assert state is wanted


def test_a_lookalike_of_an_installed_plugin_waits_for_a_person() -> None:
    assert lookalike_of("enregy-report", ["energy-report"]) == "energy-report"
    assert state_after_audit(State.SUBMITTED, "approve", lookalike="x") is State.NEEDS_REVIEW


def test_a_plugin_is_no_lookalike_of_itself() -> None:
    assert lookalike_of("energy-report", ["energy-report", "log-digest"]) is None


@pytest.mark.parametrize("role", ["operator", "viewer", None])
def test_roles_without_a_decision_have_none(role: str | None) -> None:
    for state in State:
        with pytest.raises(NotDecidable):
            check_decider(role, state)


def test_every_state_but_submitted_has_its_event() -> None:
    assert set(events.BY_STATE) == set(State) - {State.SUBMITTED}
    assert len({event.type() for event in events.ALL}) == len(events.ALL)


def test_an_approved_audit_of_what_a_person_has_to_see_is_a_question_to_a_person() -> None:
    for verdict, wanted in (("approve", State.NEEDS_REVIEW), ("reject", State.REJECTED)):
        after = state_after_audit(State.SUBMITTED, verdict, lookalike=None, is_review_due=True)
        assert after is wanted


NOW = datetime(2026, 11, 25, tzinfo=UTC)
PEOPLE = st.sampled_from(["ada", "bob", "eve"])


@given(PEOPLE, PEOPLE, st.none() | PEOPLE, st.sampled_from(KeyState))
def test_a_key_vouches_only_when_it_is_the_publishers_own_and_in_use(
    holder: str, publisher: str, last_signer: str | None, state: KeyState
) -> None:
    key = SigningKey("k", holder, "laptop", b"", state, "", None, NOW, NOW)
    expected: type[Exception] | None = None
    if last_signer not in (None, holder):
        expected = SignatureDowngrade
    elif holder != publisher:
        expected = SigningKeyForeign
    elif state is not KeyState.ACTIVE:
        expected = SigningKeyRevoked if state is KeyState.REVOKED else SigningKeyRetired

    if expected is None:
        check_signer(key, publisher, last_signer)
    else:
        with pytest.raises(expected):
            check_signer(key, publisher, last_signer)


def test_what_unsigned_packages_get_is_the_owners_policy_but_a_downgrade_is_none() -> None:
    assert review_of_unsigned("allow", None) is False
    assert review_of_unsigned("review", None) is True
    with pytest.raises(UnsignedRefused):
        review_of_unsigned("refuse", None)
    with pytest.raises(SignatureDowngrade):
        review_of_unsigned("allow", "ada")
