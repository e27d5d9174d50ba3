"""What init lets a service hear and say is what the service hears and says."""

import importlib
from fnmatch import fnmatchcase

import pytest

from heimnetz_common.consuming import Subscription
from heimnetz_common.events import EventData
from heimnetz_init.model import PARTIES, Party

SERVICES = [party for party in PARTIES if party.has_role]


def package(party: Party) -> str:
    return f"heimnetz_{party.role}"


def subscriptions(party: Party) -> tuple[Subscription, ...]:
    module = importlib.import_module(f"{package(party)}.consumers")
    declared = getattr(module, "SUBSCRIPTIONS", None)
    return declared if declared is not None else module.subscriptions(lambda: None)


def announced(party: Party) -> set[str]:
    """The events that the service's own module declares and does not consume itself."""
    module = importlib.import_module(f"{package(party)}.events")
    heard = {item.data_type.name for item in subscriptions(party)}
    return {
        item.name
        for item in vars(module).values()
        if isinstance(item, type)
        and issubclass(item, EventData)
        and item.__module__ == module.__name__
        and "name" in vars(item)
        and item.name not in heard
    }


@pytest.mark.parametrize("party", SERVICES, ids=lambda party: party.name)
def test_a_service_may_hear_what_it_subscribes_to_and_no_more(party):
    assert set(party.consumes) == {item.data_type.name for item in subscriptions(party)}


@pytest.mark.parametrize("party", SERVICES, ids=lambda party: party.name)
def test_a_service_may_say_what_it_announces(party):
    for name in announced(party):
        assert any(fnmatchcase(f"heimnetz.{name}", subject) for subject in party.publishes), name


def test_no_service_may_say_what_another_one_announces():
    for party in SERVICES:
        others = {name for other in SERVICES if other is not party for name in announced(other)}
        for name in others:
            assert not any(fnmatchcase(f"heimnetz.{name}", item) for item in party.publishes)
