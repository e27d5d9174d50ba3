import asyncio
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from httpx import AsyncClient

from heimnetz_common.bus import STREAM, Bus
from heimnetz_common.testing import eventually
from heimnetz_registry.artifacts import Artifacts
from heimnetz_registry.settings import RegistrySettings

GZIP = {"content-type": "application/gzip"}


def stored(settings: RegistrySettings) -> list[str]:
    return sorted(p.name for p in (settings.artifacts_dir / "sha256").glob("*/*"))


def incoming(settings: RegistrySettings) -> list[str]:
    return [p.name for p in (settings.artifacts_dir / "incoming").iterdir()]


def kind(response: Any) -> str:
    return str(response.json()["type"]).rpartition("/")[2]


async def test_a_published_version_is_there_with_its_manifest(
    client: AsyncClient, publish: Any, role: Any, settings: RegistrySettings
) -> None:
    made = await publish()
    shown = await client.get("/v1/plugins/energy-report/versions/1.0.0", headers=role("viewer"))

    assert made.status_code == 201, made.text
    assert shown.json() == made.json()
    assert made.json()["state"] == "submitted"
    assert made.json()["publisher"] == "publisher"
    assert made.json()["manifest"]["limits"]["memory"] == 128 * 1024 * 1024
    assert stored(settings) == [made.json()["sha256"]]
    assert incoming(settings) == []


async def test_a_version_is_announced_once_it_is_there(
    publish: Any, bus: Bus, package: Any
) -> None:
    name = f"p{os.urandom(8).hex()}"
    before = (await bus.stream.stream_info(STREAM)).state.last_seq

    made = await publish(name)

    async def announced() -> dict[str, Any] | None:
        # The stream is shared: others announce theirs meanwhile.
        last = (await bus.stream.stream_info(STREAM)).state.last_seq
        for seq in range(before + 1, last + 1):
            document: dict[str, Any] = json.loads(
                (await bus.stream.get_msg(STREAM, seq)).data or b""
            )
            if document["data"].get("plugin") == name:
                return document
        return None

    document = await eventually(announced)
    assert document["subject"] == f"{name}/1.0.0"
    assert document["data"]["sha256"] == made.json()["sha256"]


async def test_the_same_bytes_again_are_200_and_other_bytes_409(publish: Any) -> None:
    answers = [await publish(), await publish(), await publish(note="changed")]

    assert [answer.status_code for answer in answers] == [201, 200, 409]
    assert kind(answers[2]) == "version-exists"


async def test_build_metadata_does_not_make_another_version(publish: Any) -> None:
    answers = [await publish(version="1.0.0+a"), await publish(version="1.0.0+b")]

    assert [answer.status_code for answer in answers] == [201, 409]


async def test_a_lower_version_needs_to_be_meant(publish: Any) -> None:
    await publish(version="2.0.0")

    refused = await publish(version="1.9.0")
    meant = await publish(version="1.9.0", allow_lower="true")

    assert (refused.status_code, kind(refused)) == (409, "lower-version")
    assert meant.status_code == 201


async def test_a_twin_of_a_name_is_refused(publish: Any) -> None:
    await publish("energy-report")

    refused = await publish("energyreport", by="publisher:bob")

    assert (refused.status_code, kind(refused)) == (409, "name-taken")


async def test_a_plugin_belongs_to_its_first_publisher(publish: Any) -> None:
    await publish(by="publisher:alice")

    assert (await publish(version="1.1.0", by="publisher:bob")).status_code == 404
    assert (await publish(version="1.1.0", by="publisher:alice")).status_code == 201
    assert (await publish(version="1.2.0", by="owner")).status_code == 201


async def test_a_package_of_another_plugin_is_refused(publish: Any, package: Any) -> None:
    refused = await publish("log-digest", body=package("energy-report"))

    assert (refused.status_code, kind(refused)) == (422, "name-mismatch")
    assert refused.json()["errors"][0]["pointer"] == "/name"


async def test_a_mistake_in_the_manifest_has_pointer_and_line(
    publish: Any, package: Any, settings: RegistrySettings
) -> None:
    refused = await publish(body=package(more="permisions: {}\n"))

    assert (refused.status_code, kind(refused)) == (422, "manifest-unknown-key")
    assert refused.json()["errors"] == [
        {
            "detail": "the key permisions is unknown here (did you mean permissions?)",
            "pointer": "/permisions",
            "line": 21,
            "column": 1,
        }
    ]
    assert stored(settings) == incoming(settings) == []


@pytest.mark.parametrize(
    ("body", "status", "expected"),
    [
        (b"PK\x03\x04" + bytes(100), 415, "archive-format"),
        (b"", 415, "archive-format"),
        (b"\x1f\x8b\x08\0\0\0\0\0\2\xff", 422, "archive-truncated"),
        (os.urandom(1024) * (20 * 1024 + 1), 413, "archive-too-large"),
    ],
    ids=["zip", "nothing", "cut", "large"],
)
async def test_a_bad_package_leaves_nothing_behind(
    publish: Any, settings: RegistrySettings, body: bytes, status: int, expected: str
) -> None:
    refused = await publish(body=body)

    assert (refused.status_code, kind(refused)) == (status, expected)
    assert refused.headers["content-type"] == "application/problem+json"
    assert stored(settings) == incoming(settings) == []


async def test_a_body_far_over_the_cap_is_refused_by_its_announcement(publish: Any) -> None:
    refused = await publish(body=bytes(22 * 1024 * 1024))

    assert refused.status_code == 413


