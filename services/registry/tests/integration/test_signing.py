"""Who vouches for a version: keys of publishers, and what becomes of what they signed."""

import asyncio
import base64
import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from httpx import AsyncClient, Response

from heimnetz_manifest.signing import PrivateKey, Subject, hand_over, prove, sign

KEYS = "/v1/keys"
VERSION = "/v1/plugins/energy-report/versions/{}"
INSTALLATION = "/v1/installations/energy-report"
KEY, SECOND, FOREIGN = (PrivateKey.generate() for _ in range(3))


def kind(response: Any) -> str:
    return str(response.json()["type"]).rpartition("/")[2]


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def body(key: PrivateKey, publisher: str = "publisher", **changes: Any) -> dict[str, Any]:
    return {
        "name": "laptop",
        "public_key": text(key.public),
        "proof": text(prove(key, publisher)),
        **changes,
    }


def rotation(old: PrivateKey, new: PrivateKey) -> dict[str, Any]:
    return body(new, handed_over=text(hand_over(old, new.id)))


@pytest.fixture
def register(client: AsyncClient, role: Any) -> Any:
    async def post(key: PrivateKey, publisher: str = "publisher", **changes: Any) -> Response:
        return await client.post(
            KEYS, json=body(key, publisher, **changes), headers=role("publisher", publisher)
        )

    return post


@pytest.fixture
def rotate(client: AsyncClient, role: Any) -> Any:
    async def post(old: PrivateKey, new: PrivateKey, by: str = "publisher") -> Response:
        return await client.post(
            f"{KEYS}/{old.id}/rotation", json=rotation(old, new), headers=role("publisher", by)
        )

    return post


@pytest.fixture
def revoke(client: AsyncClient, role: Any) -> Any:
    async def post(key: PrivateKey, by: str = "publisher", name: str | None = None) -> Response:
        return await client.post(
            f"{KEYS}/{key.id}/revocation", json={"reason": "lost"}, headers=role(by, name)
        )

    return post


@pytest.fixture
def signed(publish: Any, package: Any) -> Callable[..., Any]:
    """Publish what the key signed, or a signature of something else."""

    async def post(
        version: str = "1.0.0",
        *,
        key: PrivateKey = KEY,
        by: str = "publisher",
        plugin: str = "energy-report",
        of: dict[str, str] | None = None,
    ) -> Response:
        data = package(plugin, version)
        about = {"name": plugin, "version": version, "sha256": hashlib.sha256(data).hexdigest()}
        envelope = sign(key, Subject(**{**about, **(of or {})}))
        answer: Response = await publish(plugin, version, by=by, body=data, envelope=envelope)
        return answer

    return post


@pytest.fixture
def install(client: AsyncClient, role: Any) -> Any:
    async def put(version: str = "1.0.0", by: str = "operator", **more: Any) -> Response:
        return await client.put(INSTALLATION, json={"version": version, **more}, headers=role(by))

    return put


async def test_a_version_tells_by_which_key_it_was_signed_and_hands_out_the_envelope(
    client: AsyncClient, role: Any, register: Any, signed: Any, package: Any
) -> None:
    await register(KEY)

    made = await signed()
    listed = await client.get("/v1/plugins/energy-report/versions", headers=role("viewer"))
    envelope = await client.get(f"{VERSION.format('1.0.0')}/signature", headers=role("viewer"))

    expected = {"key_id": KEY.id, "publisher": "publisher", "state": "active", "is_good": True}
    assert made.status_code == 201, made.text
    assert made.json()["signature"] == listed.json()["items"][0]["signature"] == expected
    digest = hashlib.sha256(package()).hexdigest()
    assert envelope.content == sign(KEY, Subject("energy-report", "1.0.0", digest))


async def test_an_unsigned_version_is_taken_and_says_so(
    client: AsyncClient, role: Any, publish: Any
) -> None:
    made = await publish()
    envelope = await client.get(f"{VERSION.format('1.0.0')}/signature", headers=role("viewer"))

    assert (made.status_code, made.json()["signature"]) == (201, None)
    assert (envelope.status_code, kind(envelope)) == (404, "signature-not-found")


async def test_signatures_by_keys_that_do_not_count_are_refused_and_leave_nothing(
    client: AsyncClient, role: Any, register: Any, rotate: Any, revoke: Any, signed: Any
) -> None:
    retired, revoked = PrivateKey.generate(), PrivateKey.generate()
    for key in (KEY, retired, revoked):
        await register(key)
    await register(FOREIGN, "mallory")
    await rotate(retired, PrivateKey.generate())
    await revoke(revoked)

    refused = {
        key.id: (answer.status_code, kind(answer))
        for key in (SECOND, FOREIGN, retired, revoked)
        for answer in [await signed(key=key)]
    }

    assert refused == {
        SECOND.id: (422, "signing-key-unknown"),
        FOREIGN.id: (403, "signing-key-foreign"),
        retired.id: (403, "signing-key-retired"),
        revoked.id: (403, "signing-key-revoked"),
    }
    missing = await client.get("/v1/plugins/energy-report", headers=role("viewer"))
    assert missing.status_code == 404


