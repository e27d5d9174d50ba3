import json
import os
import stat
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from heimnetz_common import tokens
from heimnetz_common.errors import Unauthenticated
from heimnetz_common.sealing import Sealer
from heimnetz_common.tokens import Keys
from heimnetz_init import signing
from heimnetz_init.model import DATA_VOLUMES, PARTIES
from heimnetz_init.preparing import House

# Only root can give files away; what is asked here does not depend on whose they are.
OURS = tuple(replace(party, uid=os.getuid()) for party in PARTIES)


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path, OURS)


def snapshot(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): path.read_text() for path in root.rglob("*") if path.is_file()
    }


def test_a_second_start_changes_nothing(house, tmp_path):
    house.prepare()
    before = snapshot(tmp_path)

    house.prepare()

    assert snapshot(tmp_path) == before


def test_an_aborted_start_is_completed_without_losing_what_it_made(house, tmp_path):
    house.prepare()
    before = snapshot(tmp_path)
    lost = ("secrets/registry/tls.crt", "secrets/migrate/roles/sandbox", "secrets/nats/users.conf")
    for name in lost:
        (tmp_path / name).unlink()

    house.prepare()

    after = snapshot(tmp_path)
    assert after.keys() == before.keys()
    renewed = {"secrets/registry/tls.crt", "secrets/registry/tls.key"}
    assert {name for name in after if after[name] != before[name]} == renewed


def test_secrets_can_be_read_by_their_user_alone(house, tmp_path):
    house.prepare()

    for path in (tmp_path / "secrets").rglob("*"):
        wanted = 0o700 if path.is_dir() else 0o400
        assert stat.S_IMODE(path.stat().st_mode) == wanted, path


def test_each_party_gets_what_it_needs_and_no_more(house, tmp_path):
    house.prepare()

    names = {
        party.name: {path.name for path in (tmp_path / "secrets" / party.name).iterdir()}
        for party in OURS
    }
    service = {
        "ca.crt",
        "tls.crt",
        "tls.key",
        "postgres-password",
        "nats-password",
        "signing.key",
        "service-keys.json",
    }
    assert names == {
        "registry": service
        | {"encryption.key", "setup-token", "trail.key", "publisher.key", "catalogue.key"},
        "auditor": service,
        "sandbox": service | {"encryption.key"},
        "monitor": service | {"alertmanager-webhook-token"},
        "docs-gen": service,
        "migrate": {"ca.crt", "postgres-admin-password", "roles", "nats-password"},
        "gateway": {"ca.crt"},
        "postgres": {"ca.crt", "tls.crt", "tls.key", "admin-password"},
        "nats": {"ca.crt", "tls.crt", "tls.key", "users.conf"},
        "prometheus": {"ca.crt", "tls.crt", "tls.key"},
        "alertmanager": {"ca.crt", "tls.crt", "tls.key", "alertmanager-webhook-token"},
        "grafana": {"ca.crt", "tls.crt", "tls.key", "admin-password"},
    }


def test_two_houses_share_no_secret(tmp_path):
    for name in ("one", "other"):
        House(tmp_path / name, OURS).prepare()

    one = set(snapshot(tmp_path / "one").values())
    other = set(snapshot(tmp_path / "other").values())
    assert not one & other


def test_a_service_can_prove_itself_to_another_with_its_key(house, tmp_path):
    house.prepare()
    sandbox = Keys("sandbox", tmp_path / "secrets/sandbox")
    registry = Keys("registry", tmp_path / "secrets/registry")

    principal = registry.verify(sandbox.mint("registry"))

    assert principal.service == "sandbox"


def test_while_keys_are_replaced_every_token_is_valid(house, tmp_path, monkeypatch):
    monkeypatch.setattr(tokens, "LOOK_SECONDS", 0)
    house.prepare()
    sandbox = Keys("sandbox", tmp_path / "secrets/sandbox")
    registry = Keys("registry", tmp_path / "secrets/registry")
    before = sandbox.mint("registry")

    renewed = house.renew_signing_keys(is_forced=True)

    after = sandbox.mint("registry")
    assert set(renewed) == {"registry", "auditor", "sandbox", "monitor", "docs-gen"}
    assert before.partition(".")[0] != after.partition(".")[0]
    assert {registry.verify(token).service for token in (before, after)} == {"sandbox"}


def test_a_key_that_was_replaced_is_refused_after_the_overlap(house, tmp_path):
    house.prepare()
    old = Keys("sandbox", tmp_path / "secrets/sandbox").mint("registry")
    house.renew_signing_keys(is_forced=True)

    house.renew_signing_keys(now=datetime.now(UTC) + 2 * signing.OVERLAP)

    with pytest.raises(Unauthenticated):
        Keys("registry", tmp_path / "secrets/registry").verify(old)


def test_the_encryption_key_seals(house, tmp_path):
    house.prepare()
    sealer = Sealer.from_text((tmp_path / "secrets/registry/encryption.key").read_text())

    assert sealer.open(sealer.seal(b"value", "place"), "place") == b"value"


def test_passwords_of_both_ends_agree(house, tmp_path):
    house.prepare()
    secrets = tmp_path / "secrets"

    for party in OURS:
        if party.has_role:
            own = (secrets / party.name / "postgres-password").read_text()
            assert (secrets / "migrate/roles" / party.role).read_text() == own
        if party.speaks_nats:
            own = (secrets / party.name / "nats-password").read_text()
            users = (secrets / "nats/users.conf").read_text()
            assert f'user: "{party.name}", password: "{own}"' in users
    token = "alertmanager-webhook-token"
    assert (secrets / "monitor" / token).read_text() == (
        secrets / "alertmanager" / token
    ).read_text()


def test_public_keys_of_a_later_service_reach_the_earlier_ones(tmp_path):
    House(tmp_path, [party for party in OURS if party.name != "docs-gen"]).prepare()

    House(tmp_path, OURS).prepare()

    keys = json.loads((tmp_path / "secrets/registry/service-keys.json").read_text())["keys"]
    assert "docs-gen-1" in {key["kid"] for key in keys}


def test_no_public_key_list_holds_a_private_part(house, tmp_path):
    house.prepare()

    keys = json.loads((tmp_path / "secrets/registry/service-keys.json").read_text())["keys"]
    assert all("d" not in key for key in keys)


def test_roots_of_data_volumes_get_their_mode(tmp_path):
    mine = [replace(item, uid=os.getuid(), gid=os.getgid()) for item in DATA_VOLUMES]
    kept = tmp_path / "data/artifacts/kept"
    kept.parent.mkdir(parents=True)
    kept.write_text("x")
    kept.chmod(0o640)

    House(tmp_path, OURS).own(mine)

    modes = {
        item.name: stat.S_IMODE((tmp_path / "data" / item.name).stat().st_mode) for item in mine
    }
    assert modes == {item.name: item.mode for item in mine}
    assert stat.S_IMODE(kept.stat().st_mode) == 0o640
