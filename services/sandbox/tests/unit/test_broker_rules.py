import ipaddress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heimnetz_manifest import Destination
from heimnetz_sandbox.broker.rules import Refused, Rules, parse, read_near

ROUTES = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010012AC\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t000012AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
"""


def rules(*destinations: str, near: str = "172.18.0.0/16") -> Rules:
    granted = tuple(Destination.parse(text) for text in destinations)
    return Rules(granted, (ipaddress.ip_network(near),))


def verdict(rules: Rules, authority: str, leads_to: str | None = None) -> str:
    try:
        target = parse(authority)
        destination = rules.find(target)
        address = target.address or ipaddress.ip_address(leads_to or "93.184.215.14")
        rules.check(target, destination, address)
    except Refused as refusal:
        return refusal.verdict
    return "allowed"


@pytest.mark.parametrize(
    ("authority", "expected"),
    [
        ("api.example.org:443", "allowed"),
        ("api.example.org:80", "not_granted"),
        ("example.org:443", "not_granted"),
        ("x.api.example.org:443", "not_granted"),
        ("93.184.215.14:443", "not_granted"),
        ("api.example.org.:443", "malformed"),
        ("API.example.org:443", "malformed"),
        ("api.exämple.org:443", "malformed"),
        ("user@api.example.org:443", "malformed"),
        ("api.example.org", "malformed"),
        ("api.example.org:0443", "malformed"),
        ("api.example.org:65536", "malformed"),
        ("api.example.org:443:443", "malformed"),
        ("0x7f.1:443", "malformed"),
        ("0177.0.0.1:443", "malformed"),
        ("2130706433:443", "malformed"),
        ("[::ffff:93.184.215.14]:443", "not_granted"),
        ("[fe80::1%25eth0]:443", "malformed"),
        ("", "malformed"),
        (":443", "malformed"),
        ("a b:443", "malformed"),
        ("api.example.org:443\r\nx: y", "malformed"),
    ],
)
def test_a_name_is_reached_as_it_was_granted_and_in_no_other_spelling(
    authority: str, expected: str
) -> None:
    assert verdict(rules("api.example.org:443"), authority) == expected


@pytest.mark.parametrize(
    ("authority", "leads_to", "expected"),
    [
        ("api.example.org:443", "93.184.215.14", "allowed"),
        ("a.b.example.org:443", "93.184.215.14", "allowed"),
        ("example.org:443", "93.184.215.14", "not_granted"),
        ("badexample.org:443", "93.184.215.14", "not_granted"),
        ("api.example.org:80", "93.184.215.14", "not_granted"),
        ("api.example.org:443", "192.168.1.1", "bad_address"),
        ("*.example.org:443", "93.184.215.14", "malformed"),
    ],
)
def test_a_wildcard_is_every_name_below_it_and_no_address_inside(
    authority: str, leads_to: str, expected: str
) -> None:
    assert verdict(rules("*.example.org:443"), authority, leads_to) == expected


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "::1",
        "169.254.169.254",
        "fe80::1",
        "10.0.0.1",
        "192.168.1.1",
        "172.17.0.1",
        "172.18.0.5",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::ffff:127.0.0.1",
        "::ffff:192.168.1.1",
        "64:ff9b::c0a8:101",
        "2002:c0a8:101::1",
        "fd00::1",
        "::",
    ],
)
def test_a_granted_name_that_leads_anywhere_but_to_the_internet_is_refused(address: str) -> None:
    assert verdict(rules("api.example.org:443"), "api.example.org:443", address) == "bad_address"


@pytest.mark.parametrize(
    ("grant", "authority", "expected"),
    [
        ("192.168.1.10:8080", "192.168.1.10:8080", "allowed"),
        ("192.168.1.10:8080", "192.168.1.11:8080", "not_granted"),
        ("192.168.1.0/24:8080", "192.168.1.11:8080", "allowed"),
        ("192.168.1.0/24:8080", "192.168.2.11:8080", "not_granted"),
        ("lan:8080", "192.168.2.11:8080", "allowed"),
        ("lan:8080", "93.184.215.14:8080", "bad_address"),
        ("lan:8080", "127.0.0.1:8080", "bad_address"),
        ("lan:8080", "169.254.169.254:8080", "bad_address"),
        ("[fd12:3456::1]:443", "[fd12:3456::1]:443", "allowed"),
        ("172.18.0.0/16:5432", "172.18.0.5:5432", "bad_address"),
        ("lan:5432", "172.18.0.5:5432", "bad_address"),
    ],
)
def test_an_address_is_reached_when_granted_and_never_the_platforms_own(
    grant: str, authority: str, expected: str
) -> None:
    assert verdict(rules(grant), authority) == expected


@given(st.text(max_size=60))
def test_any_text_is_a_target_or_refused(text: str) -> None:
    found = verdict(rules("api.example.org:443"), text)

    assert found in ("malformed", "not_granted") or text == "api.example.org:443"


def test_without_a_grant_nothing_is_reached() -> None:
    assert verdict(Rules(()), "api.example.org:443") == "not_granted"


def test_the_networks_nearby_are_those_without_a_gateway(tmp_path: Path) -> None:
    file = tmp_path / "route"
    file.write_text(ROUTES)

    assert read_near(file) == (ipaddress.ip_network("172.18.0.0/16"),)
    assert read_near(tmp_path / "none") == ()
