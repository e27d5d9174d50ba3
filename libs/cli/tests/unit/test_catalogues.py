"""Catalogues: a key is confirmed by a person, and what is exported is whole."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from heimnetz_manifest.catalogue import Index, Release, sign_index
from heimnetz_manifest.signing import PrivateKey

from .conftest import REGISTRY, VERSION, Heimnetz

KEY = PrivateKey.generate()
URL = "https://plugins.example.org/index.json"
SHOWN = {"name": "friends", "counter": 7, "expires_at": "2026-12-31T00:00:00Z"}
PACKAGE = b"packed"
SHA256 = hashlib.sha256(PACKAGE).hexdigest()
NOW = datetime(2026, 12, 1, tzinfo=UTC)
INDEX = Index(
    counter=7,
    made_at=NOW,
    expires_at=NOW + timedelta(days=30),
    releases=(Release(plugin="p", version="1.0.0", sha256=SHA256, size_bytes=6, publisher="ada"),),
)


def test_without_a_terminal_a_key_is_shown_and_nothing_added(
    platform: Any, heimnetz: Heimnetz
) -> None:
    platform.on(f"POST {REGISTRY}/catalogues/preview", {"key_id": KEY.id, "releases": 3})

    said = heimnetz("catalogue", "add", "friends", URL)

    assert said.code == 2
    assert KEY.id in said.err
    assert all(not request.url.path.endswith("/catalogues") for request in platform.requests)


def test_a_key_that_is_given_is_the_one_that_is_pinned(
    platform: Any, heimnetz: Heimnetz, tmp_path: Path
) -> None:
    platform.on(f"POST {REGISTRY}/catalogues", SHOWN, status=201)
    ca = tmp_path / "ca.crt"
    ca.write_text("PEM")

    said = heimnetz(
        *("catalogue", "add", "friends", URL, "--key", KEY.id),
        *("--ca-file", ca, "--address", "192.168.1.20"),
    )

    assert said.code == 0, said.err
    assert platform.sent("/catalogues") == {
        "name": "friends",
        "url": URL,
        "key_id": KEY.id,
        "address": "192.168.1.20",
        "ca": "PEM",
        "token": None,
    }


def test_the_highest_version_is_mirrored_when_none_is_named(
    platform: Any, heimnetz: Heimnetz
) -> None:
    items = [
        {"plugin": "p", "version": version, "key_id": None}
        for version in ("1.10.0", "1.9.0", "1.10.0-rc.1")
    ]
    platform.on(
        f"GET {REGISTRY}/catalogues/friends/releases", {"items": items, "next_cursor": None}
    )
    platform.on(f"POST {REGISTRY}/catalogues/friends/mirror", VERSION, status=201)

    said = heimnetz("catalogue", "mirror", "friends", "p")

    assert said.code == 0, said.err
    assert platform.sent("/mirror") == {"plugin": "p", "version": "1.10.0"}


def test_an_export_has_the_index_as_it_is_and_each_package_under_its_digest(
    platform: Any, heimnetz: Heimnetz, tmp_path: Path
) -> None:
    index = sign_index(KEY, INDEX)
    platform.on(f"GET {REGISTRY}/catalogue/index.json", httpx.Response(200, content=index))
    packages = f"GET {REGISTRY}/catalogue/packages/{SHA256}.tar.gz"
    platform.on(packages, httpx.Response(200, content=PACKAGE))

    said = heimnetz("catalogue", "export", tmp_path, "--json")

    assert json.loads(said.out)["key_id"] == KEY.id
    written = {str(f.relative_to(tmp_path)): f.read_bytes() for f in tmp_path.rglob("*.*")}
    assert written == {"index.json": index, f"packages/{SHA256}.tar.gz": PACKAGE}


def test_an_export_with_a_wrong_package_names_nothing(
    platform: Any, heimnetz: Heimnetz, tmp_path: Path
) -> None:
    index = httpx.Response(200, content=sign_index(KEY, INDEX))
    platform.on(f"GET {REGISTRY}/catalogue/index.json", index)
    packages = f"GET {REGISTRY}/catalogue/packages/{SHA256}.tar.gz"
    platform.on(packages, httpx.Response(200, content=b"other"))

    said = heimnetz("catalogue", "export", tmp_path)

    assert said.code == 9
    assert not (tmp_path / "index.json").exists()
