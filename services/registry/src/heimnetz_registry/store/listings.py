"""What a search finds: by words, and by what a plugin asks for."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from heimnetz_common.database import Connection

# Listings that a search with words looks at more closely, so that a common word costs no more.
MAX_RANKED = 2000


@dataclass(frozen=True, slots=True)
class Search:
    """All of it has to fit; `asks` and `asks_not` are kinds of permissions."""

    words: str | None = None
    category: str | None = None
    asks: tuple[str, ...] = ()
    asks_not: tuple[str, ...] = ()
    min_score: int = 0


_FILTER = """
           ($2::text IS NULL OR category = $2)
       AND permissions @> $3::text[]
       AND NOT permissions && $4::text[]
       AND ($5 = 0 OR score >= $5)
"""
_EVERY = f"""
    SELECT plugin, version, category, permissions, 0 AS rank
      FROM listings
     WHERE $1::text IS NULL
       AND {_FILTER}
"""  # noqa: S608  no input in it
# Millionths, so that a page can go on after one: first the name itself, then where the words are.
_WITH_WORDS = f"""
    SELECT plugin, version, category, permissions,
           (1000000 * (2 * (plugin = replace(lower($1), ' ', '-'))::integer
                       + ts_rank(words, websearch_to_tsquery('english', $1))))::integer AS rank
      FROM listings
     WHERE plugin IN (SELECT plugin
                        FROM listings
                       WHERE plugin = replace(lower($1), ' ', '-')
                       UNION ALL
                     (SELECT plugin
                        FROM listings
                       WHERE words @@ websearch_to_tsquery('english', $1)
                         AND {_FILTER}
                       LIMIT {MAX_RANKED}))
       AND {_FILTER}
"""  # noqa: S608  no input in it


def _values(search: Search) -> tuple[Any, ...]:
    # A hyphen between letters is a name's, not the sign that a word must not be there.
    words = re.sub(r"(?<=\w)-(?=\w)", " ", search.words) if search.words else None
    asks, asks_not = list(search.asks), list(search.asks_not)
    return (words, search.category, asks, asks_not, search.min_score)


async def list_plugins(
    connection: Connection, search: Search, *, limit: int, after: tuple[int, str] | None
) -> list[dict[str, Any]]:
    """The best first, then by name; `after` is the rank and name of the last one seen."""
    rows = await connection.fetch(
        f"""
        WITH page AS (
            SELECT plugin, version, rank
              FROM ({_WITH_WORDS if search.words else _EVERY}) AS found
             WHERE $6::integer IS NULL
                OR rank < $6
                OR (rank = $6 AND plugin > $7)
             ORDER BY rank DESC, plugin
             LIMIT $8
        )
        SELECT plugin, plugins.publisher, version AS latest, state, score, grade, published_at,
               manifest ->> 'title' AS title, manifest ->> 'summary' AS summary,
               manifest ->> 'category' AS category, manifest -> 'keywords' AS keywords, rank
          FROM page
          JOIN versions USING (plugin, version)
          JOIN plugins USING (plugin)
         ORDER BY rank DESC, plugin
        """,  # noqa: S608  no input in it
        *_values(search),
        *(after or (None, None)),
        limit,
    )
    return [dict(row) for row in rows]


async def list_likely_terms(connection: Connection, words: Sequence[str]) -> list[str]:
    """For each word the one of the catalogue that it is most like; none where none is like it."""
    rows = await connection.fetch(
        """
        SELECT near.term
          FROM unnest($1::text[]) WITH ORDINALITY AS given (word, place)
         CROSS JOIN LATERAL (
               SELECT term
                 FROM listing_terms
                WHERE term % word
                ORDER BY similarity(term, word) DESC, term
                LIMIT 1
               ) AS near
         ORDER BY place
        """,
        list(words),
    )
    return [row["term"] for row in rows]


async def count_facets(connection: Connection, search: Search) -> dict[str, dict[str, int]]:
    """How many of what fits are of each category, and ask for each kind of permission."""
    rows = await connection.fetch(
        f"""
        WITH found AS MATERIALIZED ({_WITH_WORDS if search.words else _EVERY})
        SELECT 'category' AS facet, category AS value, count(*) AS plugins
          FROM found
         GROUP BY category
         UNION ALL
        SELECT 'permission', permission, count(*)
          FROM found, unnest(permissions) AS permission
         GROUP BY permission
         ORDER BY 1, 3 DESC, 2
        """,  # noqa: S608  no input in it
        *_values(search),
    )
    facets: dict[str, dict[str, int]] = {"category": {}, "permission": {}}
    for row in rows:
        facets[row["facet"]][row["value"]] = row["plugins"]
    return facets
