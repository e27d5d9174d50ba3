"""Containers that wait for calls: made ahead, as many as will be wanted, within a budget of memory.

Making and removing containers takes most of both cores of a small machine (measured 2026-11: a call
to a container that waits 0.5 ms alone, 8 ms beside a start), so both give way to runs: one at a
time, and only while none is under way, or after a second of waiting.
"""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta

from heimnetz_common.database import Database
from heimnetz_common.errors import HeimnetzError
from heimnetz_common.logs import get_logger
from heimnetz_sandbox import metrics
from heimnetz_sandbox.chambers import Chamber, EndedEarly, Place, new_name
from heimnetz_sandbox.conversing import Violation
from heimnetz_sandbox.demand import Demand
from heimnetz_sandbox.errors import EngineAway, EngineDown, ImageMissing
from heimnetz_sandbox.model import Installation
from heimnetz_sandbox.store import installations

LOOK_SECONDS = 1.0
GIVE_WAY_SECONDS = 1.0
QUIET_SECONDS = 0.02
# A container is made in about as long.
AWAY_SECONDS = 0.3
# A plugin that does not load is not tried again and again; a run says why, and may be the cure.
BACK_OFF_SECONDS = 60.0
# What the engine itself holds for a container (measured 2026-11, resident memory of its shim).
SHIM_BYTES = 13 << 20
# What the plugin may do on its own while it waits.
IDLE_CPU_SECONDS = 1.0

log = get_logger(__name__)


