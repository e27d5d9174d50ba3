"""The catalogue is searched: what fits, in which order, and what is never asked of the database."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from httpx import AsyncClient, Response

from heimnetz_manifest.packing import pack_files

Search = Callable[..., Awaitable[Response]]
NETWORK = 'network: [{to: "api.example.org:443", reason: Reads}]'
STORAGE = "storage: {size: 1 MiB, reason: Remembers}"
# Name, title, summary, keywords, category, permissions.
CATALOGUE = (
    ("energy-report", "Energy report", "Sums up a year", "[power]", "energy", NETWORK),
    ("meter", "Meter", "Feeds the energy report", "[]", "energy", f"{NETWORK}, {STORAGE}"),
    ("file-sorter", "File sorter", "Sorts downloads", "[tidy]", "storage", STORAGE),
    ("clock", "Clock", "Tells the time", "[]", "other", ""),
)


def package(name: str, title: str, summary: str, keywords: str, category: str, asks: str) -> bytes:
    manifest = f"""\
manifest: 1
name: {name}
version: 1.0.0
title: {title}
summary: {summary}
keywords: {keywords}
category: {category}
licence: Apache-2.0
authors: [{{name: Ada}}]
kind: job
runtime: python
entry_point: main:run
permissions: {{{asks}}}
"""
    return pack_files({"plugin.yaml": manifest.encode(), "main.py": b""})


@pytest.fixture
async def search(client: AsyncClient, role: Any, publish: Any) -> Search:
    """In a small catalogue."""
    for entry in CATALOGUE:
        made = await publish(entry[0], body=package(*entry))
        assert made.status_code == 201, made.text

    async def ask(**query: Any) -> Response:
        return await client.get("/v1/plugins", params=query, headers=role("viewer"))

    return ask


def names(answer: Response) -> list[str]:
    return [item["plugin"] for item in answer.json()["items"]]


FOUND: tuple[tuple[dict[str, Any], list[str]], ...] = (
    ({}, ["clock", "energy-report", "file-sorter", "meter"]),
    ({"q": "energy report"}, ["energy-report", "meter"]),
    ({"q": "energy-report"}, ["energy-report", "meter"]),
    ({"q": "reports"}, ["energy-report", "meter"]),
    ({"q": "enrgy repport"}, ["energy-report", "meter"]),
    ({"q": "flie sorter"}, ["file-sorter"]),
    ({"q": "TIDY"}, ["file-sorter"]),
    ({"q": "energ"}, ["energy-report", "meter"]),
    ({"q": "downloads"}, ["file-sorter"]),
    ({"q": "aquarium"}, []),
    ({"category": "energy"}, ["energy-report", "meter"]),
    ({"asks_not": "network"}, ["clock", "file-sorter"]),
    ({"asks_not": ["network", "storage"]}, ["clock"]),
    ({"asks": ["network", "storage"]}, ["meter"]),
    ({"q": "energy", "asks_not": "storage"}, ["energy-report"]),
    ({"min_score": 1}, []),
)


async def test_a_search_finds_what_fits_the_best_first_also_mistyped(search: Search) -> None:
    found = [(query, names(await search(**query))) for query, _ in FOUND]

    assert found == list(FOUND)


async def test_no_words_are_more_than_words(search: Search) -> None:
    words = ["'", '"', "a & | !", "()", ":*", "%", "_", "\\", "the", "-x", "ß" * 200, "🏠"]

    answers = [await search(q=word, facets=True) for word in words]

    assert {answer.status_code for answer in answers} == {200}


async def test_what_is_no_search_is_refused(search: Search) -> None:
    queries: list[dict[str, Any]] = [
        {"q": "x" * 201},
        {"q": ""},
        {"q": "a\x00b"},
        {"category": "unheard-of"},
        {"asks": "everything"},
        {"asks": ["network"] * 6},
        {"min_score": 101},
        {"cursor": "Zm9v"},
        {"cursor": "OTk5OTk5OTk5OSBjbG9jaw"},
    ]

    answers = [await search(**query) for query in queries]

    assert {answer.status_code for answer in answers} == {422}


async def test_pages_have_every_plugin_once_and_in_order(search: Search) -> None:
    for words in ({}, {"q": "energy report"}, {"q": "enrgy"}):
        whole = names(await search(**words))
        found: list[str] = []
        query: dict[str, Any] = {**words, "limit": 1}
        while len(found) <= len(whole):
            answer = await search(**query)
            found += names(answer)
            query["cursor"] = answer.json()["next_cursor"]
            if query["cursor"] is None:
                break

        assert found == whole
        assert whole


async def test_facets_count_what_fits(search: Search) -> None:
    every, some = await search(facets=True), await search(q="energy", facets=True)
    none = await search()

    assert every.json()["facets"] == {
        "category": {"energy": 2, "other": 1, "storage": 1},
        "permission": {"network": 2, "storage": 2},
    }
    assert some.json()["facets"] == {
        "category": {"energy": 2},
        "permission": {"network": 2, "storage": 1},
    }
    assert none.json()["facets"] is None


async def test_a_search_follows_audits_and_deletions(
    search: Search, client: AsyncClient, role: Any, audit: Any
) -> None:
    clock = await client.get("/v1/plugins/clock/versions/1.0.0", headers=role("viewer"))
    await audit("approve", sha256=clock.json()["sha256"], plugin="clock", score=90)
    scored = names(await search(min_score=90))
    gone = await client.post(
        "/v1/plugins/file-sorter/versions/1.0.0/state",
        json={"state": "deleted", "reason": "mine"},
        headers=role("owner"),
    )

    assert scored == ["clock"]
    assert gone.status_code == 200
    assert names(await search(q="file sorter")) == []
    assert names(await search()) == ["clock", "energy-report", "meter"]
