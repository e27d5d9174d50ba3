"""Alerts and heartbeats."""

from datetime import datetime, timedelta

import asyncpg

from heimnetz_common.database import Connection
from heimnetz_monitor.model import Alert, AlertStatus
from heimnetz_monitor.store.status import affected


async def raise_alert(connection: Connection, alert: Alert) -> bool:
    """Whether the alert is new; one that fires on is renewed, one that is over stays over."""
    return bool(
        await connection.fetchval(
            """
            INSERT INTO alerts (fingerprint, starts_at, alert, severity, status, labels,
                                annotations)
            VALUES ($1, $2, $3, $4, 'firing', $5, $6)
                ON CONFLICT ON CONSTRAINT alerts_key DO UPDATE
               SET annotations = excluded.annotations, received_at = now()
             WHERE alerts.status = 'firing'
            -- A row that was updated has been locked by this transaction; a new one has not.
         RETURNING xmax = 0
            """,
            alert.fingerprint,
            alert.starts_at,
            alert.name,
            alert.severity,
            dict(alert.labels),
            dict(alert.annotations),
        )
    )


async def resolve_alert(connection: Connection, alert: Alert) -> bool:
    """Whether the alert was not known to be over."""
    return bool(
        await connection.fetchval(
            """
            INSERT INTO alerts (fingerprint, starts_at, alert, severity, status, labels,
                                annotations, ends_at)
            VALUES ($1, $2, $3, $4, 'resolved', $5, $6, $7)
                ON CONFLICT ON CONSTRAINT alerts_key DO UPDATE
               SET status = 'resolved', ends_at = excluded.ends_at, received_at = now()
             WHERE alerts.status = 'firing'
         RETURNING true
            """,
            alert.fingerprint,
            alert.starts_at,
            alert.name,
            alert.severity,
            dict(alert.labels),
            dict(alert.annotations),
            alert.ends_at,
        )
    )


async def list_alerts(
    connection: Connection,
    status: AlertStatus | None,
    limit: int,
    before: tuple[datetime, str] | None,
) -> list[Alert]:
    """The latest first, after the one that `before` names by start and fingerprint."""
    rows = await connection.fetch(
        """
        SELECT fingerprint, starts_at, status, labels, annotations, ends_at
          FROM alerts
         WHERE ($1::text IS NULL OR status = $1)
           AND ($2::timestamptz IS NULL OR (starts_at, fingerprint) < ($2, $3))
         ORDER BY starts_at DESC, fingerprint DESC
         LIMIT $4
        """,
        status,
        before[0] if before else None,
        before[1] if before else "",
        limit,
    )
    return [_alert(row) for row in rows]


async def count_firing(connection: Connection) -> dict[str, int]:
    """Alerts that fire now, by severity."""
    rows = await connection.fetch(
        "SELECT severity, count(*) AS alerts FROM alerts WHERE status = 'firing' GROUP BY severity"
    )
    return {row["severity"]: row["alerts"] for row in rows}


async def purge_alerts(connection: Connection, age: timedelta) -> int:
    status = await connection.execute(
        "DELETE FROM alerts WHERE status = 'resolved' AND received_at < now() - $1::interval", age
    )
    return affected(status)


async def beat(connection: Connection, name: str) -> None:
    await connection.execute(
        """
        INSERT INTO heartbeats (name, seen_at)
        VALUES ($1, now())
            ON CONFLICT ON CONSTRAINT heartbeats_key DO UPDATE
           SET seen_at = excluded.seen_at
        """,
        name,
    )


async def find_beat(connection: Connection, name: str) -> datetime | None:
    seen_at: datetime | None = await connection.fetchval(
        "SELECT seen_at FROM heartbeats WHERE name = $1", name
    )
    return seen_at


def _alert(row: asyncpg.Record) -> Alert:
    return Alert(
        fingerprint=row["fingerprint"],
        starts_at=row["starts_at"],
        status=AlertStatus(row["status"]),
        labels=row["labels"],
        annotations=row["annotations"],
        ends_at=row["ends_at"],
    )
