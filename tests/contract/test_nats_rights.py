"""What init lets a service hear and say is what the service hears and says."""

from fnmatch import fnmatchcase

import generate
import pytest

from heimnetz_init.model import PARTIES, Party

SERVICES = [party for party in PARTIES if party.has_role]


def announced(party: Party) -> set[str]:
    return {event.name for event in generate.announced(party.name)}


@pytest.mark.parametrize("party", SERVICES, ids=lambda party: party.name)
def test_a_service_may_hear_what_it_subscribes_to_and_no_more(party):
    assert set(party.consumes) == {
        item.data_type.name for item in generate.subscriptions(party.name)
    }


@pytest.mark.parametrize("party", SERVICES, ids=lambda party: party.name)
def test_a_service_may_say_what_it_announces(party):
    for name in announced(party):
        assert any(fnmatchcase(f"heimnetz.{name}", subject) for subject in party.publishes), name


def test_no_service_may_say_what_another_one_announces():
    for party in SERVICES:
        others = {name for other in SERVICES if other is not party for name in announced(other)}
        for name in others:
            assert not any(fnmatchcase(f"heimnetz.{name}", item) for item in party.publishes)
