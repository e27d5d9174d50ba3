"""The owner's policy file."""

from pathlib import Path

import pytest

from heimnetz_audit.model import Severity
from heimnetz_audit.model.waivers import InvalidPolicy
from heimnetz_audit.verdict import Policy
from heimnetz_auditor.policy import load_policy, parse_policy


def test_the_default_approves_a_and_b_and_rejects_what_is_critical() -> None:
    policy = Policy.from_mapping(load_policy(None).document)

    assert policy.minimum_grade == "B"
    assert policy.review_at is Severity.HIGH
    assert policy.reject_at is Severity.CRITICAL


def test_the_layout_of_the_file_does_not_change_its_digest() -> None:
    one = parse_policy("minimum_grade: A\nreview_at: high\n")
    other = parse_policy("# mine\nreview_at:   high\nminimum_grade: 'A'\n")

    assert one.sha256 == other.sha256


def test_an_empty_file_is_the_engines_own_policy() -> None:
    assert parse_policy("# nothing yet\n").document == {}


def test_the_end_of_a_waiver_may_be_a_date() -> None:
    policy = parse_policy(
        "waivers:\n- {rule: weak-cryptography, plugin: adder, reason: no secret in it, "
        "expires_on: 2027-01-31}\n"
    )

    [waiver] = Policy.from_mapping(policy.document).waivers
    assert str(waiver.expires_on) == "2027-01-31"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("- a\n- b\n", "mapping"),
        ("minimum_grade: [", "not YAML"),
        ("minimum_grade: G\n", "no such grade"),
        ("minimum_garde: A\n", "unknown entry"),
        ("1: A\nx: B\n", "unknown entry"),
        ("waivers:\n- {rule: dropper}\n", r"waivers\[0\]: plugin is missing"),
        ("review_at: awful\n", "review_at"),
        ("forbid_undeclared: perhaps\n", "true or false"),
        ("a: !!python/object/apply:os.system ['true']\n", "not YAML"),
    ],
)
def test_a_policy_without_meaning_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(InvalidPolicy, match=complaint):
        parse_policy(text)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidPolicy, match=r"mine\.yaml"):
        load_policy(tmp_path / "mine.yaml")
