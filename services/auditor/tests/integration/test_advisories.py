"""Known vulnerabilities: imported by the owner, refused from anybody else, used by every audit."""

import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from heimnetz_audit import Advisories, SourceTree, audit, reporters
from heimnetz_auditor import store
from heimnetz_auditor.advising import UPLOAD_BYTES
from heimnetz_auditor.api import advisories as edge
from heimnetz_common.service import Service
from heimnetz_common.testing import KeyRing, running
from heimnetz_common.web import create_app
from heimnetz_manifest import pack, read_package

from .conftest import HARMLESS, MANIFEST, House, advisories

ROUTE = "/v1/advisories"
GZIP = {"content-type": "application/gzip"}
LOCK = f"valve==1.0.0 --hash=sha256:{'1' * 64}\n"


@pytest.fixture
async def client(house: House, key_ring: KeyRing) -> AsyncIterator[httpx.AsyncClient]:
    service = Service("auditor", keys=key_ring.keys("auditor"))
    routes = edge.routes(house.database, house.auditing.advising)
    app = create_app(service, [routes], title="auditor", max_body_bytes=UPLOAD_BYTES)
    async with running(app) as client:
        yield client


@pytest.fixture
def locked(tmp_path: Path) -> bytes:
    """A package that depends on something."""
    manifest = MANIFEST.format(plugin="adder") + "dependencies: {lock: requirements.lock}\n"
    (tmp_path / "plugin.yaml").write_text(manifest)
    (tmp_path / "adder.py").write_text(HARMLESS)
    (tmp_path / "README.md").write_text("# A plugin\n")
    (tmp_path / "requirements.lock").write_text(LOCK)
    return pack(tmp_path)


async def report(house: House, form: str = "json") -> str:
    async with house.database.connection() as connection:
        return await store.get_report(connection, "adder", "1.0.0", form)


async def test_the_owner_imports_what_everybody_may_see(
    client: httpx.AsyncClient, key_ring: KeyRing
) -> None:
    owner, viewer = key_ring.user("auditor", "owner"), key_ring.user("auditor", "viewer")

    before = await client.get(ROUTE, headers=viewer)
    imported = await client.put(ROUTE, content=advisories("valve"), headers=owner | GZIP)
    after = await client.get(ROUTE, headers=viewer)

    assert (before.json()["as_of"], before.json()["count"]) == (None, 0)
    assert imported.status_code == 200
    assert after.json() == imported.json()
    assert (after.json()["as_of"], after.json()["count"]) == ("2026-11-30T08:09:10Z", 1)


@pytest.mark.parametrize("role", ["operator", "publisher", "auditor", "viewer"])
async def test_nobody_but_the_owner_imports(
    client: httpx.AsyncClient, key_ring: KeyRing, role: str
) -> None:
    headers = key_ring.user("auditor", role) | GZIP

    response = await client.put(ROUTE, content=advisories("valve"), headers=headers)

    assert response.status_code == 403
    assert (await client.get(ROUTE, headers=headers)).json()["count"] == 0


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"", "application/gzip", 422),
        (b"not compressed", "application/gzip", 422),
        (advisories("valve")[:-4], "application/gzip", 422),
        (advisories("valve") + b"x", "application/gzip", 422),
        (gzip.compress(b"heimnetz-advisories 1 2026-01-01T00:00:00Z 1\nPyPI a [[]]\n"), "application/gzip", 422),
        (gzip.compress(b" " * 200_000_000, 1), "application/gzip", 422),
        (b"x" * (UPLOAD_BYTES + 1), "application/gzip", 413),
        (advisories("valve"), "application/json", 415),
    ],
    ids=["empty", "plain", "cut", "longer", "nothing", "bomb", "large", "type"],
)  # fmt: skip
async def test_what_makes_no_sense_is_refused(
    client: httpx.AsyncClient, key_ring: KeyRing, body: bytes, kind: str, status: int
) -> None:
    headers = key_ring.user("auditor", "owner") | {"content-type": kind}

    response = await client.put(ROUTE, content=body, headers=headers)

    assert response.status_code == status
    assert (await client.get(ROUTE, headers=headers)).json()["count"] == 0


async def test_an_audit_says_byte_for_byte_what_the_same_advisories_say_offline(
    house: House, locked: bytes
) -> None:
    await house.auditing.advising.put(advisories("valve"), "user:owner")
    await house.submit("adder", locked)

    await house.auditing.work()

    tree = SourceTree.from_files(read_package(locked).files)
    offline = audit(tree, advisories=Advisories(gzip.decompress(advisories("valve"))))
    [event] = await house.announced()
    assert event["data"]["verdict"] == "review"
    assert "high finding: deps-vulnerable" in event["data"]["reasons"][0]
    for form in ("json", "sarif", "markdown", "text", "cyclonedx"):
        assert await report(house, form) == reporters.ALL[form].render(offline)


async def test_without_advisories_a_version_is_approved_and_the_report_says_what_is_not_known(
    house: House, locked: bytes
) -> None:
    await house.submit("adder", locked)

    await house.auditing.work()

    [event] = await house.announced()
    assert event["data"]["verdict"] == "approve"
    assert "no advisories were imported" in event["data"]["reasons"][0]
    assert '"check": "deps-vulnerable"' in await report(house)