async def test_another_content_type_is_415(client: AsyncClient, role: Any, package: Any) -> None:
    for headers in ({"content-type": "application/json"}, {**GZIP, "content-encoding": "br"}):
        refused = await client.post(
            "/v1/plugins/energy-report/versions",
            content=package(),
            headers={**role("publisher"), **headers},
        )
        assert refused.status_code == 415


@pytest.mark.parametrize("same", [True, False], ids=["same bytes", "other bytes"])
@pytest.mark.parametrize("count", [10, 50])
async def test_many_publishers_at_once_make_one_version(
    publish: Any, settings: RegistrySettings, database: Any, same: bool, count: int
) -> None:
    """F25."""
    answers = await asyncio.gather(
        *(publish(note="" if same else f"{number}") for number in range(count))
    )

    statuses = Counter(answer.status_code for answer in answers)
    assert statuses == {201: 1, (200 if same else 409): count - 1}
    async with database.connection() as connection:
        rows = await connection.fetch("SELECT sha256 FROM versions")
        sent = await connection.fetchval("SELECT count(*) FROM outbox")
    assert [row["sha256"] for row in rows] == [
        next(a for a in answers if a.status_code == 201).json()["sha256"]
    ]
    assert sent == 1


async def test_a_client_that_vanishes_leaves_nothing(
    client: AsyncClient, app: Any, role: Any, settings: RegistrySettings, package: Any
) -> None:
    """F24."""
    body = package()
    descriptors = len(list(Path("/proc/self/fd").iterdir()))

    async def vanish(after: int) -> None:
        sent = [{"type": "http.request", "body": body[:after], "more_body": True}]

        async def receive() -> dict[str, Any]:
            return sent.pop(0) if sent else {"type": "http.disconnect"}

        async def send(_: Any) -> None:
            return None

        headers = [(k.encode(), v.encode()) for k, v in {**role("publisher"), **GZIP}.items()]
        path = "/v1/plugins/energy-report/versions"
        scope = {
            "type": "http",
            "method": "POST",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": headers,
            "http_version": "1.1",
            "scheme": "http",
            "server": ("test", 80),
            "client": ("1.2.3.4", 1),
            "root_path": "",
            "state": {},
        }
        await app(scope, receive, send)

    for number in range(200):
        await vanish(number % len(body))

    assert incoming(settings) == stored(settings) == []
    assert len(list(Path("/proc/self/fd").iterdir())) <= descriptors + 2
    missing = await client.get("/v1/plugins/energy-report", headers=role("viewer"))
    assert missing.status_code == 404


async def test_a_full_volume_is_507_and_leaves_nothing(
    publish: Any, settings: RegistrySettings, package: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F22; a device that is always full stands for the volume."""
    await publish(version="1.0.0")
    before = stored(settings)
    original = Path.open

    def on_a_full_device(self: Path, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        if self.suffix == ".part" and "x" in mode:
            self.touch()
            return original(Path("/dev/full"), "wb")
        return original(self, mode, *args, **kwargs)

    monkeypatch.setattr(Path, "open", on_a_full_device)
    refused = await publish(version="1.1.0")
    monkeypatch.undo()
    accepted = await publish(version="1.1.0")

    assert (refused.status_code, kind(refused)) == (507, "full")
    assert incoming(settings) == []
    assert set(before) < set(stored(settings))
    assert accepted.status_code == 201


async def test_a_download_is_the_published_bytes(
    client: AsyncClient, publish: Any, role: Any, sibling: Any, package: Any
) -> None:
    await publish()
    path = "/v1/plugins/energy-report/versions/1.0.0/package"

    answer = await client.get(path, headers=sibling("auditor"))
    again = await client.get(
        path, headers={**role("viewer"), "if-none-match": answer.headers["etag"]}
    )

    assert answer.content == package()
    assert answer.headers["content-type"] == "application/gzip"
    assert "immutable" in answer.headers["cache-control"]
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("damage", ["flipped", "missing", "cut"])
async def test_a_damaged_package_is_never_served_and_healed_by_the_same_bytes(
    client: AsyncClient, publish: Any, role: Any, settings: RegistrySettings, damage: str
) -> None:
    """F23."""
    sha256 = (await publish()).json()["sha256"]
    path = settings.artifacts_dir / "sha256" / sha256[:2] / sha256
    data = bytearray(path.read_bytes())
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(data[:-1])
    else:
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    url = "/v1/plugins/energy-report/versions/1.0.0/package"

    refused = await client.get(url, headers=role("viewer"))
    healed = await publish()
    served = await client.get(url, headers=role("viewer"))

    assert (refused.status_code, kind(refused)) == (503, "package-damaged")
    assert (healed.status_code, served.status_code) == (200, 200)


async def test_what_crashes_left_is_swept(
    app: Any, client: AsyncClient, publish: Any, settings: RegistrySettings, role: Any
) -> None:
    from heimnetz_registry.publishing import Publisher

    kept = (await publish()).json()["sha256"]
    orphan = settings.artifacts_dir / "sha256" / "ab" / ("ab" + "0" * 62)
    orphan.parent.mkdir(exist_ok=True)
    young = settings.artifacts_dir / "incoming" / "young.part"
    old = settings.artifacts_dir / "incoming" / "old.part"
    for file in (orphan, young, old):
        file.write_bytes(b"x")
    for file in (orphan, old, settings.artifacts_dir / "sha256" / kept[:2] / kept):
        os.utime(file, (1, 1))

    await Publisher(app.state.service.database, Artifacts(settings.artifacts_dir)).sweep_once()

    assert stored(settings) == [kept]
    assert incoming(settings) == ["young.part"]
