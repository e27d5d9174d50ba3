"""All SQL of the auditor."""

from collections.abc import Mapping
from datetime import date, datetime

import asyncpg

from heimnetz_auditor.errors import AuditNotFound, FormatNotKept
from heimnetz_auditor.model import (
    WHOLE,
    Answer,
    Audit,
    ImportedAdvisories,
    Request,
    Verdict,
)
from heimnetz_common.database import Connection


async def add_request(
    connection: Connection,
    *,
    plugin: str,
    version: str,
    sha256: str,
    requested_by: str,
    traceparent: str | None,
) -> None:
    """Ask for an audit, unless one that nobody has begun is asked for; that one is hurried on."""
    await connection.execute(
        """
        WITH hurried AS (
            UPDATE requests
               SET priority = 0, requested_at = CASE WHEN priority = 0 THEN requested_at
                                                     ELSE now() END
             WHERE plugin = $1
               AND version = $2
               AND sha256 = $3
               AND leased_until IS NULL
         RETURNING id)
        INSERT INTO requests (plugin, version, sha256, requested_by, traceparent)
        SELECT $1, $2, $3, $4, $5
         WHERE NOT EXISTS (SELECT FROM hurried)
        """,
        plugin,
        version,
        sha256,
        requested_by,
        traceparent,
    )


async def take_request(connection: Connection, lease_seconds: float) -> Request | None:
    """Lease the request that is due first, others than our own before those.

    A lease that ran out is free again.
    """
    row = await connection.fetchrow(
        """
        UPDATE requests
           SET leased_until = now() + $1 * interval '1 second', tries = tries + 1
         WHERE id = (SELECT id
                       FROM requests
                      WHERE due_at <= now()
                        AND (leased_until IS NULL OR leased_until < now())
                      ORDER BY priority, due_at, id
                        FOR UPDATE SKIP LOCKED
                      LIMIT 1)
     RETURNING id, plugin, version, sha256, tries, traceparent
        """,
        lease_seconds,
    )
    return None if row is None else Request(**dict(row))


async def renew_request(connection: Connection, request_id: int, lease_seconds: float) -> None:
    await connection.execute(
        """
        UPDATE requests
           SET leased_until = now() + $2 * interval '1 second'
         WHERE id = $1
           AND leased_until IS NOT NULL
        """,
        request_id,
        lease_seconds,
    )


async def postpone_request(connection: Connection, request_id: int, seconds: float) -> None:
    """Give a request back that was not begun: that is no try."""
    await connection.execute(
        """
        UPDATE requests
           SET leased_until = NULL, due_at = now() + $2 * interval '1 second', tries = tries - 1
         WHERE id = $1
        """,
        request_id,
        seconds,
    )


async def remove_request(connection: Connection, request_id: int) -> None:
    await connection.execute("DELETE FROM requests WHERE id = $1", request_id)


async def measure_requests(connection: Connection) -> tuple[int, float]:
    """How many requests of others wait, and how long the oldest has, in seconds."""
    row = await connection.fetchrow(
        """
        SELECT count(*) AS waiting,
               coalesce(extract(epoch FROM now() - min(requested_at)), 0)::float8 AS age
          FROM requests
         WHERE priority = 0
        """
    )
    assert row is not None
    return row["waiting"], row["age"]


