import base64
import json
from pathlib import Path

import pytest
import time_machine
from joserfc import jwt
from joserfc.jwk import OctKey

from heimnetz_common.errors import Unauthenticated
from heimnetz_common.testing import KeyRing
from heimnetz_common.tokens import Keys, generate_private_key, public_jwk


def test_a_service_speaks_in_its_own_name(key_ring: KeyRing) -> None:
    token = key_ring.keys("auditor").mint("registry")

    principal = key_ring.keys("registry").verify(token)

    assert principal.service == "auditor"
    assert principal.role is None


def test_the_registry_speaks_for_people(key_ring: KeyRing) -> None:
    token = key_ring.keys("registry").mint(
        "sandbox", subject="user:anna", name="anna", role="owner"
    )

    principal = key_ring.keys("sandbox").verify(token)

    assert (principal.subject, principal.role, principal.service) == ("user:anna", "owner", None)


def test_no_other_service_speaks_for_people(key_ring: KeyRing) -> None:
    token = key_ring.keys("monitor").mint("sandbox", subject="user:anna", role="owner")

    with pytest.raises(Unauthenticated):
        key_ring.keys("sandbox").verify(token)


def test_no_service_speaks_for_another(key_ring: KeyRing) -> None:
    token = key_ring.keys("monitor").mint("sandbox", subject="service:auditor")

    with pytest.raises(Unauthenticated):
        key_ring.keys("sandbox").verify(token)


def test_a_token_for_one_service_opens_no_other(key_ring: KeyRing) -> None:
    token = key_ring.keys("auditor").mint("registry")

    with pytest.raises(Unauthenticated):
        key_ring.keys("sandbox").verify(token)


def test_a_token_ends_after_its_minute_and_the_leeway(key_ring: KeyRing) -> None:
    with time_machine.travel("2026-01-01T00:00:00Z", tick=False) as clock:
        token = key_ring.keys("auditor").mint("registry")
        clock.shift(60 + 60 + 1)

        with pytest.raises(Unauthenticated):
            key_ring.keys("registry").verify(token)


def test_a_token_signed_with_a_public_key_as_a_shared_secret_is_refused(key_ring: KeyRing) -> None:
    public = key_ring._public_file.read_text()
    claims = {"iss": "auditor", "aud": "registry", "sub": "service:auditor", "iat": 1, "exp": 2**40}
    forged = jwt.encode(
        {"alg": "HS256", "kid": "auditor-1"},
        claims,
        OctKey.import_key(public),
        algorithms=["HS256"],
    )

    with pytest.raises(Unauthenticated):
        key_ring.keys("registry").verify(forged)


def test_a_token_without_a_signature_is_refused(key_ring: KeyRing) -> None:
    _, claims, _ = key_ring.keys("auditor").mint("registry").split(".")
    header = base64.urlsafe_b64encode(b'{"alg":"none","kid":"auditor-1"}').decode().rstrip("=")

    with pytest.raises(Unauthenticated):
        key_ring.keys("registry").verify(f"{header}.{claims}.")


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "a" * 100_000, "ä.ö.ü", "..", "e30.e30."])
def test_what_is_no_token_is_refused(key_ring: KeyRing, token: str) -> None:
    with pytest.raises(Unauthenticated):
        key_ring.keys("registry").verify(token)


def test_a_key_that_came_later_is_known_without_a_restart(tmp_path: Path) -> None:
    old, new = generate_private_key(), generate_private_key()
    other = generate_private_key()
    file = tmp_path / "service-keys.json"
    published = [public_jwk(old, "auditor-1"), public_jwk(other, "registry-1")]
    file.write_text(json.dumps({"keys": published}))
    with time_machine.travel("2026-01-01T00:00:00Z") as clock:
        registry = Keys("registry", other, file)
        file.write_text(json.dumps({"keys": [*published, public_jwk(new, "auditor-2")]}))
        clock.shift(5)

        principal = registry.verify(Keys("auditor", new, file).mint("registry"))

    assert principal.service == "auditor"
