import ssl
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from heimnetz_init import issuing

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def authority() -> tuple[str, str]:
    return issuing.make_authority(NOW)


def test_a_certificate_names_its_service_and_this_machine(authority):
    certificate, _ = issuing.issue(*authority, "docs-gen", NOW)

    names = (
        x509.load_pem_x509_certificate(certificate.encode())
        .extensions.get_extension_for_class(x509.SubjectAlternativeName)
        .value
    )
    assert names.get_values_for_type(x509.DNSName) == ["docs-gen", "localhost"]
    assert [str(item) for item in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]


def test_a_client_that_trusts_the_authority_accepts_the_certificate(authority, tmp_path):
    authority = issuing.make_authority()
    certificate, key = issuing.issue(*authority, "registry")
    (tmp_path / "tls.crt").write_text(certificate)
    (tmp_path / "tls.key").write_text(key)
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")
    client_context = ssl.create_default_context(cadata=authority[0])
    client_context.verify_flags |= ssl.VERIFY_X509_STRICT

    version = _shake_hands(client_context, server_context, "registry")

    assert version == "TLSv1.3"


def test_a_name_that_the_certificate_lacks_is_refused(tmp_path):
    authority = issuing.make_authority()
    certificate, key = issuing.issue(*authority, "registry")
    (tmp_path / "tls.crt").write_text(certificate)
    (tmp_path / "tls.key").write_text(key)
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")
    client_context = ssl.create_default_context(cadata=authority[0])

    with pytest.raises(ssl.SSLCertVerificationError):
        _shake_hands(client_context, server_context, "auditor")


@pytest.mark.parametrize(("days", "due"), [(0, False), (59, False), (61, True), (91, True)])
def test_a_certificate_is_due_thirty_days_before_it_ends(authority, days, due):
    certificate, key = issuing.issue(*authority, "nats", NOW)

    answer = issuing.is_due(certificate, key, authority[0], NOW + timedelta(days=days))

    assert answer is due


def test_a_certificate_of_another_authority_is_due(authority):
    other = issuing.make_authority(NOW)
    certificate, key = issuing.issue(*other, "nats", NOW)

    assert issuing.is_due(certificate, key, authority[0], NOW)


def test_a_certificate_whose_key_is_another_one_is_due(authority):
    certificate, _ = issuing.issue(*authority, "nats", NOW)
    _, key = issuing.issue(*authority, "nats", NOW)

    assert issuing.is_due(certificate, key, authority[0], NOW)


@pytest.mark.parametrize("text", ["", "no certificate"])
def test_what_is_no_certificate_is_due(authority, text):
    assert issuing.is_due(text, text, authority[0], NOW)


def _shake_hands(
    client_context: ssl.SSLContext, server_context: ssl.SSLContext, name: str
) -> str | None:
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, to_server, server_hostname=name)
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    waiting = [client, server]
    for _ in range(10):
        for side in tuple(waiting):
            try:
                side.do_handshake()
                waiting.remove(side)
            except ssl.SSLWantReadError:
                continue
    assert not waiting
    return client.version()