async def add_stale(
    connection: Connection,
    *,
    engine_version: str,
    policy_sha256: str,
    today: date,
    installed: Mapping[str, str],
    limit: int,
) -> int:
    """How many versions have an audit that holds no more.

    Audits of the first `limit` of them are asked for, the installed ones before the others,
    unless some that were asked for here are still waiting. `installed` gives a version a plugin.
    """
    await connection.execute("SELECT pg_advisory_xact_lock(hashtext('auditor:stale'))")
    return int(
        await connection.fetchval(
            """
            WITH latest AS (
                SELECT DISTINCT ON (plugin, version)
                       plugin, version, sha256, engine_version, policy_sha256, holds_until,
                       advisories_sha256, audited_at
                  FROM audits
                 WHERE NOT is_gone
                 ORDER BY plugin, version, audited_at DESC, id DESC),
            stale AS (
                SELECT latest.*, CASE WHEN installed.plugin IS NULL THEN 2 ELSE 1 END AS priority
                  FROM latest
                  LEFT JOIN unnest($4::text[], $5::text[]) AS installed (plugin, version)
                         ON (installed.plugin, installed.version)
                          = (latest.plugin, latest.version)
                 WHERE (engine_version, policy_sha256) <> ($1, $2)
                    OR advisories_sha256 <> coalesce((SELECT sha256 FROM advisories), '')
                    OR holds_until < $3),
            asked AS (
                INSERT INTO requests (plugin, version, sha256, requested_by, priority)
                SELECT plugin, version, sha256, 'service:auditor', priority
                  FROM stale
                 WHERE NOT EXISTS (SELECT FROM requests WHERE priority > 0)
                   AND NOT EXISTS (SELECT
                                     FROM requests
                                    WHERE (requests.plugin, requests.version)
                                        = (stale.plugin, stale.version))
                 ORDER BY priority, audited_at DESC
                 LIMIT $6)
            SELECT count(*) FROM stale
            """,
            engine_version,
            policy_sha256,
            today,
            list(installed),
            list(installed.values()),
            limit,
        )
    )


async def mark_gone(connection: Connection, plugin: str, version: str) -> None:
    """Its audits stay to be read."""
    await connection.execute(
        "UPDATE audits SET is_gone = true WHERE plugin = $1 AND version = $2", plugin, version
    )


async def find_report(
    connection: Connection, plugin: str, version: str, sha256: str, name: str
) -> str | None:
    """What the latest audit of these bytes said, without waivers."""
    return await connection.fetchval(  # type: ignore[no-any-return]
        """
        SELECT reports.body
          FROM audits
          JOIN reports ON reports.audit_id = audits.id
                      AND reports.format = $4
         WHERE plugin = $1
           AND version = $2
           AND sha256 = $3
         ORDER BY audited_at DESC, audits.id DESC
         LIMIT 1
        """,
        plugin,
        version,
        sha256,
        name,
    )


async def put_audit(
    connection: Connection,
    request: Request,
    answer: Answer,
    *,
    policy_sha256: str,
    advisories_sha256: str,
) -> int:
    """The audit of this engine version; another one of the same version is replaced.

    It is the latest also when the clock was set back since the one before.
    """
    return int(
        await connection.fetchval(
            """
            INSERT INTO audits (plugin, version, sha256, engine_version, policy_sha256, score,
                                grade, verdict, reasons, counts, holds_until, advisories_sha256,
                                audited_at)
            SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12,
                   greatest(now(), max(audited_at) + interval '1 microsecond')
              FROM audits
             WHERE plugin = $1
               AND version = $2
                ON CONFLICT ON CONSTRAINT audits_once DO UPDATE
               SET policy_sha256 = excluded.policy_sha256, score = excluded.score,
                   grade = excluded.grade, verdict = excluded.verdict,
                   reasons = excluded.reasons, counts = excluded.counts,
                   holds_until = excluded.holds_until,
                   advisories_sha256 = excluded.advisories_sha256,
                   audited_at = excluded.audited_at, is_gone = false
         RETURNING id
            """,
            request.plugin,
            request.version,
            request.sha256,
            answer.engine_version,
            policy_sha256,
            answer.score,
            answer.grade,
            answer.verdict,
            list(answer.reasons),
            dict(answer.counts),
            answer.holds_until,
            advisories_sha256,
        )
    )


