"""The work: take a version that is due, find out what is true, draw it, and put it in place."""

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from heimnetz_common import outbox
from heimnetz_common.database import Database
from heimnetz_common.errors import HeimnetzError, NotFound, Unavailable
from heimnetz_common.http import ServiceClient
from heimnetz_common.logs import get_logger
from heimnetz_common.telemetry import traced
from heimnetz_docs import FORMATS, Care, Entry, Guide, generate_front, generate_site
from heimnetz_docs_gen import children, metrics, store
from heimnetz_docs_gen.events import DocsGenerated
from heimnetz_docs_gen.model import (
    MAX_TRIES,
    RESERVED,
    SHOWN_STATES,
    Drawn,
    Due,
    before,
    latest,
    newest_first,
    retry_seconds,
)
from heimnetz_docs_gen.times import parse_time
from heimnetz_docs_gen.trees import Trees

SERVICE = "docs-gen"
MAX_PACKAGE_BYTES = 20 * 1024 * 1024

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Workshop:
    """What the work stands on. `edition` names the generator: another one draws everything anew."""

    database: Database
    registry: ServiceClient
    auditor: ServiceClient
    trees: Trees
    limits: children.Limits
    guides: tuple[Guide, ...]
    edition: str
    poll_seconds: float


async def work_forever(shop: Workshop) -> None:
    """One version after the other, so that memory stays flat."""
    while True:
        try:
            is_busy = await work_once(shop)
            await _measure(shop)
        except Unavailable as error:
            log.warning("generation_waits", reason=error.detail)
            is_busy = False
        if not is_busy:
            await asyncio.sleep(shop.poll_seconds)


async def work_once(shop: Workshop) -> bool:
    """Whether there was anything to do.

    Raises: Unavailable, when the database does not answer.
    """
    async with shop.database.transaction() as connection:
        due = await store.take_due(connection)
    if due is None:
        return False
    started = time.perf_counter()
    with traced(due.traceparent):
        outcome = await _outcome(shop, due)
        log.info("version_worked_on", plugin=due.plugin, version=due.version, outcome=outcome)
    metrics.GENERATIONS.labels(outcome).inc()
    metrics.GENERATION_DURATION.observe(time.perf_counter() - started)
    return True


async def _outcome(shop: Workshop, due: Due) -> str:
    try:
        return await _work(shop, due)
    except HeimnetzError as error:
        detail = error.detail[:500]
        can_wait = isinstance(error, Unavailable) or due.attempts < MAX_TRIES
        log.warning("generation_failed", plugin=due.plugin, version=due.version, reason=detail)
        async with shop.database.transaction() as connection:
            if can_wait:
                await store.postpone(connection, due, retry_seconds(due.attempts), detail)
                return "retried"
            await store.give_up(connection, due, detail)
            return "failed"


async def _work(shop: Workshop, due: Due) -> str:
    version = await _find_version(shop, due)
    if version is None or version["state"] not in SHOWN_STATES or due.plugin in RESERVED:
        await _remove(shop, due)
        return "removed"
    staged = await asyncio.to_thread(shop.trees.stage)
    try:
        drawn, care = await _draw(shop, due, version, staged)
    finally:
        await asyncio.to_thread(shop.trees.discard, staged)
    async with shop.database.connection() as connection:
        others = await store.list_drawn(connection, due.plugin)
    versions = [item for item in others if item.entry.version != due.version]
    await _place(shop, due.plugin, [*versions, drawn])
    async with shop.database.transaction() as connection:
        await store.finish(connection, due, drawn, shop.edition)
        event = DocsGenerated(plugin=due.plugin, version=due.version, formats=list(drawn.formats))
        subject = f"{due.plugin}/{due.version}"
        await outbox.append(connection, event, service=SERVICE, subject=subject)
    await refresh_site(shop)
    return "done" if care is Care.FULL else "plain"


async def _find_version(shop: Workshop, due: Due) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = await shop.registry.get(_path(due))
    except NotFound:
        return None
    return found


async def _draw(
    shop: Workshop, due: Due, version: dict[str, Any], staged: Path
) -> tuple[Drawn, Care]:
    await _fetch(shop, f"{_path(due)}/package", staged / "package.tar.gz")
    earlier = await _previous(shop, due)
    if earlier is not None:
        path = f"/v1/plugins/{due.plugin}/versions/{earlier}/package"
        await _fetch(shop, path, staged / "previous.tar.gz")
    request = {"version": version, "report": await _find_report(shop, due)}
    result, care = await children.draw(staged, request, shop.limits)
    entry = result["entry"]
    tree = await asyncio.to_thread(shop.trees.keep, staged / "out", f"{due.plugin}@{due.version}")
    item = Entry(**{**entry, "published_at": parse_time(entry["published_at"])})
    return Drawn(item, tree, FORMATS, tuple(result["warnings"])), care


async def _fetch(shop: Workshop, path: str, to: Path) -> None:
    data = await shop.registry.get_bytes(path, max_bytes=MAX_PACKAGE_BYTES)
    await asyncio.to_thread(to.write_bytes, data)


async def _previous(shop: Workshop, due: Due) -> str | None:
    answer = await shop.registry.get(f"/v1/plugins/{due.plugin}/versions")
    shown = [item["version"] for item in answer["items"] if item["state"] in SHOWN_STATES]
    return before(due.version, shown)


async def _find_report(shop: Workshop, due: Due) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = await shop.auditor.get(
            f"/v1/audits/{due.plugin}/{due.version}", format="json"
        )
    except NotFound:
        return None
    return found


async def _remove(shop: Workshop, due: Due) -> None:
    async with shop.database.connection() as connection:
        others = await store.list_drawn(connection, due.plugin)
    await _place(shop, due.plugin, [item for item in others if item.entry.version != due.version])
    async with shop.database.transaction() as connection:
        await store.forget(connection, due)
    await refresh_site(shop)


async def _place(shop: Workshop, plugin: str, drawn: list[Drawn]) -> None:
    """Swap in the plugin's directory as it is with these versions; without any, it goes."""
    if not drawn:
        if plugin not in RESERVED:
            await asyncio.to_thread(shop.trees.withdraw, plugin)
        return
    newest, offered = newest_first(drawn), latest(drawn)

    def swap() -> None:
        files = {
            name: shop.trees.read(offered.tree, name)
            for name in ("front.html", "index.md", "index.json", "openapi.json")
        }
        front = generate_front([item.entry for item in newest], offered.entry, files)
        shop.trees.publish(plugin, front, {item.entry.version: item.tree for item in newest})

    await asyncio.to_thread(swap)


async def refresh_site(shop: Workshop) -> None:
    """The index and what all pages share; then what nothing leads to any more goes."""
    async with shop.database.connection() as connection:
        drawn = await store.list_drawn(connection)
    by_plugin: dict[str, list[Drawn]] = {}
    for item in drawn:
        by_plugin.setdefault(item.entry.plugin, []).append(item)
    entries = [latest(items).entry for items in by_plugin.values()]

    def write() -> None:
        shop.trees.put(generate_site(entries, shop.guides))
        shop.trees.sweep()

    await asyncio.to_thread(write)


async def _measure(shop: Workshop) -> None:
    async with shop.database.connection() as connection:
        due, drawn = await store.count(connection)
    metrics.DUE.set(due)
    metrics.PAGES.set(drawn)


def _path(due: Due) -> str:
    return f"/v1/plugins/{due.plugin}/versions/{due.version}"
