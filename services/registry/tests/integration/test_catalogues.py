"""Plugins from elsewhere: whose index is believed, until when, and what comes of a package."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from httpx import AsyncClient, Response

from heimnetz_manifest.catalogue import Index, Release, Revocation, encode, sign_index
from heimnetz_manifest.signing import PrivateKey, Subject, sign
from heimnetz_registry.cataloguing import Cataloguer

from .https_server import Answer, HttpsServer, serving

KEY, OTHER, AUTHOR = PrivateKey.generate(), PrivateKey.generate(), PrivateKey.generate()
NOW = datetime.now(UTC).replace(microsecond=0)
FRIENDS = "/v1/catalogues/friends"
RELEASE = {"plugin": "energy-report", "version": "1.0.0"}


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpsServer]:
    with serving(tmp_path_factory.mktemp("server")) as server:
        yield server


class Friends:
    """A catalogue with one package, whose index says what a test wants."""

    def __init__(self, web: HttpsServer, package: bytes) -> None:
        self.web, self.package = web, package
        self.sha256 = hashlib.sha256(package).hexdigest()
        web.files.clear()
        web.asked.clear()
        web.files[f"/packages/{self.sha256}.tar.gz"] = Answer(package)
        self.offer()

    def release(self, *, is_signed: bool = True) -> Release:
        subject = Subject("energy-report", "1.0.0", self.sha256)
        return Release(
            **RELEASE,
            sha256=self.sha256,
            size_bytes=len(self.package),
            publisher="ada",
            title="Energy report",
            signature=encode(sign(AUTHOR, subject)) if is_signed else None,
            public_key=encode(AUTHOR.public) if is_signed else None,
        )

    def offer(
        self,
        counter: int = 5,
        *,
        key: PrivateKey = KEY,
        made_at: datetime = NOW,
        is_signed: bool = True,
        warnings: tuple[str, ...] = (),
    ) -> None:
        index = Index(
            counter=counter,
            made_at=made_at,
            expires_at=made_at + timedelta(days=7),
            releases=(self.release(is_signed=is_signed),),
            revoked=tuple(
                Revocation(plugin="bad", version=f"{number}.0.0", sha256=sha256, reason="steals")
                for number, sha256 in enumerate(warnings)
            ),
        )
        data = sign_index(key, index)
        etag = f'"{hashlib.sha256(data).hexdigest()}"'
        self.web.files["/index.json"] = Answer(data, headers={"etag": etag})

    def body(self, **more: str) -> dict[str, str]:
        return {
            "name": "friends",
            "url": self.web.url(),
            "ca": self.web.ca,
            "key_id": KEY.id,
            **more,
        }


@pytest.fixture
def friends(web: HttpsServer, package: Any) -> Friends:
    return Friends(web, package())


@pytest.fixture
async def owner(client: AsyncClient, role: Any) -> AsyncClient:
    client.headers.update(role("owner", "anna"))
    return client


@pytest.fixture
async def added(owner: AsyncClient, friends: Friends) -> Friends:
    answer = await owner.post("/v1/catalogues", json=friends.body())
    assert answer.status_code == 201, answer.text
    return friends


async def mirror(owner: AsyncClient) -> Response:
    return await owner.post(f"{FRIENDS}/mirror", json=RELEASE)


async def refused(answer: Response, kind: str) -> bool:
    return answer.status_code == 409 and answer.json()["type"].endswith(f"/{kind}")


async def actions(owner: AsyncClient) -> list[str]:
    entries = (await owner.get("/v1/trail")).json()["items"]
    return [entry["action"] for entry in reversed(entries)]


async def test_a_key_is_shown_before_a_catalogue_is_added(
    owner: AsyncClient, friends: Friends
) -> None:
    source = {key: friends.body()[key] for key in ("url", "ca")}

    shown = await owner.post("/v1/catalogues/preview", json=source)

    assert (shown.status_code, shown.json()["key_id"]) == (200, KEY.id)
    assert (shown.json()["releases"], shown.json()["counter"]) == (1, 5)
    assert (await owner.get("/v1/catalogues")).json()["items"] == []


async def test_a_package_is_mirrored_by_its_digest_with_its_publishers_signature(
    owner: AsyncClient, added: Friends
) -> None:
    listed = (await owner.get(f"{FRIENDS}/releases")).json()["items"]

    made = await mirror(owner)
    again = await mirror(owner)

    assert [(one["plugin"], one["key_id"]) for one in listed] == [("energy-report", AUTHOR.id)]
    assert (made.status_code, again.status_code) == (201, 200)
    version = made.json()
    assert (version["state"], version["sha256"]) == ("submitted", added.sha256)
    assert version["publisher"] == "friends/ada"
    assert (version["signature"]["key_id"], version["signature"]["is_good"]) == (AUTHOR.id, True)
    assert await actions(owner) == [
        *("catalogue.added", "key.registered", "version.submitted", "catalogue.mirrored")
    ]


async def test_an_index_that_is_the_same_is_not_read_twice(
    owner: AsyncClient, added: Friends
) -> None:
    answer = await owner.post(f"{FRIENDS}/refresh")

    assert (answer.status_code, answer.json()["problem"]) == (200, "")
    assert "if-none-match" in added.web.asked[-1][1]
    assert await actions(owner) == ["catalogue.added"]


async def test_an_old_index_is_not_taken_for_a_new_one(owner: AsyncClient, added: Friends) -> None:
    added.offer(counter=4)
    older = await owner.post(f"{FRIENDS}/refresh")
    again = await owner.post(f"{FRIENDS}/refresh")
    added.offer(counter=5, is_signed=False)
    other = await owner.post(f"{FRIENDS}/refresh")
    shown = (await owner.get(FRIENDS)).json()
    added.offer(counter=6)
    newer = await owner.post(f"{FRIENDS}/refresh")

    assert all([await refused(one, "catalogue-replayed") for one in (older, again, other)])
    assert (shown["problem"], shown["failures"], shown["counter"]) == ("catalogue-replayed", 3, 5)
    assert (newer.json()["counter"], newer.json()["failures"]) == (6, 0)
    pause = datetime.fromisoformat(shown["next_at"]) - datetime.now(UTC)
    # A minute, two, four; the first reading after a good one is a quarter of an hour later.
    assert timedelta(minutes=3) < pause < timedelta(minutes=5)
    # Once for what is wrong, however often it is.
    assert await actions(owner) == ["catalogue.added", "catalogue.refused", "catalogue.read"]


async def test_an_index_that_has_expired_is_not_believed(
    owner: AsyncClient, friends: Friends
) -> None:
    friends.offer(made_at=NOW - timedelta(days=8))

    answer = await owner.post("/v1/catalogues", json=friends.body())

    assert await refused(answer, "catalogue-expired")


async def test_who_keeps_newer_indexes_back_is_found_out_when_the_known_one_expires(
    owner: AsyncClient, added: Friends, database: Any
) -> None:
    async with database.connection() as connection:
        await connection.execute("UPDATE catalogues SET expires_at = now()")

    frozen = await owner.post(f"{FRIENDS}/refresh")
    brought = await mirror(owner)

    assert added.web.asked[-1][0] == "/index.json"
    assert await refused(frozen, "catalogue-expired")
    assert await refused(brought, "catalogue-expired")


async def test_only_the_key_that_was_confirmed_signs_an_index(
    owner: AsyncClient, friends: Friends
) -> None:
    foreign = await owner.post("/v1/catalogues", json=friends.body(key_id=OTHER.id))
    await owner.post("/v1/catalogues", json=friends.body())
    friends.offer(counter=6, key=OTHER)
    changed = await owner.post(f"{FRIENDS}/refresh")

    assert foreign.json()["type"].endswith("/catalogue-key-wrong")
    assert changed.json()["type"].endswith("/catalogue-key-wrong")
    assert (await owner.get(FRIENDS)).json()["counter"] == 5


async def test_other_bytes_under_a_digest_are_not_published(
    owner: AsyncClient, added: Friends, package: Any
) -> None:
    other = package(note="0")
    added.web.files[f"/packages/{added.sha256}.tar.gz"] = Answer(other[: len(added.package)])

    answer = await mirror(owner)

    assert await refused(answer, "catalogue-digest-mismatch")
    assert (await owner.get("/v1/plugins/energy-report")).status_code == 404


async def test_a_catalogue_adds_no_version_to_another_publishers_plugin(
    owner: AsyncClient, added: Friends, publish: Any
) -> None:
    await publish(version="0.9.0")

    answer = await mirror(owner)

    assert await refused(answer, "catalogue-plugin-taken")


async def test_a_signature_that_does_not_fit_stops_a_package_before_it_is_fetched(
    owner: AsyncClient, friends: Friends
) -> None:
    wrong = friends.release().model_copy(update={"public_key": encode(OTHER.public)})
    index = Index(
        counter=5, made_at=NOW, expires_at=NOW + timedelta(days=7), releases=(wrong,), revoked=()
    )
    friends.web.files["/index.json"] = Answer(sign_index(KEY, index))
    await owner.post("/v1/catalogues", json=friends.body())

    answer = await mirror(owner)

    assert answer.json()["type"].endswith("/signature-wrong")
    assert friends.web.asked[-1][0] == "/index.json"


async def test_what_was_mirrored_stays_when_its_catalogue_is_removed(
    owner: AsyncClient, added: Friends
) -> None:
    await mirror(owner)

    gone = await owner.delete(FRIENDS)

    assert (gone.status_code, (await owner.get(FRIENDS)).status_code) == (204, 404)
    version = await owner.get("/v1/plugins/energy-report/versions/1.0.0")
    assert version.json()["signature"]["is_good"]


async def test_a_catalogue_that_is_due_is_read_by_itself(
    owner: AsyncClient, added: Friends, app: Any, database: Any
) -> None:
    added.offer(counter=6)
    async with database.connection() as connection:
        await connection.execute("UPDATE catalogues SET next_at = now()")

    works = (work.__self__ for work in app.state.service.background)
    (cataloguer,) = (work for work in works if isinstance(work, Cataloguer))
    is_read = await cataloguer._refresh_due()

    assert is_read
    assert (await owner.get(FRIENDS)).json()["counter"] == 6


async def state(owner: AsyncClient) -> tuple[str, str]:
    version = (await owner.get("/v1/plugins/energy-report/versions/1.0.0")).json()
    return version["state"], version["reason"]


async def test_what_a_catalogue_warns_of_is_stopped_once_whichever_way_it_came(
    owner: AsyncClient, added: Friends, publish: Any, audit: Any
) -> None:
    await publish(body=added.package)
    await audit("approve", sha256=added.sha256)
    added.offer(counter=6, warnings=(added.sha256, "0" * 64))

    await owner.post(f"{FRIENDS}/refresh")
    stopped = await state(owner)
    meant = {"state": "approved", "reason": "read it"}
    await owner.post("/v1/plugins/energy-report/versions/1.0.0/state", json=meant)
    added.offer(counter=7, warnings=(added.sha256,))
    await owner.post(f"{FRIENDS}/refresh")

    assert stopped == ("quarantined", "the catalogue friends warns of it: steals")
    assert await state(owner) == ("approved", "read it")


async def test_what_waits_for_its_audit_is_held_for_a_person_when_a_catalogue_warns_of_it(
    owner: AsyncClient, added: Friends, audit: Any
) -> None:
    await mirror(owner)
    added.offer(counter=6, warnings=(added.sha256,))
    await owner.post(f"{FRIENDS}/refresh")

    await audit("approve", sha256=added.sha256)

    now, reason = await state(owner)
    assert now == "needs_review"
    assert reason.startswith("the catalogue friends warns of it: steals")


async def test_nothing_is_mirrored_that_a_catalogue_warns_of_until_it_takes_that_back(
    owner: AsyncClient, added: Friends
) -> None:
    added.offer(counter=6, warnings=(added.sha256,))
    await owner.post(f"{FRIENDS}/refresh")
    warned = await mirror(owner)
    added.offer(counter=7)
    await owner.post(f"{FRIENDS}/refresh")

    assert warned.json()["type"].endswith("/catalogue-release-revoked")
    assert (await mirror(owner)).status_code == 201
