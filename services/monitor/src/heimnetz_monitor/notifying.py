"""Tests the owner's channels: an alert that only they get, and what Alertmanager says became of it.

Alertmanager sends it just as it sends a real one, so that what arrives would arrive in earnest. A
channel is named by its receiver in the counters (`receiver-name-in-metrics`).
"""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from prometheus_client.parser import text_string_to_metric_families

from heimnetz_common.errors import TooMany, Unavailable
from heimnetz_common.http import ServiceClient
from heimnetz_monitor.model import Delivery, DeliveryState

TEST_ALERT = "ChannelTest"
_PREFIX = "test-"
_POLL_SECONDS = 0.25
_MAX_METRICS_BYTES = 4 * 1024 * 1024
_SENT = "alertmanager_notification_requests_total"
_FAILED = "alertmanager_notification_requests_failed_total"

#: Requests that Alertmanager sent for a channel, and how many of them failed.
Counts = Mapping[str, tuple[float, float]]


class Notifier:
    def __init__(self, alertmanager: ServiceClient, deadline_seconds: float) -> None:
        self._alertmanager = alertmanager
        self._deadline_seconds = deadline_seconds
        self._alone = asyncio.Lock()

    async def test(self) -> list[Delivery]:
        """What became of a message to every channel, in the order of the names.

        Raises: TooMany, when another test is under way; Unavailable.
        """
        if self._alone.locked():
            raise TooMany("another test is under way; wait for its end")
        async with self._alone:
            receivers = await self._alertmanager.get("/api/v2/receivers")
            names = sorted(
                str(entry["name"]).removeprefix(_PREFIX)
                for entry in receivers
                if str(entry["name"]).startswith(_PREFIX)
            )
            if not names:
                return []
            before = await self._count()
            await self._raise()
            return await self._watch(names, before)

    async def _raise(self) -> None:
        now = datetime.now(UTC)
        alert = {
            "labels": {"alertname": TEST_ALERT, "severity": "info", "test": uuid4().hex},
            "annotations": {
                "summary": "A test of where alerts go",
                "description": "Somebody asked Heimnetz to test this channel. Nothing is wrong.",
            },
            "startsAt": now.isoformat(),
            "endsAt": (now + timedelta(minutes=1)).isoformat(),
        }
        await self._alertmanager.post("/api/v2/alerts", [alert])

    async def _watch(self, names: list[str], before: Counts) -> list[Delivery]:
        found: dict[str, DeliveryState] = {}
        seen: dict[str, DeliveryState] = {}
        try:
            async with asyncio.timeout(self._deadline_seconds):
                while len(found) < len(names):
                    await asyncio.sleep(_POLL_SECONDS)
                    now = await self._count()
                    for name in names:
                        state = _state(before.get(name, (0, 0)), now.get(name, (0, 0)))
                        # Two counters are not raised at once: only what is seen twice is so.
                        if state is not None and seen.get(name) is state:
                            found.setdefault(name, state)
                        if state is not None:
                            seen[name] = state
        except TimeoutError:
            pass
        return [
            Delivery(channel=name, state=found.get(name, DeliveryState.UNANSWERED))
            for name in names
        ]

    async def _count(self) -> Counts:
        """Raises: Unavailable."""
        page = await self._alertmanager.get_bytes("/metrics", max_bytes=_MAX_METRICS_BYTES)
        try:
            return read_counts(page.decode("utf-8", "replace"))
        except ValueError as error:
            raise Unavailable("alertmanager's metrics cannot be read") from error


def _state(before: tuple[float, float], now: tuple[float, float]) -> DeliveryState | None:
    sent, failed = now[0] - before[0], now[1] - before[1]
    if sent > failed:
        return DeliveryState.ARRIVED
    return DeliveryState.FAILED if failed > 0 else None


def read_counts(text: str) -> Counts:
    """By channel, from the counters of the receivers for tests.

    Raises: ValueError, when the text is not in the exposition format.
    """
    wanted = "".join(f"{line}\n" for line in text.splitlines() if line.startswith((_SENT, _FAILED)))
    sent: dict[str, float] = {}
    failed: dict[str, float] = {}
    for family in text_string_to_metric_families(wanted):
        for sample in family.samples:
            receiver = sample.labels.get("receiver_name", "")
            if receiver.startswith(_PREFIX):
                into = sent if sample.name == _SENT else failed
                name = receiver.removeprefix(_PREFIX)
                into[name] = into.get(name, 0) + sample.value
    return {name: (sent.get(name, 0), failed.get(name, 0)) for name in sent.keys() | failed.keys()}