async def put_advisories(
    connection: Connection,
    *,
    sha256: str,
    as_of: datetime,
    count: int,
    content: bytes,
    imported_by: str,
) -> ImportedAdvisories:
    row = await connection.fetchrow(
        """
        INSERT INTO advisories (sha256, as_of, count, content, imported_by)
        VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT ON CONSTRAINT advisories_key DO UPDATE
           SET sha256 = excluded.sha256, as_of = excluded.as_of, count = excluded.count,
               content = excluded.content, imported_by = excluded.imported_by,
               imported_at = excluded.imported_at
     RETURNING sha256, as_of, count, imported_by, imported_at
        """,
        sha256,
        as_of,
        count,
        content,
        imported_by,
    )
    assert row is not None
    return ImportedAdvisories(**dict(row))


async def find_advisories(connection: Connection) -> ImportedAdvisories | None:
    row = await connection.fetchrow(
        "SELECT sha256, as_of, count, imported_by, imported_at FROM advisories"
    )
    return None if row is None else ImportedAdvisories(**dict(row))


async def load_advisories(connection: Connection) -> tuple[str, bytes]:
    """Their digest and content; there have to be some."""
    row = await connection.fetchrow("SELECT sha256, content FROM advisories")
    assert row is not None
    return row["sha256"], row["content"]


async def remove_reports(connection: Connection, audit_id: int) -> None:
    await connection.execute("DELETE FROM reports WHERE audit_id = $1", audit_id)


async def put_reports(connection: Connection, audit_id: int, reports: Mapping[str, str]) -> None:
    await connection.executemany(
        """
        INSERT INTO reports (audit_id, format, body)
        VALUES ($1, $2, $3)
        """,
        [(audit_id, name, body) for name, body in reports.items()],
    )


async def get_report(
    connection: Connection, plugin: str, version: str, name: str, *, is_static: bool = True
) -> str:
    """The latest report of a version in one format.

    A static one knows nothing of waivers and of the version before.

    Raises: AuditNotFound, FormatNotKept.
    """
    # Kept only where it says something else.
    whole = name + WHOLE
    row = await connection.fetchrow(
        """
        SELECT reports.body
          FROM (SELECT id
                  FROM audits
                 WHERE plugin = $1
                   AND version = $2
                 ORDER BY audited_at DESC, id DESC
                 LIMIT 1) AS latest
          LEFT JOIN reports ON reports.audit_id = latest.id
                           AND reports.format = ANY($3::text[])
         ORDER BY reports.format <> $4
         LIMIT 1
        """,
        plugin,
        version,
        [name] if is_static else [name, whole],
        name if is_static else whole,
    )
    if row is None:
        raise AuditNotFound(plugin, version)
    if row["body"] is None:
        raise FormatNotKept(plugin, version, name)
    return str(row["body"])


async def list_audits(
    connection: Connection, plugin: str | None, limit: int, before: tuple[datetime, int] | None
) -> list[Audit]:
    """The latest first, after the one that `before` names by time and id."""
    rows = await connection.fetch(
        """
        SELECT id, plugin, version, sha256, engine_version, policy_sha256, score, grade, verdict,
               reasons, counts, audited_at
          FROM audits
         WHERE ($1::text IS NULL OR plugin = $1)
           AND ($2::timestamptz IS NULL OR (audited_at, id) < ($2, $3))
         ORDER BY audited_at DESC, id DESC
         LIMIT $4
        """,
        plugin,
        before[0] if before else None,
        before[1] if before else 0,
        limit,
    )
    return [_audit(row) for row in rows]


def _audit(row: asyncpg.Record) -> Audit:
    return Audit(
        id=row["id"],
        plugin=row["plugin"],
        version=row["version"],
        sha256=row["sha256"],
        engine_version=row["engine_version"],
        policy_sha256=row["policy_sha256"],
        score=row["score"],
        grade=row["grade"],
        verdict=Verdict(row["verdict"]),
        reasons=tuple(row["reasons"]),
        counts=row["counts"],
        audited_at=row["audited_at"],
    )