class Pool:
    """`is_busy` tells whether a run is under way here; `prepare` lays out what is to be loaded."""

    def __init__(
        self,
        database: Database,
        place: Place,
        *,
        per_plugin: int,
        budget_bytes: int,
        idle: timedelta,
        is_busy: Callable[[], bool],
        prepare: Callable[[Installation], Awaitable[Installation]],
    ) -> None:
        self._database = database
        self._place = place
        self._per_plugin = per_plugin
        self._budget = budget_bytes
        self._idle_seconds = idle.total_seconds()
        self._is_busy = is_busy
        self._prepare = prepare
        self._is_open = True
        self._waiting: defaultdict[str, list[Chamber]] = defaultdict(list)
        # Serving a call, and coming back.
        self._away: Counter[str] = Counter()
        self._came_back = asyncio.Event()
        self._used: asyncio.Queue[Chamber] = asyncio.Queue()
        self._demand: dict[str, Demand] = {}
        self._not_before: dict[str, float] = {}
        self._wake = asyncio.Event()

    async def take(self, installation: Installation) -> Chamber | None:
        """A chamber in which exactly this is loaded; the caller gives it back.

        Where there is none, one is made, and the call counts as one that it came too late for.
        One that is about to come back from a call is worth waiting for.
        """
        chamber = self.take_if_any(installation)
        with suppress(TimeoutError):
            async with asyncio.timeout(AWAY_SECONDS):
                while chamber is None and self._away[installation.plugin]:
                    self._came_back.clear()
                    await self._came_back.wait()
                    chamber = self.take_if_any(installation)
        if chamber is None:
            self._count_call(installation.plugin)
            metrics.POOL_CALLS.labels("cold").inc()
        return chamber

    def take_if_any(self, installation: Installation) -> Chamber | None:
        waiting = self._waiting[installation.plugin]
        while waiting:
            chamber = waiting.pop(0)
            if chamber.is_alive and chamber.installation == installation:
                self._count_call(installation.plugin)
                self._show_size(installation.plugin)
                self._away[installation.plugin] += chamber.is_reused
                metrics.POOL_CALLS.labels("warm").inc()
                return chamber
            self._retire(chamber)
        return None

    def put_back(self, chamber: Chamber) -> None:
        """It was not called after all."""
        self._away[chamber.installation.plugin] -= chamber.is_reused
        self._await_call(chamber)

    def _await_call(self, chamber: Chamber) -> None:
        self._waiting[chamber.installation.plugin].append(chamber)
        self._show_size(chamber.installation.plugin)

    def _count_call(self, plugin: str) -> None:
        now = time.monotonic()
        self._demand.setdefault(plugin, Demand(now)).arrive(now)
        self._wake.set()

    async def give_back(self, chamber: Chamber) -> None:
        """It has served: waits again where it may, or is removed when that is in nobody's way.

        Until then its runner waits for us to hang up; of the plugin nothing lives any more.
        """
        is_renewed = self._is_open and await chamber.renew()
        self._away[chamber.installation.plugin] -= chamber.is_reused
        self._came_back.set()
        if is_renewed:
            self._await_call(chamber)
        elif self._is_open:
            self._retire(chamber)
        else:
            await chamber.close()

    def _retire(self, chamber: Chamber) -> None:
        self._used.put_nowait(chamber)
        self._wake.set()

    async def run(self) -> None:
        self._is_open = True
        try:
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_SECONDS):
                        await self._wake.wait()
                self._wake.clear()
                await self._give_way()
                await self._remove_used()
                try:
                    await self._tidy()
                    await self._fill()
                except HeimnetzError as error:
                    log.info("pool_waits", reason=error.detail)
                    await asyncio.sleep(LOOK_SECONDS)
        finally:
            self._is_open = False
            for chambers in self._waiting.values():
                for chamber in chambers:
                    self._retire(chamber)
            while not self._used.empty():
                await self._used.get_nowait().close()

    async def _remove_used(self) -> None:
        while not self._used.empty():
            await self._give_way()
            await self._used.get_nowait().close()

    async def _tidy(self) -> None:
        """Let go of what is dead, outdated, restless, or more than is wanted."""
        current = await self._list_current()
        now = time.monotonic()
        for plugin, chambers in self._waiting.items():
            good = [one for one in chambers if _is_good(one, current.get(plugin))]
            keep = good[: self._target(plugin, now)]
            for chamber in chambers:
                if chamber not in keep:
                    self._retire(chamber)
            chambers[:] = keep
            self._show_size(plugin)
        for plugin, demand in list(self._demand.items()):
            if demand.target(now, idle_seconds=self._idle_seconds) == 0:
                del self._demand[plugin]
        await self._remove_used()

    async def _fill(self) -> None:
        """One container more, for the plugin that lacks most."""
        now = time.monotonic()
        lacking = {
            plugin: lack
            for plugin in self._demand
            if (lack := self._target(plugin, now) - self._count_here(plugin)) > 0
            and self._not_before.get(plugin, 0.0) <= now
        }
        if not lacking or self._used_bytes() + self._next_bytes() > self._budget:
            return
        plugin = max(lacking, key=lambda name: lacking[name])
        installation = (await self._list_current()).get(plugin)
        if installation is None:
            self._not_before[plugin] = now + LOOK_SECONDS
            return
        await self._give_way()
        await self._make(installation)
        self._wake.set()

    async def _make(self, installation: Installation) -> None:
        # The code's digest is compared before every start.
        installation = await self._prepare(installation)
        chamber = Chamber(self._place, new_name(self._place.instance), "warm", installation)
        is_loaded, back_off = False, BACK_OFF_SECONDS
        try:
            async with asyncio.timeout(self._place.start_seconds):
                await chamber.open()
                is_loaded = await chamber.load()
        except (ImageMissing, EngineDown, EndedEarly, Violation, TimeoutError) as error:
            if isinstance(error, EngineAway):
                back_off = LOOK_SECONDS
            log.info("not_warmed", plugin=installation.plugin, reason=str(error)[:300])
        finally:
            if not is_loaded:
                self._not_before[installation.plugin] = time.monotonic() + back_off
                await chamber.close()
        if is_loaded:
            self._await_call(chamber)

    def _show_size(self, plugin: str) -> None:
        metrics.POOL_SIZE.labels(plugin).set(len(self._waiting[plugin]))

    async def _list_current(self) -> dict[str, Installation]:
        """What may run, of the plugins that are called: prepared, installed and not blocked."""
        if not self._demand:
            return {}
        async with self._database.connection() as connection:
            found = await installations.list_runnable(connection, list(self._demand))
        return {one.plugin: one for one in found}

    def _target(self, plugin: str, now: float) -> int:
        demand = self._demand.get(plugin)
        if demand is None:
            return 0
        return min(demand.target(now, idle_seconds=self._idle_seconds), self._per_plugin)

    def _count_here(self, plugin: str) -> int:
        return len(self._waiting[plugin]) + self._away[plugin]

    def _used_bytes(self) -> int:
        return sum(_bytes(chamber) for chambers in self._waiting.values() for chamber in chambers)

    def _next_bytes(self) -> int:
        """What one more will take: as much as the largest that waits."""
        taken = [_bytes(chamber) for chambers in self._waiting.values() for chamber in chambers]
        return max(taken, default=SHIM_BYTES)

    async def _give_way(self) -> None:
        deadline = time.monotonic() + GIVE_WAY_SECONDS
        while time.monotonic() < deadline:
            await asyncio.sleep(QUIET_SECONDS)
            if not self._is_busy():
                return


def _is_good(chamber: Chamber, current: Installation | None) -> bool:
    if not chamber.is_alive or chamber.installation != current:
        return False
    usage = chamber.group.read() if chamber.group is not None else None
    spent = ((usage.cpu_seconds if usage else None) or 0.0) - chamber.spent_before
    # Loading is allowed for by its own time.
    return spent < chamber.program.limits.cpus * chamber.load_seconds + IDLE_CPU_SECONDS


def _bytes(chamber: Chamber) -> int:
    usage = chamber.group.read() if chamber.group is not None else None
    return SHIM_BYTES + ((usage.memory_bytes if usage else None) or 0)
