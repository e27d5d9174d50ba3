"""Keys and signatures on the author's machine."""

import base64
import json
import stat
from pathlib import Path
from typing import Any

import httpx
import pytest

from heimnetz_manifest.signing import (
    PrivateKey,
    Subject,
    is_handed_over,
    is_proved,
    read_envelope,
    verify,
)

from .conftest import REGISTRY, VERSION, Heimnetz, problem
from .test_making import make_plugin

KEYS = f"{REGISTRY}/keys"


@pytest.fixture
def key_file(home: Path) -> Path:
    return home / "config" / "heimnetz" / "signing-key.pem"


@pytest.fixture
def key(key_file: Path) -> PrivateKey:
    """One that is here already."""
    made = PrivateKey.generate()
    key_file.parent.mkdir(parents=True)
    key_file.touch(0o600)
    key_file.write_bytes(made.to_pem())
    return made


@pytest.fixture
def registry(platform: Any) -> Any:
    """Takes every key, and tells of those that it was told to know."""
    platform.on(f"GET {REGISTRY}/me", {"subject": "user:anna", "name": "anna", "role": "publisher"})
    platform.on(f"POST {KEYS}", {"id": "new", "publisher": "anna", "state": "active"}, status=201)

    def know(private: PrivateKey, state: str) -> None:
        platform.on(f"GET {KEYS}/{private.id}", {"id": private.id, "state": state})

    platform.know = know
    return platform


def sent_envelope(platform: Any) -> bytes:
    header = platform.requests[-1].headers["heimnetz-signature"]
    return base64.b64decode(header)


def test_a_new_key_stays_here_and_its_public_half_is_registered_with_a_proof(
    registry: Any, heimnetz: Heimnetz, key_file: Path
) -> None:
    said = heimnetz("key", "new", "--name", "laptop")

    private = PrivateKey.from_pem(key_file.read_bytes())
    body = registry.sent("/keys")
    assert said.code == 0, said.err
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert base64.b64decode(body["public_key"]) == private.public
    assert is_proved(private.public, "anna", base64.b64decode(body["proof"]))
    assert body.keys() == {"name", "public_key", "proof"}
    assert "PRIVATE" not in said.out + said.err


@pytest.mark.parametrize(
    ("state", "code", "is_replaced"), [(None, 0, False), ("active", 6, False), ("revoked", 0, True)]
)
def test_a_key_that_is_here_is_registered_kept_or_replaced(
    registry: Any,
    heimnetz: Heimnetz,
    key: PrivateKey,
    key_file: Path,
    state: str | None,
    code: int,
    is_replaced: bool,
) -> None:
    if state is not None:
        registry.know(key, state)

    said = heimnetz("key", "new")

    assert said.code == code, said.err
    assert (key_file.read_bytes() != key.to_pem()) is is_replaced


def test_a_rotation_hands_over_and_goes_on_where_it_was_interrupted(
    registry: Any, heimnetz: Heimnetz, key: PrivateKey, key_file: Path
) -> None:
    route = f"POST {KEYS}/{key.id}/rotation"
    registry.on(route, problem(422, "signing-key-proof", "no"))
    assert heimnetz("key", "rotate").code == 7
    assert key_file.read_bytes() == key.to_pem()
    registry.on(route, {"id": "next", "publisher": "anna", "state": "active"})

    said = heimnetz("key", "rotate")

    fresh = PrivateKey.from_pem(key_file.read_bytes())
    first, second = (
        json.loads(request.content)
        for request in registry.requests
        if request.url.path.endswith("/rotation")
    )
    assert said.code == 0, said.err
    assert first == second
    assert base64.b64decode(second["public_key"]) == fresh.public != key.public
    assert is_handed_over(key.public, fresh.id, base64.b64decode(second["handed_over"]))
    assert [path.name for path in key_file.parent.iterdir()] == [key_file.name]


def test_a_revoked_key_that_is_here_is_deleted(
    registry: Any, heimnetz: Heimnetz, key: PrivateKey, key_file: Path
) -> None:
    registry.on(f"POST {KEYS}/{key.id}/revocation", {"id": key.id, "state": "revoked"})

    said = heimnetz("key", "revoke", key.id, "--reason", "stolen")

    assert said.code == 0, said.err
    assert registry.sent("/revocation") == {"reason": "stolen"}
    assert not key_file.exists()


