"""Alerts: what Alertmanager brings, and what was brought."""

import base64
import binascii
import hmac
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from heimnetz_common.auth import EVERYONE, PUBLIC
from heimnetz_common.database import Database
from heimnetz_common.errors import InvalidInput, Mistake
from heimnetz_common.routing import router
from heimnetz_monitor import alerting, store
from heimnetz_monitor.api.schemas import AlertEntry, AlertPage, WebhookMessage
from heimnetz_monitor.errors import NotAlertmanager, UnsupportedWebhook
from heimnetz_monitor.model import Alert, AlertStatus


def routes(database: Database, webhook_token: str) -> APIRouter:
    edge = router(prefix="/v1", tags=["alerts"])

    # Alertmanager has no service token: its own one, from a file that only both can read.
    @edge.post(
        "/alertmanager",
        status_code=204,
        dependencies=[Depends(PUBLIC), Depends(_alertmanager(webhook_token))],
    )
    async def take_alerts(message: WebhookMessage) -> None:
        if message.version != "4":
            raise UnsupportedWebhook(f"version 4 is known here, not {message.version[:20]}")
        await alerting.take(
            database,
            [
                Alert(
                    fingerprint=item.fingerprint,
                    starts_at=_aware(item.starts_at),
                    status=item.status,
                    labels=item.labels,
                    annotations=item.annotations,
                    # Alertmanager writes the year 1 where an alert has no end.
                    ends_at=_aware(item.ends_at)
                    if item.ends_at and item.ends_at.year > 1
                    else None,
                )
                for item in message.alerts
            ],
        )

    @edge.get("/alerts", dependencies=[Depends(EVERYONE)])
    async def list_alerts(
        state: AlertStatus | None = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        cursor: Annotated[str | None, Query(max_length=300)] = None,
    ) -> AlertPage:
        before = _decode(cursor) if cursor else None
        async with database.connection() as connection:
            found = await store.list_alerts(connection, state, limit + 1, before)
        page = found[:limit]
        return AlertPage(
            items=[
                AlertEntry(
                    alert=alert.name,
                    fingerprint=alert.fingerprint,
                    status=alert.status,
                    severity=alert.severity,
                    labels=dict(alert.labels),
                    annotations=dict(alert.annotations),
                    starts_at=alert.starts_at,
                    ends_at=alert.ends_at,
                )
                for alert in page
            ],
            next_cursor=_encode(page[-1]) if len(found) > limit else None,
        )

    return edge


def _alertmanager(token: str) -> Callable[[Request], Awaitable[None]]:
    expected = token.encode()

    async def check(request: Request) -> None:
        """Raises: NotAlertmanager."""
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        # Latin-1 is what the server decoded the header with; compare bytes, whatever they are.
        is_same = hmac.compare_digest(given.strip().encode("latin-1", "replace"), expected)
        if scheme.lower() != "bearer" or not is_same:
            raise NotAlertmanager("send the webhook's token: Authorization: Bearer …")

    return check


def _aware(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise InvalidInput("a time has no zone", [Mistake("has no zone", "/alerts")])
    return at


def _encode(alert: Alert) -> str:
    text = f"{alert.starts_at.isoformat()} {alert.fingerprint}"
    return base64.urlsafe_b64encode(text.encode()).decode()


def _decode(cursor: str) -> tuple[datetime, str]:
    """Raises: InvalidInput."""
    try:
        text = base64.urlsafe_b64decode(cursor.encode()).decode("ascii")
        at, _, fingerprint = text.partition(" ")
        return _aware(datetime.fromisoformat(at)), fingerprint.replace("\0", "")
    except (ValueError, binascii.Error) as error:
        raise InvalidInput("the cursor is not one that a page gave") from error
