"""Wiring of docs-gen: settings in, application out."""

import asyncio
from collections.abc import Awaitable, Callable

from fastapi import FastAPI

from heimnetz_common.errors import Unavailable
from heimnetz_common.logs import get_logger
from heimnetz_common.service import Service
from heimnetz_common.web import create_app
from heimnetz_docs_gen import generating, opening
from heimnetz_docs_gen.api import docs
from heimnetz_docs_gen.children import Limits
from heimnetz_docs_gen.consumers import SUBSCRIPTIONS
from heimnetz_docs_gen.settings import DocsGenSettings
from heimnetz_docs_gen.trees import Trees

OPENING_RETRY_SECONDS = 2

log = get_logger(__name__)


def create(settings: DocsGenSettings) -> FastAPI:
    service = Service.from_settings(settings)
    registry = service.client("registry", settings.registry_url)
    shop = generating.Workshop(
        database=service.opened_database,
        registry=registry,
        auditor=service.client("auditor", settings.auditor_url),
        trees=Trees(settings.docs_dir),
        limits=Limits(settings.draw_seconds, settings.draw_memory_mib * 1024 * 1024),
        guides=opening.find_guides(settings.guides_dir),
        edition=opening.edition(),
        poll_seconds=settings.poll_seconds,
    )
    service.subscribe(*SUBSCRIPTIONS)
    service.background.append(_working(shop))
    service.checks["documents"] = _writable(shop.trees)
    return create_app(
        service, [docs.routes(service.opened_database, registry)], title="Heimnetz documentation"
    )


def _working(shop: generating.Workshop) -> Callable[[], Awaitable[None]]:
    async def work() -> None:
        await asyncio.to_thread(shop.trees.prepare)
        while True:
            try:
                await opening.open_shop(shop)
                break
            except Unavailable as error:
                log.warning("opening_waits", reason=error.detail)
                await asyncio.sleep(OPENING_RETRY_SECONDS)
        await generating.work_forever(shop)

    return work


def _writable(trees: Trees) -> Callable[[], Awaitable[None]]:
    async def check() -> None:
        try:
            await asyncio.to_thread(trees.check)
        except OSError as error:
            raise Unavailable(f"pages cannot be written: {error.strerror}") from error

    return check