async def test_a_signature_of_another_name_version_or_digest_is_refused(
    register: Any, signed: Any
) -> None:
    await register(KEY)
    others = ({"name": "log-digest"}, {"version": "1.0.1"}, {"sha256": "0" * 64})

    answers = [await signed(of=other) for other in others]

    assert {(answer.status_code, kind(answer)) for answer in answers} == {
        (422, "signature-misplaced")
    }


async def test_malformed_forged_and_oversized_signatures_are_refused(
    client: AsyncClient, role: Any, register: Any, publish: Any, package: Any
) -> None:
    await register(KEY)
    digest = hashlib.sha256(package()).hexdigest()
    good = sign(KEY, Subject("energy-report", "1.0.0", digest))
    forged = sign(SECOND, Subject("energy-report", "1.0.0", digest))
    forged = forged.replace(SECOND.id.encode(), KEY.id.encode())

    answers = [
        await publish(envelope=envelope)
        for envelope in (b"", b"{}", good[:-1], forged, good.ljust(4097))
    ]
    headers = role("publisher") | {"content-type": "application/gzip"}
    twice = [*headers.items(), *[("heimnetz-signature", text(good))] * 2]
    answers.append(
        await client.post("/v1/plugins/energy-report/versions", content=package(), headers=twice)
    )

    assert [(answer.status_code, kind(answer)) for answer in answers] == [
        *[(422, "signature-malformed")] * 3,
        (422, "signature-wrong"),
        (413, "signature-too-large"),
        (422, "signature-malformed"),
    ]


async def test_a_plugin_that_was_signed_stays_so_and_by_its_publisher(
    register: Any, signed: Any, publish: Any
) -> None:
    await register(KEY)
    await register(SECOND, "owner")
    await signed("1.0.0")

    bare = await publish(version="1.1.0")
    bare_by_owner = await publish(version="1.1.0", by="owner")
    by_another = await signed("1.1.0", key=SECOND, by="owner")
    by_owner_with_its_signature = await signed("1.1.0", by="owner")

    for answer in (bare, bare_by_owner, by_another):
        assert (answer.status_code, kind(answer)) == (403, "signature-downgrade")
    assert by_owner_with_its_signature.status_code == 201


async def test_what_a_revoked_key_signed_is_installed_by_the_owners_word_alone(
    client: AsyncClient,
    role: Any,
    register: Any,
    revoke: Any,
    signed: Any,
    audit: Any,
    install: Any,
) -> None:
    await register(KEY)
    made = await signed()
    await audit("approve", sha256=made.json()["sha256"])
    await revoke(KEY)

    shown = await client.get(VERSION.format("1.0.0"), headers=role("viewer"))
    refused = [
        await install(),
        await install(allow_revoked_key=True),
        await install(by="owner"),
    ]
    meant = await install(by="owner", allow_revoked_key=True)
    configured = await install(configuration={"price": 1})
    entries = await client.get("/v1/trail?plugin=energy-report", headers=role("auditor"))

    assert shown.json()["signature"]["is_good"] is False
    assert {(answer.status_code, kind(answer)) for answer in refused} == {
        (409, "signature-revoked")
    }
    assert (meant.status_code, configured.status_code) == (201, 200)
    assert "its signing key was revoked" in entries.json()["items"][1]["reason"]


async def test_what_a_rotated_key_signed_stays_good_and_its_successor_goes_on(
    client: AsyncClient,
    role: Any,
    register: Any,
    rotate: Any,
    signed: Any,
    audit: Any,
    install: Any,
) -> None:
    await register(KEY)
    made = await signed()
    await audit("approve", sha256=made.json()["sha256"])

    rotated, again = await rotate(KEY, SECOND), await rotate(KEY, SECOND)
    old = await client.get(f"{KEYS}/{KEY.id}", headers=role("viewer"))
    third = await rotate(KEY, FOREIGN)

    assert (rotated.status_code, again.status_code) == (200, 200)
    assert (old.json()["state"], old.json()["successor"]) == ("retired", SECOND.id)
    assert (third.status_code, kind(third)) == (403, "signing-key-retired")
    assert (await install()).status_code == 201
    assert (await signed("1.1.0", key=SECOND)).status_code == 201


async def test_a_new_key_vouches_again_for_what_is_there(
    register: Any, revoke: Any, signed: Any, publish: Any
) -> None:
    bare = await publish()
    await register(KEY)
    first = await signed()
    await register(SECOND)
    kept = await signed(key=SECOND)
    await revoke(KEY)
    renewed = await signed(key=SECOND)

    assert bare.json()["signature"] is None
    keys = [answer.json()["signature"]["key_id"] for answer in (first, kept, renewed)]
    assert keys == [KEY.id, KEY.id, SECOND.id]
    assert {answer.status_code for answer in (first, kept, renewed)} == {200}


async def test_of_many_who_publish_the_same_bytes_at_once_one_signature_is_enough(
    client: AsyncClient, role: Any, register: Any, signed: Any, publish: Any
) -> None:
    await register(KEY)

    answers = await asyncio.gather(*(publish() for _ in range(5)), signed(), signed())

    assert sorted(answer.status_code for answer in answers) == [200] * 6 + [201]
    shown = await client.get(VERSION.format("1.0.0"), headers=role("viewer"))
    assert shown.json()["signature"]["key_id"] == KEY.id


