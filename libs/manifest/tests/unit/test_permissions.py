import re

import pytest
from archives import MANIFEST
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from heimnetz_manifest import Destination, Grants, NotAsked, Permissions, parse_manifest
from heimnetz_manifest.permissions import describe

ASKED = Permissions.model_validate(
    {
        "network": [{"to": "api.example.org:443", "reason": "r"}, {"to": "lan:80", "reason": "r"}],
        "storage": {"size": 4096, "reason": "r"},
        "secrets": [{"name": "api_key", "reason": "r"}],
        "publish": [{"event": "energy.price.changed.v1", "reason": "r"}],
        "call": [{"plugin": "log-digest", "reason": "r"}],
    }
)


def test_every_permission_has_a_key_and_a_reason() -> None:
    assert dict(ASKED.asked()) == dict.fromkeys(
        (
            *("network:api.example.org:443", "network:lan:80", "storage:4096", "secrets:api_key"),
            *("publish:energy.price.changed.v1", "call:log-digest"),
        ),
        "r",
    )


@given(st.sets(st.sampled_from(sorted(ASKED.keys()))))
def test_every_subset_can_be_granted_and_is_what_the_grants_say(keys: set[str]) -> None:
    grants = Grants.of(ASKED, keys)

    assert grants.sorted() == sorted(keys)
    assert ASKED.beyond(grants) == ASKED.keys() - keys
    assert grants.storage_bytes == (4096 if "storage:4096" in keys else 0)


def test_what_is_not_asked_for_cannot_be_granted() -> None:
    with pytest.raises(NotAsked, match=re.escape("network:evil.example.org:443")):
        Grants.of(ASKED, ["network:evil.example.org:443", "storage:4096"])


def test_a_new_version_that_asks_for_less_storage_needs_no_new_yes() -> None:
    less = Permissions.model_validate({"storage": {"size": 2048, "reason": "r"}})
    more = Permissions.model_validate({"storage": {"size": 8192, "reason": "r"}})
    grants = Grants.all_of(ASKED)

    assert less.beyond(grants) == frozenset()
    assert more.beyond(grants) == {"storage:8192"}


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("api.example.org:443", "api.example.org", 443),
        ("192.168.1.10:8080", "192.168.1.10", 8080),
        ("192.168.1.0/24:443", "192.168.1.0/24", 443),
        ("10.0.0.0/8:22", "10.0.0.0/8", 22),
        ("[fd00::1]:80", "fd00::1", 80),
        ("[FD00::0001]:80", "fd00::1", 80),
        ("[fd00::/8]:80", "fd00::/8", 80),
        ("lan:1883", "lan", 1883),
        ("*.example.org:443", "*.example.org", 443),
    ],
)
def test_destinations_are_read_in_one_spelling(text: str, host: str, port: int) -> None:
    destination = Destination.parse(text)

    assert (destination.host, destination.port) == (host, port)
    assert Destination.parse(str(destination)) == destination


@given(st.text(max_size=60))
def test_no_text_makes_a_destination_with_a_wildcard_or_a_space(text: str) -> None:
    try:
        destination = Destination.parse(text)
    except ValueError:
        return

    assert not set(destination.host.removeprefix("*.")) & set("*@ \n\0\\")


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("api.example.org", True),
        ("a.b.example.org", True),
        ("example.org", False),
        ("badexample.org", False),
        ("api.example.org.evil.net", False),
    ],
)
def test_a_wildcard_covers_what_is_below_its_name(host: str, expected: bool) -> None:
    granted = Destination.parse("*.example.org:443")

    assert granted.names(host) is expected
    assert granted.reaches(Destination(host, 443)) is expected


def test_a_permission_without_a_reason_is_refused() -> None:
    with pytest.raises(ValidationError):
        Permissions.model_validate({"secrets": [{"name": "api_key"}]})


@pytest.mark.parametrize("key", sorted(ASKED.keys()))
def test_every_permission_can_be_described_in_words(key: str) -> None:
    assert describe(key) != key


def test_the_grants_of_a_parsed_manifest_name_destinations() -> None:
    grants = Grants.all_of(parse_manifest(MANIFEST).permissions)

    assert [str(item) for item in grants.network] == ["api.example.org:443"]


@pytest.mark.parametrize(
    ("granted", "asked", "expected"),
    [
        ("api.example.org:443", "api.example.org:443", True),
        ("api.example.org:443", "api.example.org:80", False),
        ("192.168.1.0/24:443", "192.168.1.10:443", True),
        ("192.168.1.0/24:443", "192.168.2.10:443", False),
        ("192.168.1.10:443", "192.168.1.0/24:443", True),
        ("lan:443", "192.168.1.10:443", True),
        ("lan:443", "[fd00::1]:443", True),
        ("lan:443", "93.184.216.34:443", False),
        ("lan:443", "api.example.org:443", False),
        ("[fd00::1]:443", "192.168.1.10:443", False),
    ],
)
def test_a_grant_leads_to_what_it_covers(granted: str, asked: str, expected: bool) -> None:
    assert Destination.parse(granted).reaches(Destination.parse(asked)) is expected
