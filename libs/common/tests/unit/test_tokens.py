import base64
import json
from pathlib import Path

import pytest
import time_machine
from joserfc import jwt
from joserfc.jwk import OctKey

from heimnetz_common import tokens
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


def write_keys(folder: Path, *published: tuple[str, str], signing: str | None = None) -> Path:
    folder.mkdir(exist_ok=True)
    keys = [public_jwk(private, kid) for kid, private in published]
    for name, text in (("service-keys.json", json.dumps({"keys": keys})), ("signing.key", signing)):
        if text is not None:
            new = folder / f"{name}.new"
            new.write_text(text)
            new.rename(folder / name)
    return folder


def test_a_key_that_came_later_is_known_without_a_restart(tmp_path: Path) -> None:
    old, new, other = (generate_private_key() for _ in range(3))
    before = (("auditor-1", old), ("registry-1", other))
    after = (*before, ("auditor-2", new))
    registry = Keys("registry", write_keys(tmp_path / "registry", *before, signing=other))

    write_keys(tmp_path / "registry", *after)
    auditor = Keys("auditor", write_keys(tmp_path / "auditor", *after, signing=new))

    assert registry.verify(auditor.mint("registry")).service == "auditor"


def test_a_service_signs_with_its_new_key_without_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new, other = (generate_private_key() for _ in range(3))
    before = (("auditor-1", old), ("registry-1", other))
    monkeypatch.setattr(tokens, "LOOK_SECONDS", 0)
    auditor = Keys("auditor", write_keys(tmp_path / "auditor", *before, signing=old))
    auditor.mint("registry")

    both = (*before, ("auditor-2", new))
    write_keys(tmp_path / "auditor", *both, signing=new)
    # Without the old key.
    registry = Keys("registry", write_keys(tmp_path / "registry", *both[1:], signing=other))

    assert registry.verify(auditor.mint("registry")).service == "auditor"
