import json
from datetime import UTC, datetime, timedelta

import pytest

from heimnetz_common.tokens import generate_private_key
from heimnetz_init.signing import LIFETIME, OVERLAP, KeySet

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


def kids(keys: KeySet) -> list[str]:
    return [key["kid"] for key in json.loads(keys.write())["keys"]]


@pytest.fixture
def keys() -> KeySet:
    keys = KeySet.read(None)
    keys.add("auditor", generate_private_key(), NOW)
    return keys


def test_the_old_key_stays_until_what_it_signed_has_ended(keys):
    keys.add("auditor", generate_private_key(), NOW)

    keys.drop_ended(NOW + OVERLAP)
    during = kids(keys)
    keys.drop_ended(NOW + OVERLAP + timedelta(seconds=1))

    assert during == ["auditor-1", "auditor-2"]
    assert kids(keys) == ["auditor-2"]


def test_a_number_is_never_given_twice(keys):
    for day in range(1, 12):
        later = NOW + timedelta(days=day)
        keys.drop_ended(later)
        keys.add("auditor", generate_private_key(), later)

    assert kids(keys) == ["auditor-11", "auditor-12"]


def test_adding_the_same_key_again_changes_nothing(keys):
    private = generate_private_key()
    keys.add("auditor", private, NOW)
    before = keys.write()

    keys.add("auditor", private, NOW + timedelta(days=1))

    assert keys.write() == before


def test_a_key_that_was_published_and_never_used_goes(keys):
    """The process ended between publishing a key and writing it to its service."""
    current = generate_private_key()
    keys.add("sandbox", current, NOW)
    keys.add("sandbox", generate_private_key(), NOW)

    keys.add("sandbox", current, NOW + timedelta(hours=1))
    keys.drop_ended(NOW + timedelta(hours=1) + 2 * OVERLAP)

    assert kids(keys) == ["auditor-1", "sandbox-1"]


@pytest.mark.parametrize(
    ("age", "is_due"), [(timedelta(0), False), (LIFETIME, True), (LIFETIME * 2, True)]
)
def test_a_key_is_due_when_its_lifetime_is_over(keys, age, is_due):
    assert keys.is_due("auditor", NOW + age) is is_due
    assert keys.is_due("sandbox", NOW)
