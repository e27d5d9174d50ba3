"""How a service is put together from its settings."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from heimnetz_common import service
from heimnetz_common.service import Service
from heimnetz_common.settings import ServiceSettings
from heimnetz_common.testing import KeyRing


class LampSettings(ServiceSettings):
    service: ClassVar[str] = "monitor"


@pytest.fixture
def secrets(key_ring: KeyRing, tmp_path: Path) -> Path:
    folder = key_ring.secrets_dir("monitor")
    key = Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, None)
    )
    (folder / "ca.crt").write_bytes(certificate.public_bytes(Encoding.PEM))
    return folder


def test_database_bus_and_clients_do_not_share_a_tls_context(
    secrets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The HTTP client changes the one that it is given, and PostgreSQL then refuses it."""
    given: dict[str, ssl.SSLContext] = {}

    def keep(name: str) -> Any:
        def take(*_: Any, tls: ssl.SSLContext, **__: Any) -> object:
            given[name] = tls
            return object()

        return take

    for name in ("Database", "Bus", "ServiceClient"):
        monkeypatch.setattr(service, name, keep(name))

    Service.from_settings(LampSettings(secrets_dir=secrets)).client("registry", "https://registry")

    assert len({id(context) for context in given.values()}) == 3
