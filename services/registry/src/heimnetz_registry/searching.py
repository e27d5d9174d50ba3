"""The catalogue is searched; words that nothing has are taken for those that they are most like."""

import re
from dataclasses import dataclass, replace
from typing import Any

from heimnetz_common.database import Database
from heimnetz_registry.store import listings
from heimnetz_registry.store.listings import Search

MAX_WORDS = 10


@dataclass(frozen=True, slots=True)
class Found:
    plugins: list[dict[str, Any]]
    facets: dict[str, dict[str, int]] | None


class Searcher:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def search(
        self, wanted: Search, *, limit: int, after: tuple[int, str] | None, has_facets: bool
    ) -> Found:
        async with self._database.connection() as connection:
            plugins = await listings.list_plugins(connection, wanted, limit=limit, after=after)
            words = re.findall(r"\w{3,40}", (wanted.words or "").lower())[:MAX_WORDS]
            if words and not plugins:
                # A page that is not the first goes on with the words that the first one found.
                likely = await listings.list_likely_terms(connection, words)
                if likely and likely != words:
                    wanted = replace(wanted, words=" ".join(likely))
                    plugins = await listings.list_plugins(
                        connection, wanted, limit=limit, after=after
                    )
            facets = await listings.count_facets(connection, wanted) if has_facets else None
        return Found(plugins, facets)
