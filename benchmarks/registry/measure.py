"""Searches of a large catalogue, and uploads."""

import asyncio
import os
import random
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import orjson
from benchmarks.figures import Figure, median, percentile
from benchmarks.sandbox.measure import postgres
from httpx import AsyncClient

from heimnetz_common import testing as servers
from heimnetz_common.logs import configure_logs
from heimnetz_manifest.packing import pack_files
from heimnetz_registry.app import create
from heimnetz_registry.settings import RegistrySettings

PLUGINS, VERSIONS = 10_000, 10
SEARCHES = 300
CATEGORIES = ("automation", "backup", "data", "energy", "home", "media", "office", "other")
UPLOADS, UPLOAD_MIB = 7, 5
MANIFEST = """\
manifest: 1
name: bench-{number}
version: 1.0.0
title: Bench
summary: Returns at once.
licence: Apache-2.0
authors: [{{name: Bench}}]
kind: job
runtime: python
entry_point: bench:run
"""


def measure() -> Iterator[Figure]:
    """The application in this process, PostgreSQL in a container; one search after the other."""
    configure_logs("registry", "critical")
    given = os.environ.get("HEIMNETZ_TEST_POSTGRES_URL")
    if given:
        yield from asyncio.run(_measure(given))
        return
    with postgres() as url:
        yield from asyncio.run(_measure(url))


async def _measure(url: str) -> list[Figure]:
    chosen = random.Random(6)
    words = ["".join(chosen.choices("abcdefghiklmnoprstuvw", k=7)) for _ in range(600)]
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        ring = servers.KeyRing(place)
        async with _registry(url, place, ring) as (client, database_url):
            await _fill(database_url, url, chosen, words)
            headers = ring.user("registry", "viewer", "bench")
            figures = await _searches(client, headers, chosen, words)
            publisher = ring.user("registry", "publisher", "bench")
            return [*figures, await _uploads(client, publisher)]


@asynccontextmanager
async def _registry(
    url: str, place: Path, ring: servers.KeyRing
) -> AsyncIterator[tuple[AsyncClient, str]]:
    async with servers.fresh_database_url(url, "registry") as database_url:
        settings = RegistrySettings(
            database_url=database_url,
            nats_url="nats://127.0.0.1:9",
            secrets_dir=ring.secrets_dir("registry"),
            artifacts_dir=place / "artifacts",
            tls=False,
            ready_file=place / "ready",
        )
        async with servers.running(create(settings)) as client:
            yield client, database_url


async def _fill(database_url: str, url: str, chosen: random.Random, words: list[str]) -> None:
    """Straight into the tables, as a superuser; each plugin is listed once."""
    connection = await asyncpg.connect(
        f"{url.rpartition('/')[0]}/{database_url.rpartition('/')[2]}"
    )
    await connection.execute("SET search_path TO registry")
    names = [f"{'-'.join(chosen.sample(words, 2))}-{number}" for number in range(PLUGINS)]
    await connection.copy_records_to_table(
        "plugins",
        schema_name="registry",
        columns=["plugin", "twin_key", "publisher"],
        records=[(name, name, "bench") for name in names],
    )
    records = []
    for name in names:
        manifest = {
            "title": " ".join(chosen.sample(words, 2)),
            "summary": "A plugin " + " ".join(chosen.sample(words, 8)),
            "keywords": chosen.sample(words, 3),
            "category": chosen.choice(CATEGORIES),
            "permissions": {"network": [{"to": "a:1"}] if chosen.random() < 0.6 else []},
        }
        text = orjson.dumps(manifest).decode()
        for number in range(VERSIONS):
            version = f"1.{number}.0"
            records.append((name, version, f"{number}", "0" * 64, 1, "approved", "bench", text))
    await connection.execute("ALTER TABLE versions DISABLE TRIGGER versions_listed")
    await connection.execute("CREATE TEMP TABLE given (LIKE versions INCLUDING DEFAULTS)")
    columns = "plugin version sort_key sha256 size_bytes state publisher manifest".split()
    await connection.execute("ALTER TABLE given ALTER precedence DROP NOT NULL")
    await connection.copy_records_to_table("given", columns=columns, records=records)
    await connection.execute("UPDATE given SET precedence = version")
    await connection.execute("INSERT INTO versions SELECT * FROM given")
    await connection.execute("ALTER TABLE versions ENABLE TRIGGER versions_listed")
    await connection.execute("SELECT list_plugin(plugin) FROM plugins", timeout=300)
    await connection.execute("ANALYZE")
    await connection.close()


async def _searches(
    client: AsyncClient, headers: dict[str, str], chosen: random.Random, words: list[str]
) -> list[Figure]:
    def mistyped() -> str:
        word = chosen.choice(words)
        at = chosen.randrange(1, len(word) - 1)
        return word[:at] + word[at + 1 :]

    kinds = {
        "two words": lambda: {"q": " ".join(chosen.sample(words, 2))},
        "a word that misses a letter": lambda: {"q": mistyped()},
        "a word, a category, no network": lambda: {
            "q": chosen.choice(words),
            "category": chosen.choice(CATEGORIES),
            "asks_not": "network",
        },
        "a word, with facets": lambda: {"q": chosen.choice(words), "facets": "true"},
        "no word, no network": lambda: {"asks_not": "network"},
        "a word that stands in every summary": lambda: {"q": "plugin"},
    }
    figures = []
    for kind, make in kinds.items():
        spent = []
        (await client.get("/v1/plugins", params=make(), headers=headers)).raise_for_status()
        for _ in range(SEARCHES // len(kinds)):
            began = time.perf_counter()
            answer = await client.get("/v1/plugins", params=make(), headers=headers)
            spent.append((time.perf_counter() - began) * 1000)
            answer.raise_for_status()
        what = f"search of {PLUGINS * VERSIONS:,} versions of {PLUGINS:,} plugins, {kind}: p95"
        figures.append(Figure(what, percentile(spent, 0.95), "ms", to_reach="under 50"))
    return figures


async def _uploads(client: AsyncClient, headers: dict[str, str]) -> Figure:
    spent = []
    for number in range(UPLOADS):
        files = {f"data{at}.bin": os.urandom(1024 * 1024) for at in range(UPLOAD_MIB)}
        text = MANIFEST.format(number=number).encode()
        body = pack_files({"plugin.yaml": text, "bench.py": b"", **files})
        began = time.perf_counter()
        answer = await client.post(
            f"/v1/plugins/bench-{number}/versions",
            content=body,
            headers={**headers, "content-type": "application/gzip"},
        )
        spent.append(time.perf_counter() - began)
        answer.raise_for_status()
    what = f"upload of {UPLOAD_MIB} MiB, median of {UPLOADS}"
    return Figure(what, median(spent), "s", to_reach="under 1")
