"""The watch over real certificates, and over bytes that are none."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cert_watch import certificate, main
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from heimnetz_sdk.testing import Plugin

NOW = datetime(2026, 11, 25, 7, 0, tzinfo=UTC)


def issue(days: int, name: str = "nas.home.arpa", issuer: str | None = None) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    by = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer or name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - timedelta(days=400))
        .not_valid_after(NOW + timedelta(days=days))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name), x509.DNSName("nas")]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.DER)


@pytest.fixture
def watched(
    plugin: Plugin, monkeypatch: pytest.MonkeyPatch
) -> tuple[Plugin, dict[tuple[str, int], bytes]]:
    """What each host shows; one that is not there is unreachable."""
    shown: dict[tuple[str, int], bytes] = {}

    def fetch(host: str, port: int) -> bytes:
        if (host, port) not in shown:
            raise main.Unreachable("nobody answers")
        return shown[host, port]

    monkeypatch.setattr(main, "fetch", fetch)
    plugin.clock.set(NOW)
    return plugin, shown


def test_each_host_is_told_with_its_days(watched: Any) -> None:
    plugin, shown = watched
    shown["router.home.arpa", 443] = issue(100, "router.home.arpa", "Home CA")
    shown["nas.home.arpa", 8443] = issue(10)
    shown["old.home.arpa", 443] = issue(-3)
    hosts = ["router.home.arpa", "nas.home.arpa:8443", "old.home.arpa", "gone.home.arpa"]

    run = plugin.run(config={"hosts": hosts})

    states = {one["host"]: one["state"] for one in run.result["hosts"]}
    assert states == dict(zip(hosts, ("fine", "expiring", "expired", "unreachable"), strict=True))
    router = run.result["hosts"][0]
    assert (router["days_left"], router["issuer"]) == (100, "Home CA")
    assert router["names"] == ["router.home.arpa", "nas"]
    assert not router["is_self_signed"]
    assert (run.result["expiring"], run.result["expired"], run.result["unreachable"]) == (1, 1, 1)


def test_a_certificate_is_told_once_and_its_successor_anew(watched: Any) -> None:
    plugin, shown = watched
    shown["nas.home.arpa", 443] = issue(10)
    config = {"hosts": ["nas.home.arpa"]}

    first, second = plugin.run(config=config), plugin.run(config=config)
    assert [data["days_left"] for _, data in first.events] == [10]
    assert second.events == []

    shown["nas.home.arpa", 443] = issue(5)
    assert len(plugin.run(config=config).events) == 1


def test_its_examples_are_true(plugin: Plugin) -> None:
    plugin.run_example("nothing-to-look-at")


def test_the_way_to_a_host_is_the_broker_s(plugin: Plugin) -> None:
    run = plugin.run(config={"hosts": ["nas.example.org:9443"]})

    assert run.result["hosts"][0]["state"] == "unreachable"
    assert run.refused == ("network:nas.example.org:9443",)


def test_a_real_certificate_is_read_as_the_library_reads_it() -> None:
    der = issue(30)
    seen, known = certificate.read(der), x509.load_der_x509_certificate(der)

    assert seen.ends_at == known.not_valid_after_utc
    assert seen.begins_at == known.not_valid_before_utc
    assert seen.subject == "nas.home.arpa"
    assert seen.is_self_signed


@given(st.binary(max_size=300))
def test_bytes_that_are_no_certificate_are_unreadable(data: bytes) -> None:
    with pytest.raises(certificate.Unreadable):
        certificate.read(data)


WHOLE = issue(30)


@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 255))
def test_a_certificate_with_a_changed_byte_is_read_or_unreadable(at: int, value: int) -> None:
    data = WHOLE[:at] + bytes([value]) + WHOLE[at + 1 :]
    try:
        seen = certificate.read(data)
    except certificate.Unreadable:
        return
    json.dumps([seen.subject, seen.issuer, list(seen.names), seen.ends_at.isoformat()])