@pytest.mark.parametrize("unsigned", ["refuse"])
async def test_the_owner_may_refuse_what_is_not_signed(
    register: Any, signed: Any, publish: Any, unsigned: str
) -> None:
    await register(KEY)

    refused, taken = await publish(), await signed()

    assert (refused.status_code, kind(refused)) == (403, "unsigned-refused")
    assert taken.status_code == 201


@pytest.mark.parametrize("unsigned", ["review"])
async def test_the_owner_may_want_to_look_at_what_is_not_signed(
    client: AsyncClient, role: Any, publish: Any, audit: Any, unsigned: str
) -> None:
    made = await publish()

    await audit("approve", sha256=made.json()["sha256"])

    shown = (await client.get(VERSION.format("1.0.0"), headers=role("viewer"))).json()
    assert shown["state"] == "needs_review"
    assert shown["reason"].startswith("the package is not signed")


@pytest.mark.parametrize("unsigned", ["review"])
async def test_what_is_signed_before_its_audit_needs_no_look(
    client: AsyncClient, role: Any, register: Any, publish: Any, signed: Any, audit: Any
) -> None:
    await register(KEY)
    made = await publish()
    await signed()

    await audit("approve", sha256=made.json()["sha256"])

    shown = await client.get(VERSION.format("1.0.0"), headers=role("viewer"))
    assert shown.json()["state"] == "approved"


async def test_nobody_registers_a_key_without_having_it(
    client: AsyncClient, role: Any, register: Any
) -> None:
    stolen = await register(KEY, proof=text(prove(SECOND, "publisher")))
    relabelled = await register(KEY, proof=text(prove(KEY, "mallory")))
    first, again = await register(KEY), await register(KEY)
    taken = await register(KEY, "mallory")
    junk = await register(KEY, public_key="A" * 44)

    for answer in (stolen, relabelled):
        assert (answer.status_code, kind(answer)) == (422, "signing-key-proof")
    assert (first.status_code, again.status_code, junk.status_code) == (201, 200, 422)
    assert (taken.status_code, kind(taken)) == (409, "signing-key-exists")
    listed = await client.get(f"{KEYS}?publisher=publisher", headers=role("viewer"))
    assert [item["id"] for item in listed.json()["items"]] == [KEY.id]


async def test_a_key_is_rotated_by_its_own_holder_alone(
    client: AsyncClient, role: Any, register: Any, rotate: Any, revoke: Any
) -> None:
    await register(KEY)
    wrong = await client.post(
        f"{KEYS}/{KEY.id}/rotation",
        json=rotation(SECOND, SECOND),
        headers=role("publisher"),
    )

    assert (wrong.status_code, kind(wrong)) == (422, "signing-key-proof")
    foreign = await rotate(KEY, SECOND, by="mallory")
    assert (foreign.status_code, kind(foreign)) == (403, "signing-key-foreign")
    itself = await rotate(KEY, KEY)
    assert (itself.status_code, kind(itself)) == (409, "signing-key-exists")
    unknown = await rotate(SECOND, KEY)
    assert (unknown.status_code, kind(unknown)) == (404, "signing-key-not-found")
    assert (await revoke(KEY)).status_code == 200
    late = await rotate(KEY, SECOND)
    assert (late.status_code, kind(late)) == (403, "signing-key-revoked")


async def test_a_key_is_revoked_by_its_holder_the_owner_or_an_auditor(
    register: Any, revoke: Any
) -> None:
    keys = [PrivateKey.generate() for _ in range(3)]
    for key in keys:
        await register(key)

    foreign = await revoke(keys[0], "publisher", "mallory")
    operator = await revoke(keys[0], "operator")
    allowed = [
        await revoke(key, by)
        for key, by in zip(keys, ("publisher", "owner", "auditor"), strict=True)
    ]
    again = await revoke(keys[0])

    assert (foreign.status_code, kind(foreign)) == (403, "signing-key-foreign")
    assert operator.status_code == 403
    assert [answer.json()["state"] for answer in (*allowed, again)] == ["revoked"] * 4


async def test_what_happens_to_keys_is_in_the_trail_and_announced_once(
    client: AsyncClient, role: Any, register: Any, rotate: Any, revoke: Any, database: Any
) -> None:
    await asyncio.gather(*(register(KEY) for _ in range(4)))
    await asyncio.gather(*(rotate(KEY, SECOND) for _ in range(3)))
    await asyncio.gather(*(revoke(SECOND) for _ in range(3)))

    async with database.connection() as connection:
        rows = await connection.fetch("SELECT action FROM trail ORDER BY id")
        sent = await connection.fetch("SELECT event_type FROM outbox ORDER BY created_at")
    assert [row["action"] for row in rows] == ["key.registered", "key.rotated", "key.revoked"]
    assert [row["event_type"] for row in sent] == [
        f"heimnetz.key.{what}.v1" for what in ("registered", "rotated", "revoked")
    ]
