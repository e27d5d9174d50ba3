"""What happens once at start: the platform's own documentation, the index, and what is stale."""

import asyncio
import hashlib
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from heimnetz_common.logs import get_logger
from heimnetz_docs import Guide, generate_guides, read_guides
from heimnetz_docs_gen import store
from heimnetz_docs_gen.generating import Workshop, refresh_site
from heimnetz_docs_gen.trees import Trees

PLATFORM = "platform"

log = get_logger(__name__)


def edition() -> str:
    """A name for the generator that is installed: the digest of all of its files."""
    digest = hashlib.sha256()
    _add(digest, files("heimnetz_docs"))
    return digest.hexdigest()[:16]


def find_guides(folder: Path) -> tuple[Guide, ...]:
    """Guides of a directory; none where there is none."""
    paths = sorted(folder.rglob("*.md")) if folder.is_dir() else []
    texts = {str(path.relative_to(folder)): path.read_bytes() for path in paths}
    if not texts:
        log.warning("no_guides", folder=str(folder))
    return tuple(read_guides(texts))


async def open_shop(shop: Workshop) -> None:
    """Bring the directory to what the database says, and ask for what it lacks.

    Raises: Unavailable.
    """
    await asyncio.to_thread(_publish_guides, shop.trees, shop.guides)
    async with shop.database.connection() as connection:
        drawn = await store.list_drawn(connection)
    plugins = {item.entry.plugin for item in drawn}
    for name in shop.trees.published() - plugins - {PLATFORM}:
        await asyncio.to_thread(shop.trees.withdraw, name)
    async with shop.database.transaction() as connection:
        await store.ask_for_stale(connection, shop.edition, shop.trees.names())
    await refresh_site(shop)


def _publish_guides(trees: Trees, guides: tuple[Guide, ...]) -> None:
    if guides:
        trees.publish(PLATFORM, generate_guides(guides), {})
    else:
        trees.withdraw(PLATFORM)


def _add(digest: "hashlib._Hash", folder: Traversable) -> None:
    for item in sorted(folder.iterdir(), key=lambda item: item.name):
        if item.is_dir():
            if item.name != "__pycache__":
                _add(digest, item)
        else:
            digest.update(item.name.encode())
            digest.update(item.read_bytes())
