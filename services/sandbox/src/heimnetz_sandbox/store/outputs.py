import re
from collections.abc import Sequence
from dataclasses import dataclass

from heimnetz_common.database import Connection
from heimnetz_sandbox.errors import FileNotFound
from heimnetz_sandbox.model import InputFile, LogLine


@dataclass(frozen=True, slots=True)
class FileFacts:
    name: str
    size_bytes: int
    sha256: str


async def add_lines(
    connection: Connection, run_id: str, first: int, lines: Sequence[LogLine]
) -> None:
    """`first` is the number of the first line; a repeated insert changes nothing."""
    await connection.executemany(
        """
        INSERT INTO log_lines (run_id, number, at, stream, text)
        VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT ON CONSTRAINT log_lines_key DO NOTHING
        """,
        [
            (run_id, first + index, line.at, line.stream, line.text)
            for index, line in enumerate(lines)
        ],
    )


async def list_lines(
    connection: Connection, run_id: str, after: int, limit: int
) -> list[tuple[int, LogLine]]:
    rows = await connection.fetch(
        """
        SELECT number, at, stream, text
          FROM log_lines
         WHERE run_id = $1
           AND number > $2
         ORDER BY number
         LIMIT $3
        """,
        run_id,
        after,
        limit,
    )
    return [(row["number"], LogLine(row["at"], row["stream"], row["text"])) for row in rows]


async def find_lines(
    connection: Connection,
    plugin: str,
    *,
    contains: str | None,
    stream: str | None,
    before: tuple[str, int] | None,
    limit: int,
) -> list[tuple[str, int, LogLine]]:
    """Run, number and line of all runs of a plugin, newest first; upper and lower case are one."""
    run_id, number = before or (None, None)
    rows = await connection.fetch(
        """
        SELECT run_id, number, at, stream, text
          FROM runs
          JOIN log_lines ON run_id = runs.id
         WHERE plugin = $1
           AND ($2::text IS NULL OR text ILIKE '%' || $2 || '%')
           AND ($3::text IS NULL OR stream = $3)
           AND ($4::text IS NULL
                OR runs.id <= $4 AND (run_id, number) < ($4, $5::integer))
         ORDER BY runs.id DESC, number DESC
         LIMIT $6
        """,
        plugin,
        None if contains is None else re.sub(r"([\\%_])", r"\\\1", contains),
        stream,
        run_id,
        number,
        limit,
    )
    return [
        (row["run_id"], row["number"], LogLine(row["at"], row["stream"], row["text"]))
        for row in rows
    ]


async def list_inputs(connection: Connection, run_id: str) -> list[InputFile]:
    rows = await connection.fetch(
        "SELECT name, data FROM run_files WHERE run_id = $1 AND direction = 'in'", run_id
    )
    return [InputFile(row["name"], bytes(row["data"])) for row in rows]


async def list_outputs(connection: Connection, run_id: str) -> list[FileFacts]:
    rows = await connection.fetch(
        """
        SELECT name, size_bytes, sha256
          FROM run_files
         WHERE run_id = $1
           AND direction = 'out'
         ORDER BY name
        """,
        run_id,
    )
    return [FileFacts(row["name"], row["size_bytes"], row["sha256"]) for row in rows]


async def get_output(connection: Connection, run_id: str, name: str) -> tuple[bytes, str]:
    """Its bytes and their digest.

    Raises: FileNotFound.
    """
    row = await connection.fetchrow(
        """
        SELECT data, sha256
          FROM run_files
         WHERE run_id = $1
           AND direction = 'out'
           AND name = $2
        """,
        run_id,
        name,
    )
    if row is None:
        raise FileNotFound(run_id, name)
    return bytes(row["data"]), row["sha256"]
