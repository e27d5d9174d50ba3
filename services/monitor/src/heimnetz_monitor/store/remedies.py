"""What may be done about plugins, what was done, and what asked for it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from heimnetz_common.database import Connection
from heimnetz_monitor.errors import RemediationNotOpen, RemediationUnderWay
from heimnetz_monitor.model import (
    Action,
    Cause,
    Mode,
    Remediation,
    RemediationState,
    RemedyPolicy,
    Threat,
    Trouble,
)
from heimnetz_monitor.store.status import affected

_COLUMNS = """
    id, plugin, version, action, cause, reason, state, decided_at, decided_by, applied_at,
    judged_at, has_helped, detail, held_bytes, limit_bytes
"""


async def get_policy(connection: Connection) -> RemedyPolicy:
    row = await connection.fetchrow(
        "SELECT modes, most_an_hour, is_dry_run, most_memory_bytes FROM remedy_policy"
    )
    if row is None:
        return RemedyPolicy()
    return RemedyPolicy(
        modes={Action(action): Mode(mode) for action, mode in row["modes"].items()},
        most_an_hour=row["most_an_hour"],
        is_dry_run=row["is_dry_run"],
        most_memory_bytes=row["most_memory_bytes"],
    )


async def put_policy(connection: Connection, policy: RemedyPolicy) -> None:
    await connection.execute(
        """
        INSERT INTO remedy_policy (modes, most_an_hour, is_dry_run, most_memory_bytes)
        VALUES ($1, $2, $3, $4)
            ON CONFLICT ON CONSTRAINT remedy_policy_key DO UPDATE
           SET modes = excluded.modes, most_an_hour = excluded.most_an_hour,
               is_dry_run = excluded.is_dry_run,
               most_memory_bytes = excluded.most_memory_bytes
        """,
        {str(action): str(mode) for action, mode in policy.modes.items()},
        policy.most_an_hour,
        policy.is_dry_run,
        policy.most_memory_bytes,
    )


async def add_threat(connection: Connection, threat: Threat) -> None:
    await connection.execute(
        """
        INSERT INTO threats (plugin, version, kind, target, seen_at)
        VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT DO NOTHING
        """,
        threat.plugin,
        threat.version,
        threat.kind,
        threat.target,
        threat.seen_at,
    )


async def list_threats(connection: Connection, since: datetime) -> list[Threat]:
    """The last of each kind of each installed version, the oldest first."""
    rows = await connection.fetch(
        """
        SELECT *
          FROM (SELECT DISTINCT ON (plugin, kind) plugin, threats.version, kind, target, seen_at
                  FROM threats
                  JOIN plugins USING (plugin, version)
                 WHERE removed_at IS NULL
                   AND seen_at > $1
                 ORDER BY plugin, kind, seen_at DESC) AS latest
         ORDER BY seen_at
        """,
        since,
    )
    return [Threat(**dict(row)) for row in rows]


async def purge_threats(connection: Connection, age: timedelta) -> int:
    status = await connection.execute(
        "DELETE FROM threats WHERE seen_at < now() - $1::interval", age
    )
    return affected(status)


async def list_services(connection: Connection) -> set[str]:
    """Plugins that serve: those whose last run was one without an end."""
    rows = await connection.fetch(
        """
        SELECT DISTINCT plugin
          FROM runs
         WHERE trigger = 'service'
           AND finished_at IS NULL
        """
    )
    return {row["plugin"] for row in rows}


async def list_remediations(
    connection: Connection, limit: int, *, since: datetime | None = None
) -> list[Remediation]:
    """The latest first."""
    rows = await connection.fetch(
        f"""
        SELECT {_COLUMNS}
          FROM remediations
         WHERE $2::timestamptz IS NULL OR decided_at > $2
         ORDER BY id DESC
         LIMIT $1
        """,  # noqa: S608
        limit,
        since,
    )
    return [_remediation(row) for row in rows]


async def get_remediation(connection: Connection, number: int) -> Remediation:
    """Raises: RemediationNotOpen."""
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM remediations WHERE id = $1",  # noqa: S608
        number,
    )
    if row is None:
        raise RemediationNotOpen(number)
    return _remediation(row)


async def add_remediation(
    connection: Connection,
    trouble: Trouble,
    action: Action,
    state: RemediationState,
    at: datetime,
    limit_bytes: int | None = None,
) -> int | None:
    """Its number; None where one is open already, or another one is under way."""
    number = await connection.fetchval(
        """
        INSERT INTO remediations (plugin, version, action, cause, reason, state, decided_at,
                                  decided_by, held_bytes, limit_bytes)
        VALUES ($1, $2, $3, $4, $5, $6, $7, 'policy', $8, $9)
            ON CONFLICT DO NOTHING
     RETURNING id
        """,
        trouble.plugin,
        trouble.version,
        action,
        trouble.cause,
        trouble.reason,
        state,
        at,
        trouble.held_bytes,
        limit_bytes,
    )
    return None if number is None else int(number)


async def decide(
    connection: Connection, number: int, state: RemediationState, by: str, at: datetime
) -> Remediation:
    """Of what is proposed. Raises: RemediationNotOpen, RemediationUnderWay."""
    try:
        row = await connection.fetchrow(
            f"""
            UPDATE remediations
               SET state = $2, decided_by = $3, decided_at = $4
             WHERE id = $1
               AND state = 'proposed'
         RETURNING {_COLUMNS}
            """,  # noqa: S608
            number,
            state,
            by,
            at,
        )
    except asyncpg.UniqueViolationError as error:
        raise RemediationUnderWay from error
    if row is None:
        raise RemediationNotOpen(number)
    return _remediation(row)


async def finish(
    connection: Connection, number: int, state: RemediationState, at: datetime, detail: str = ""
) -> bool:
    """Whether it was under way."""
    status = await connection.execute(
        """
        UPDATE remediations
           SET state = $2, applied_at = $3, detail = $4
         WHERE id = $1
           AND state = 'applying'
        """,
        number,
        state,
        at,
        detail,
    )
    return bool(affected(status))


async def raise_limit(connection: Connection, plugin: str, limit_bytes: int) -> None:
    """Until the installation changes."""
    await connection.execute(
        "UPDATE plugins SET memory_limit_bytes = $2 WHERE plugin = $1", plugin, limit_bytes
    )


async def fail_abandoned(connection: Connection, before: datetime) -> Sequence[int]:
    """Those whose monitor went away meanwhile."""
    rows = await connection.fetch(
        """
        UPDATE remediations
           SET state = 'failed', detail = 'the monitor ended meanwhile'
         WHERE state = 'applying'
           AND decided_at < $1
     RETURNING id
        """,
        before,
    )
    return [row["id"] for row in rows]


async def judge(connection: Connection, number: int, at: datetime, *, has_helped: bool) -> None:
    await connection.execute(
        "UPDATE remediations SET judged_at = $2, has_helped = $3 WHERE id = $1",
        number,
        at,
        has_helped,
    )


async def purge_remediations(connection: Connection, age: timedelta) -> int:
    status = await connection.execute(
        "DELETE FROM remediations WHERE decided_at < now() - $1::interval", age
    )
    return affected(status)


def _remediation(row: Any) -> Remediation:
    found = dict(row)
    return Remediation(
        **{
            **found,
            "action": Action(found["action"]),
            "cause": Cause(found["cause"]),
            "state": RemediationState(found["state"]),
        }
    )
