"""Keys and versions on random ways, beside a model that knows only the rules of docs/signing.md."""

import base64
import hashlib
import random
from dataclasses import dataclass, field
from typing import Any

import pytest
from httpx import AsyncClient

from heimnetz_manifest.signing import PrivateKey, Subject, hand_over, prove, sign

STEPS = 80
PEOPLE = ("ada", "bob")
# The plugin is ada's from the beginning; bob's keys are foreign to it.
PLUGIN, PUBLISHER = "energy-report", "ada"


@dataclass
class Key:
    private: PrivateKey
    publisher: str = ""
    state: str = "unknown"
    successor: str = ""


@dataclass
class House:
    """What the rules say; each method answers the kind of the refusal, or nothing."""

    keys: list[Key] = field(default_factory=lambda: [Key(PrivateKey.generate()) for _ in range(8)])
    versions: dict[str, Key | None] = field(default_factory=dict)

    def register(self, key: Key, by: str) -> str:
        if key.state == "unknown":
            key.publisher, key.state = by, "active"
            return ""
        return "" if (key.publisher, key.state) == (by, "active") else "signing-key-exists"

    def rotate(self, old: Key, new: Key, by: str) -> str:
        if old.state == "unknown":
            return "signing-key-not-found"
        if old.publisher != by:
            return "signing-key-foreign"
        if old.state == "revoked":
            return "signing-key-revoked"
        if old.state == "retired" and old.successor != new.private.id:
            return "signing-key-retired"
        if old is new or (refused := self.register(new, by)):
            return "signing-key-exists"
        assert not refused
        old.state, old.successor = "retired", new.private.id
        return ""

    def revoke(self, key: Key, by: str) -> str:
        if key.state == "unknown":
            return "signing-key-not-found"
        if key.publisher != by:
            return "signing-key-foreign"
        key.state = "revoked"
        return ""

    def publish(self, version: str, key: Key | None) -> str:
        was_signed = any(self.versions.values())
        if key is None:
            if was_signed:
                return "signature-downgrade"
        elif key.state == "unknown":
            return "signing-key-unknown"
        elif key.publisher != PUBLISHER:
            return "signature-downgrade" if was_signed else "signing-key-foreign"
        elif key.state != "active":
            return f"signing-key-{key.state}"
        self.versions[version] = key
        return ""


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.mark.parametrize("seed", [1, 2])
async def test_on_any_way_the_registry_answers_as_the_rules_say(
    client: AsyncClient, role: Any, publish: Any, package: Any, seed: int
) -> None:
    chance = random.Random(seed)
    house = House()
    said: list[tuple[str, str]] = []
    expected: list[tuple[str, str]] = []

    def note(what: str, answer: Any, refusal: str) -> None:
        kind = "" if answer.is_success else answer.json()["type"].rpartition("/")[2]
        said.append((what, kind))
        expected.append((what, refusal))

    for step in range(STEPS):
        key, other = chance.choice(house.keys), chance.choice(house.keys)
        by = chance.choice(PEOPLE)
        headers = role("publisher", by)
        body = {
            "name": "k",
            "public_key": text(key.private.public),
            "proof": text(prove(key.private, by)),
        }
        match chance.choice(["register", "register", "rotate", "revoke", "publish", "publish"]):
            case "register":
                answer = await client.post("/v1/keys", json=body, headers=headers)
                note(f"{step} register", answer, house.register(key, by))
            case "rotate":
                body["handed_over"] = text(hand_over(other.private, key.private.id))
                answer = await client.post(
                    f"/v1/keys/{other.private.id}/rotation", json=body, headers=headers
                )
                note(f"{step} rotate", answer, house.rotate(other, key, by))
            case "revoke":
                answer = await client.post(
                    f"/v1/keys/{key.private.id}/revocation", json={"reason": "x"}, headers=headers
                )
                note(f"{step} revoke", answer, house.revoke(key, by))
            case "publish":
                signer = None if chance.random() < 0.2 else key
                version = f"1.0.{step}"
                data = package(PLUGIN, version)
                subject = Subject(PLUGIN, version, hashlib.sha256(data).hexdigest())
                envelope = None if signer is None else sign(signer.private, subject)
                answer = await publish(
                    PLUGIN, version, by=f"publisher:{PUBLISHER}", body=data, envelope=envelope
                )
                note(f"{step} publish", answer, house.publish(version, signer))

    assert said == expected
    listed = await client.get(
        f"/v1/plugins/{PLUGIN}/versions", params={"limit": 200}, headers=role("viewer")
    )
    found = {
        item["version"]: item["signature"]
        and (item["signature"]["key_id"], item["signature"]["state"])
        for item in listed.json().get("items", [])
    }
    assert found == {
        version: key and (key.private.id, key.state) for version, key in house.versions.items()
    }
    assert {kind for _, kind in expected} >= {"", "signature-downgrade", "signing-key-foreign"}
