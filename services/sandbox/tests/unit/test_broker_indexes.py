import ipaddress

import pytest

from heimnetz_sandbox.broker.indexes import MAX_REFUSALS, IndexRules, Refusals, read_index
from heimnetz_sandbox.broker.rules import Refused, parse

NEAR = (ipaddress.ip_network("172.18.0.0/16"),)


@pytest.mark.parametrize(
    ("url", "more", "expected"),
    [
        ("https://pip.example.org/simple", "", ["pip.example.org:443"]),
        ("http://pip.example.org/simple", "", ["pip.example.org:80"]),
        ("https://me:secret@PIP.example.org:8443/simple", "", ["pip.example.org:8443"]),
        ("http://192.168.1.10:3141/root/+simple/", "", ["192.168.1.10:3141"]),
        ("https://[fd00::1]/simple", "", ["[fd00::1]:443"]),
        (
            "https://pip.example.org/simple",
            "files.example.org, 192.168.1.11:80,[fd00::2],",
            ["pip.example.org:443", "files.example.org:443", "192.168.1.11:80", "[fd00::2]:443"],
        ),
    ],
)
def test_the_hosts_are_the_urls_and_those_beside_it(
    url: str, more: str, expected: list[str]
) -> None:
    assert [str(one) for one in read_index(url, more).hosts] == expected


def test_without_a_url_they_are_those_of_pips_own_index_and_the_hosts_beside_it() -> None:
    own = read_index("", "").hosts

    assert len(own) == 2
    assert {one.port for one in own} == {443}
    assert [str(one) for one in read_index("", "files.example.org").hosts] == [
        *map(str, own),
        "files.example.org:443",
    ]


@pytest.mark.parametrize(
    ("url", "more"),
    [
        ("pip.example.org/simple", ""),
        ("file:///srv/index", ""),
        ("https://", ""),
        ("https://localhost/simple", ""),
        ("https://nas:3141/simple", ""),
        ("https://pip.example.org:99999/simple", ""),
        ("https://pip.example.org", "*.example.org"),
        ("https://pip.example.org", "lan:443"),
        ("https://pip.example.org", "192.168.1.0/24"),
        ("https://pip.example.org", "https://files.example.org"),
    ],
)
def test_what_is_no_host_is_an_error(url: str, more: str) -> None:
    with pytest.raises(ValueError):
        read_index(url, more)


def verdict(authority: str, leads_to: str | None = None) -> str:
    index = read_index("https://pip.example.org/simple", "127.0.0.1:8080,172.18.0.9:80")
    rules = IndexRules(index.hosts, NEAR)
    try:
        target = parse(authority)
        destination = rules.find(target)
        rules.check(target, destination, target.address or ipaddress.ip_address(leads_to or ""))
    except Refused as refusal:
        return refusal.verdict
    return "allowed"


@pytest.mark.parametrize("address", ["93.184.215.14", "192.168.1.10", "100.64.0.1", "fd00::1"])
def test_the_name_of_an_index_may_lead_into_the_home_network(address: str) -> None:
    assert verdict("pip.example.org:443", address) == "allowed"


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "::1",
        "::ffff:127.0.0.1",
        "169.254.169.254",
        "172.18.0.5",
        "0.0.0.0",
        "224.0.0.1",
    ],
)
def test_it_never_leads_to_this_machine_or_the_platform(address: str) -> None:
    assert verdict("pip.example.org:443", address) == "bad_address"


@pytest.mark.parametrize(
    ("authority", "expected"),
    [
        ("127.0.0.1:8080", "allowed"),
        ("127.0.0.1:8081", "not_granted"),
        ("127.0.0.2:8080", "not_granted"),
        ("172.18.0.9:80", "allowed"),
        ("172.18.0.10:80", "not_granted"),
        ("pip.example.org:80", "not_granted"),
        ("files.pip.example.org:443", "not_granted"),
    ],
)
def test_an_address_is_reached_as_it_is_written_and_no_other(authority: str, expected: str) -> None:
    assert verdict(authority) == expected


def test_the_first_refusals_of_a_build_are_kept_once_each() -> None:
    refusals = Refusals()

    for number in range(2 * MAX_REFUSALS):
        refusals.hear(f"refused: {number // 2}.example:443 is none of the index's hosts")
        refusals.hear("connected to pip.example.org:443")

    assert len(refusals.found) == len(set(refusals.found)) == MAX_REFUSALS
    assert refusals.found[0].startswith("refused: 0.example")
