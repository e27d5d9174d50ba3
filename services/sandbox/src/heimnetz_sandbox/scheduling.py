"""Cron: each slot of each schedule once, whatever restarts, neighbours and clocks do."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import orjson
from cronsim import CronSim

from heimnetz_common.database import Database
from heimnetz_common.errors import HeimnetzError
from heimnetz_common.logs import get_logger
from heimnetz_sandbox.asking import Queue
from heimnetz_sandbox.model import Request, Trigger
from heimnetz_sandbox.store import installations

PAUSE_SECONDS = 1.0
# A slot that was missed for longer than this (the machine was off) is not made up for.
LATE = timedelta(minutes=5)

log = get_logger(__name__)


def last_slot(schedule: str, time_zone: str, now: datetime) -> datetime | None:
    """The latest slot that is due and not too late, in UTC."""
    zone = ZoneInfo(time_zone)
    slots = CronSim(schedule, (now - LATE).astimezone(zone))
    due = None
    for slot in slots:
        at = slot.astimezone(UTC)
        if at > now:
            return due
        due = at
    return due


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
                count += await self._ask_one(installation.plugin, trigger, now)
        return count

    async def _ask_one(self, plugin: str, trigger: dict[str, Any], now: datetime) -> bool:
        schedule, zone = trigger["schedule"], trigger.get("time_zone", "UTC")
        slot = last_slot(schedule, zone, now)
        if slot is None:
            return False
        request = Request(
            plugin=plugin,
            trigger=Trigger.CRON,
            input=orjson.dumps(trigger.get("input") or {}),
            requested_by="cron",
        )
        return await self._queue.ask_for_slot(request, f"{schedule} {zone}", slot)
