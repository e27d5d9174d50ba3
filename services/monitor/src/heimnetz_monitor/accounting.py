"""What each plugin uses, and whether its memory grows and is not given back.

The container of a job may live for one run only, so that its own course says little: the peaks of
the runs are what its leak shows in. A service's container lives for days, and has a course.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from heimnetz_common import outbox
from heimnetz_common.database import Database
from heimnetz_common.logs import get_logger
from heimnetz_monitor import metrics, store
from heimnetz_monitor.detecting import LeakDetector, bytes_per_hour
from heimnetz_monitor.events import LeakEnded, LeakSuspected
from heimnetz_monitor.leaks import Evidence, LeakKind
from heimnetz_monitor.model import Growth, PluginState, PluginUse, Sample, SampleKind

SERVICE, SANDBOX = "monitor", "sandbox"
HISTORY = timedelta(days=4)  # what the detector's rings reach back
_INTERVAL_SECONDS = 60.0  # peaks are taken by the minute
# A run's end is told by an event, which may be late.
_SETTLING = timedelta(minutes=1)
_STALE_SAMPLES = 3.0  # intervals after which a sample says nothing about now
_BATCH = 200

log = get_logger(__name__)


@dataclass(slots=True)
class _Watched:
    version: str | None
    limit_bytes: int
    detector: LeakDetector
    growth: Growth | None = None


@dataclass(frozen=True, slots=True)
class _Processor:
    at: datetime
    seconds: float
    cores: float | None


class Accounts:
    """One detector a plugin, a few KiB each; plugins that are gone are forgotten."""

    def __init__(self, database: Database, interval_seconds: float) -> None:
        self._database = database
        self._fresh = timedelta(seconds=_STALE_SAMPLES * interval_seconds)
        self._memory: dict[str, Sample] = {}
        self._processor: dict[str, _Processor] = {}
        self._watched: dict[str, _Watched] = {}
        self._read_until: datetime | None = None

    def take_memory(self, samples: Sequence[Sample]) -> None:
        for sample in samples:
            if sample.kind is SampleKind.CONTAINER:
                self._memory[sample.subject] = sample

    def take_processor(self, seconds: Mapping[str, float], at: datetime) -> None:
        """`seconds`: processor time that each plugin's containers used so far."""
        for plugin, total in seconds.items():
            last = self._processor.get(plugin)
            passed = (at - last.at).total_seconds() if last is not None else 0.0
            # A total that went back is that of a sandbox that started again.
            spent = total - last.seconds if last is not None else -1.0
            cores = spent / passed if passed > 0 and spent >= 0 else None
            self._processor[plugin] = _Processor(at, total, cores)

    async def refresh(self, now: datetime | None = None) -> None:
        """Hear of the runs that ended, and of what services held, since the last time.

        Leaks that were told before a restart of the monitor are not told again.
        """
        now = now or datetime.now(UTC)
        until = now - _SETTLING
        since = self._read_until or now - HISTORY
        async with self._database.connection() as connection:
            plugins = {state.plugin: state for state in await store.list_plugins(connection)}
            samples = await store.list_run_peaks(connection, since, until)
            samples += await store.list_serving(connection, since, until)
            starts = await store.list_service_starts(connection, since, until)
        before = self.growths
        for known in (self._memory, self._processor, self._watched):
            for gone in known.keys() - plugins.keys():
                del known[gone]
        self._keep(plugins, now)
        await self._hear(samples, starts)
        is_first, self._read_until = self._read_until is None, until
        _show(before, self.growths)
        if not is_first:
            await self._tell(before)

    @property
    def growths(self) -> dict[str, Growth]:
        """Plugins that leak."""
        return {
            plugin: watched.growth
            for plugin, watched in self._watched.items()
            if watched.growth is not None
        }

    def find_evidence(self, plugin: str) -> Evidence | None:
        watched = self._watched.get(plugin)
        return None if watched is None else watched.detector.evidence

    async def _hear(self, samples: list[Sample], starts: list[tuple[str, datetime]]) -> None:
        samples.sort(key=lambda sample: sample.taken_at)
        waiting = iter(starts)
        start = next(waiting, None)
        for number, sample in enumerate(samples):
            while start is not None and start[1] <= sample.taken_at:
                self._restart(*start)
                start = next(waiting, None)
            self._feed(sample)
            if number % _BATCH == 0:
                await asyncio.sleep(0)  # four days take a second; others have their turn
        for left in [] if start is None else [start, *waiting]:
            self._restart(*left)

    def _restart(self, plugin: str, at: datetime) -> None:
        """What a process held is given back when another takes its place."""
        watched = self._watched.get(plugin)
        if watched is not None:
            watched.detector.event(at.timestamp(), "restart")
            watched.growth = None

    async def _tell(self, before: Mapping[str, Growth]) -> None:
        after = self.growths
        events: list[LeakSuspected | LeakEnded] = [
            LeakSuspected(
                service=SANDBOX,
                plugin=plugin,
                kind=growth.kind,
                slope_bytes_per_hour=growth.slope_bytes_per_hour,
                out_of_memory_at=growth.out_of_memory_at,
            )
            for plugin, growth in after.items()
            if plugin not in before or before[plugin].kind != growth.kind
        ]
        events += [
            LeakEnded(service=SANDBOX, plugin=plugin, kind=growth.kind)
            for plugin, growth in before.items()
            if plugin not in after
        ]
        if not events:
            return
        async with self._database.transaction() as connection:
            for event in events:
                log.warning("leak", of=event.plugin, kind=event.kind, event_name=event.name)
                await outbox.append(connection, event, service=SERVICE, subject=event.plugin or "")

    def _keep(self, plugins: Mapping[str, PluginState], now: datetime) -> None:
        for plugin, state in plugins.items():
            watched, limit = self._watched.get(plugin), state.memory_limit_bytes
            if limit is None:
                self._watched.pop(plugin, None)
            elif watched is None:
                detector = LeakDetector(limit / 1024, _INTERVAL_SECONDS)
                self._watched[plugin] = _Watched(state.version, limit, detector)
            else:
                if limit != watched.limit_bytes:
                    watched.detector.resize(limit / 1024)
                    watched.limit_bytes = limit
                if state.version != watched.version:
                    # Other code has other levels, and what the old one did is no leak of it.
                    watched.detector.event(now.timestamp(), "restart")
                    watched.version, watched.growth = state.version, None

    def _feed(self, sample: Sample) -> None:
        watched = self._watched.get(sample.subject)
        if watched is None:
            return
        at, detector = sample.taken_at, watched.detector
        verdict = detector.update(at.timestamp(), sample.memory_bytes / 1024, 0.0, 0.0)
        if verdict is None:
            return
        if not verdict["alert"]:
            watched.growth = None
            return
        eta, known = verdict["oom_eta"], watched.growth
        watched.growth = Growth(
            kind=verdict["kind"],
            since=at if known is None else known.since,
            slope_bytes_per_hour=bytes_per_hour(detector),
            out_of_memory_at=None if eta is None else datetime.fromtimestamp(eta, UTC),
        )

    async def list_uses(self, now: datetime | None = None) -> list[PluginUse]:
        """Every installed plugin, in the order of the names."""
        now = now or datetime.now(UTC)
        async with self._database.connection() as connection:
            plugins = await store.list_plugins(connection)
            totals = await store.list_run_totals(connection)
        runs: dict[str, int] = {}
        for total in totals:
            runs[total.plugin] = runs.get(total.plugin, 0) + total.runs
        return [self._use(state, runs.get(state.plugin, 0), now) for state in plugins]

    def _use(self, state: PluginState, runs: int, now: datetime) -> PluginUse:
        memory, spent = self._memory.get(state.plugin), self._processor.get(state.plugin)
        watched = self._watched.get(state.plugin)
        is_same = watched is not None and watched.version == state.version
        return PluginUse(
            plugin=state.plugin,
            version=state.version,
            memory_bytes=memory.memory_bytes
            if memory is not None and now - memory.taken_at <= self._fresh
            else None,
            last_peak_memory_bytes=state.last_peak_memory_bytes,
            memory_limit_bytes=state.memory_limit_bytes,
            cpu_cores=spent.cores if spent is not None and now - spent.at <= self._fresh else None,
            runs=runs,
            growth=watched.growth if watched is not None and is_same else None,
        )


def _show(before: Iterable[str], growths: Mapping[str, Growth]) -> None:
    for plugin in {*before, *growths}:
        growth = growths.get(plugin)
        for kind in LeakKind:
            is_so = growth is not None and growth.kind == kind
            metrics.PLUGIN_LEAKING.labels(plugin, kind).set(is_so)
        out_at = growth.out_of_memory_at if growth is not None else None
        if out_at is not None:
            metrics.PLUGIN_LEAK_OUT_OF_MEMORY.labels(plugin).set(out_at.timestamp())
        else:
            with suppress(KeyError):
                metrics.PLUGIN_LEAK_OUT_OF_MEMORY.remove(plugin)
