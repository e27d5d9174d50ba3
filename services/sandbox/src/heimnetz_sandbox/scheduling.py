"""Cron: each slot of each schedule once, whatever restarts, neighbours and clocks do."""

import asyncio
import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import orjson
from cronsim import CronSim

from heimnetz_common.database import Database
from heimnetz_common.errors import HeimnetzError
from heimnetz_common.logs import get_logger
from heimnetz_sandbox.asking import Queue
from heimnetz_sandbox.model import Installation, Request, Trigger
from heimnetz_sandbox.store import installations

PAUSE_SECONDS = 1.0
# A slot that was missed for longer than this (the machine was off) is not made up for.
LATE = timedelta(minutes=5)
# A slot whose schedule wants it on time or not at all.
ON_TIME = timedelta(seconds=30)

log = get_logger(__name__)


def last_slot(
    schedule: str, time_zone: str, now: datetime, late: timedelta = LATE
) -> datetime | None:
    """The latest slot that is due and not too late, in UTC."""
    zone = ZoneInfo(time_zone)
    slots = CronSim(schedule, (now - late).astimezone(zone))
    due = None
    for slot in slots:
        at = slot.astimezone(UTC)
        if at > now:
            return due
        due = at
    return due


def jitter(slot: str, most_seconds: float) -> timedelta:
    """From 0 to `most_seconds`, the same for a slot whoever asks."""
    share = int.from_bytes(hashlib.sha256(slot.encode()).digest()[:4], "big") / 2**32
    return timedelta(seconds=share * most_seconds)


class Scheduler:
    def __init__(self, database: Database, queue: Queue) -> None:
        self._database = database
        self._queue = queue
        self._began_at = datetime.now(UTC)

    async def run(self) -> None:
        while True:
            try:
                await self.ask_due(datetime.now(UTC))
            except HeimnetzError as error:
                log.warning("schedule_waits", reason=error.detail)
            await asyncio.sleep(PAUSE_SECONDS)

    async def ask_due(self, now: datetime) -> int:
        """How many runs were queued."""
        async with self._database.connection() as connection:
            installed = await installations.list_installed(connection)
        count = 0
        for installation in installed:
            for trigger in installation.triggers.get("cron") or []:
                retries = installation.triggers.get("retries", 0)
                count += await self._ask_one(installation, trigger, retries, now)
        return count

    async def _ask_one(
        self, installation: Installation, trigger: dict[str, Any], retries: int, now: datetime
    ) -> bool:
        plugin = installation.plugin
        schedule, zone = trigger["schedule"], trigger.get("time_zone", "UTC")
        late = ON_TIME if trigger.get("missed") == "skip" else LATE
        slot = last_slot(schedule, zone, now, late)
        if slot is None or not installation.owes(slot):
            return False
        name = f"{schedule} {zone}"
        request = Request(
            plugin=plugin,
            trigger=Trigger.CRON,
            input=orjson.dumps(trigger.get("input") or {}),
            requested_by="cron",
            retries=retries,
            not_before=slot + jitter(f"{plugin} {name} {slot}", trigger.get("jitter") or 0.0),
        )
        return await self._queue.ask_for_slot(
            request, name, slot, is_alone=trigger.get("overlap") == "skip"
        )