def test_keys_are_listed_and_the_one_that_is_here_is_marked(
    registry: Any, heimnetz: Heimnetz, key: PrivateKey
) -> None:
    items = [{"id": key.id, "state": "active"}, {"id": "0" * 64, "state": "revoked"}]
    registry.on(f"GET {KEYS}", {"items": items, "next_cursor": None})

    said = heimnetz("key", "list")

    marks = {line.split("\t")[0]: line.split("\t")[-1] for line in said.out.splitlines()[1:]}
    assert marks == {key.id: "yes", "0" * 64: ""}


def test_a_packed_file_is_signed_and_published_with_its_signature(
    platform: Any, heimnetz: Heimnetz, key: PrivateKey, tmp_path: Path
) -> None:
    packed = tmp_path / "tiny.tar.gz"
    told = heimnetz("pack", make_plugin(tmp_path / "tiny"), "--out", packed, "--json")
    subject = Subject("tiny", "1.0.0", json.loads(told.out)["sha256"])
    platform.on(f"POST {REGISTRY}/plugins/tiny/versions", {**VERSION, "plugin": "tiny"}, status=201)

    signed = heimnetz("sign", packed)
    published = heimnetz("publish", packed)

    assert (signed.code, published.code) == (0, 0), signed.err + published.err
    envelope = (tmp_path / "tiny.tar.gz.sig").read_bytes()
    verify(read_envelope(envelope), key.public, subject)
    assert sent_envelope(platform) == envelope


def test_a_directory_is_signed_on_the_way_unless_that_is_not_wanted(
    platform: Any, heimnetz: Heimnetz, key: PrivateKey, tmp_path: Path
) -> None:
    plugin = make_plugin(tmp_path / "tiny")
    platform.on(f"POST {REGISTRY}/plugins/tiny/versions", {**VERSION, "plugin": "tiny"}, status=201)

    heimnetz("publish", plugin)
    assert read_envelope(sent_envelope(platform)).key_id == key.id
    heimnetz("publish", plugin, "--unsigned")

    assert "heimnetz-signature" not in platform.requests[-1].headers


def test_without_a_key_nothing_is_signed(platform: Any, heimnetz: Heimnetz, tmp_path: Path) -> None:
    plugin = make_plugin(tmp_path / "tiny")
    packed = tmp_path / "tiny.tar.gz"
    heimnetz("pack", plugin, "--out", packed)
    platform.on(f"POST {REGISTRY}/plugins/tiny/versions", {**VERSION, "plugin": "tiny"}, status=201)

    said = heimnetz("sign", packed)
    heimnetz("publish", plugin)

    assert said.code == 5
    assert "heimnetz key new" in said.err
    assert "heimnetz-signature" not in platform.requests[-1].headers


@pytest.mark.parametrize("fault", ["open", "broken"])
def test_a_key_that_others_may_read_or_that_is_none_is_not_used(
    heimnetz: Heimnetz, key: PrivateKey, key_file: Path, tmp_path: Path, fault: str
) -> None:
    packed = tmp_path / "tiny.tar.gz"
    heimnetz("pack", make_plugin(tmp_path / "tiny"), "--out", packed)
    if fault == "open":
        key_file.chmod(0o640)
    else:
        key_file.write_text("nonsense")

    said = heimnetz("sign", packed)

    assert said.code == 2
    assert str(key_file) in said.err
    assert not packed.with_name("tiny.tar.gz.sig").exists()


@pytest.mark.parametrize(
    ("signature", "expected"),
    [
        (None, "no"),
        ({"key_id": "ab", "publisher": "anna", "state": "active"}, "by anna, whose key is in use"),
        ({"key_id": "ab", "publisher": "anna", "state": "revoked"}, "REVOKED"),
    ],
)
def test_a_version_is_shown_with_its_signature(
    platform: Any, heimnetz: Heimnetz, signature: Any, expected: str
) -> None:
    shown = {**VERSION, "signature": signature}
    platform.on(f"GET {REGISTRY}/plugins/p/versions/1.0.0", shown)

    said = heimnetz("show", "p@1.0.0")

    (line,) = [line for line in said.out.splitlines() if line.startswith("signed")]
    assert expected in line


def test_the_owners_word_about_a_revoked_key_is_sent(platform: Any, heimnetz: Heimnetz) -> None:
    platform.on(f"GET {REGISTRY}/plugins/p/versions/1.0.0", VERSION)
    platform.on(f"GET {REGISTRY}/installations/p", httpx.Response(404, json={}))
    platform.on(f"PUT {REGISTRY}/installations/p", {"plugin": "p", "version": "1.0.0"}, status=201)

    said = heimnetz("install", "p@1.0.0", "--yes", "--revoked-key")

    assert said.code == 0, said.err
    assert platform.sent("/installations/p")["allow_revoked_key"] is True
