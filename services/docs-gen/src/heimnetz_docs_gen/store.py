"""All SQL of docs-gen."""

from collections.abc import Sequence

import asyncpg

from heimnetz_common.database import Connection
from heimnetz_docs import Entry
from heimnetz_docs_gen.model import Document, Drawn, Due

CLAIM_SECONDS = 120


async def ask(connection: Connection, plugin: str, version: str, traceparent: str | None) -> None:
    """Note that the pages of a version are to be made (again)."""
    await connection.execute(
        """
        INSERT INTO documents (plugin, version, traceparent)
        VALUES ($1, $2, $3)
            ON CONFLICT ON CONSTRAINT documents_key DO UPDATE
           SET wanted = documents.wanted + 1,
               attempts = 0,
               asked_at = now(),
               next_try_at = now(),
               traceparent = excluded.traceparent
        """,
        plugin,
        version,
        traceparent,
    )


async def take_due(connection: Connection) -> Due | None:
    """The version that has waited longest, taken for two minutes."""
    row = await connection.fetchrow(
        """
        UPDATE documents
           SET claimed_until = now() + $1 * interval '1 second',
               attempts = attempts + 1
         WHERE (plugin, version) = (SELECT plugin, version
                                      FROM documents
                                     WHERE wanted > built
                                       AND next_try_at <= now()
                                       AND claimed_until < now()
                                     ORDER BY next_try_at
                                       FOR UPDATE SKIP LOCKED
                                     LIMIT 1)
     RETURNING plugin, version, wanted, attempts, traceparent
        """,
        CLAIM_SECONDS,
    )
    return None if row is None else Due(**dict(row))


async def count(connection: Connection) -> tuple[int, int]:
    """Versions that are due, and versions that have pages."""
    row = await connection.fetchrow(
        """
        SELECT count(*) FILTER (WHERE wanted > built) AS due,
               count(tree) AS drawn
          FROM documents
        """
    )
    assert row is not None  # an aggregate always answers
    return row["due"], row["drawn"]


async def finish(connection: Connection, due: Due, drawn: Drawn, edition: str) -> None:
    entry = drawn.entry
    await connection.execute(
        """
        UPDATE documents
           SET built = $3, tree = $4, edition = $5, title = $6, summary = $7, state = $8,
               grade = $9, published_at = $10, formats = $11, warnings = $12,
               generated_at = now(), claimed_until = '-infinity', attempts = 0, error = NULL
         WHERE plugin = $1
           AND version = $2
        """,
        due.plugin,
        due.version,
        due.wanted,
        drawn.tree,
        edition,
        entry.title,
        entry.summary,
        entry.state,
        entry.grade,
        entry.published_at,
        list(drawn.formats),
        list(drawn.warnings),
    )


async def forget(connection: Connection, due: Due) -> None:
    """Drop the row, unless it was asked for again in the meantime."""
    await connection.execute(
        """
        DELETE FROM documents
         WHERE plugin = $1
           AND version = $2
           AND wanted = $3
        """,
        due.plugin,
        due.version,
        due.wanted,
    )


async def postpone(connection: Connection, due: Due, seconds: float, error: str) -> None:
    await connection.execute(
        """
        UPDATE documents
           SET next_try_at = now() + $3 * interval '1 second',
               claimed_until = '-infinity',
               error = $4
         WHERE plugin = $1
           AND version = $2
        """,
        due.plugin,
        due.version,
        seconds,
        error,
    )


async def give_up(connection: Connection, due: Due, error: str) -> None:
    """Keep the pages as they are until somebody asks again."""
    await connection.execute(
        """
        UPDATE documents
           SET built = $3, claimed_until = '-infinity', attempts = 0, error = $4
         WHERE plugin = $1
           AND version = $2
        """,
        due.plugin,
        due.version,
        due.wanted,
        error,
    )


async def list_drawn(connection: Connection, plugin: str | None = None) -> list[Drawn]:
    """Every version that has pages, of one plugin or of all."""
    rows = await connection.fetch(
        """
        SELECT plugin, version, title, summary, state, grade, published_at, tree, formats, warnings
          FROM documents
         WHERE tree IS NOT NULL
           AND ($1::text IS NULL OR plugin = $1)
        """,
        plugin,
    )
    return [_drawn(row) for row in rows]


async def list_documents(
    connection: Connection, *, plugin: str | None, after: tuple[str, str], limit: int
) -> list[Document]:
    """In the order of plugin and version as text, after the given key."""
    rows = await connection.fetch(
        """
        SELECT plugin, version, title, state, grade, formats, warnings, generated_at,
               wanted > built AS is_due, error
          FROM documents
         WHERE (plugin, version) > ($1, $2)
           AND ($3::text IS NULL OR plugin = $3)
         ORDER BY plugin, version
         LIMIT $4
        """,
        after[0],
        after[1],
        plugin,
        limit,
    )
    return [
        Document(
            **{**dict(row), "formats": tuple(row["formats"]), "warnings": tuple(row["warnings"])}
        )
        for row in rows
    ]


async def ask_for_stale(connection: Connection, edition: str, trees: Sequence[str]) -> None:
    """Ask for what another edition of the generator made, and for pages that are not there."""
    await connection.execute(
        """
        UPDATE documents
           SET wanted = wanted + 1, attempts = 0, next_try_at = now(), traceparent = NULL
         WHERE wanted = built
           AND (edition IS DISTINCT FROM $1 OR NOT tree = ANY($2::text[]))
        """,
        edition,
        trees,
    )


def _drawn(row: asyncpg.Record) -> Drawn:
    entry = Entry(
        plugin=row["plugin"],
        version=row["version"],
        title=row["title"],
        summary=row["summary"],
        state=row["state"],
        grade=row["grade"],
        published_at=row["published_at"],
    )
    return Drawn(entry, row["tree"], tuple(row["formats"]), tuple(row["warnings"]))
