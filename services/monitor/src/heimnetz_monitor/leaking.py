"""Watches the memory of services for leaks, with what was sampled before a restart too."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from heimnetz_common import outbox
from heimnetz_common.database import Database
from heimnetz_common.logs import get_logger
from heimnetz_monitor import metrics, store
from heimnetz_monitor.detecting import LeakDetector, bytes_per_hour
from heimnetz_monitor.events import LeakEnded, LeakSuspected
from heimnetz_monitor.leaks import Evidence, LeakKind, Verdict
from heimnetz_monitor.model import Leaking, Sample, SampleKind

SERVICE = "monitor"
HISTORY = timedelta(days=4)  # what the detector's rings reach back
# A service that holds so much less than a moment ago is another process.
_RESTART_SHARE = 0.7
_BATCH = 200

log = get_logger(__name__)


class Watch:
    """One detector a service; all of them together are a few dozen KiB."""

    def __init__(self, database: Database, interval_seconds: float) -> None:
        self._database = database
        self._interval = interval_seconds
        self._detectors: dict[str, LeakDetector] = {}
        self._last: dict[str, int] = {}
        self.leaking: dict[str, Leaking] = {}
        self._is_primed = False

    def find_evidence(self, service: str) -> Evidence | None:
        detector = self._detectors.get(service)
        return None if detector is None else detector.evidence

    async def observe(self, samples: Sequence[Sample]) -> None:
        if not self._is_primed:
            await self._prime()
        for sample in samples:
            if sample.kind is SampleKind.SERVICE:
                verdict = self._feed(sample)
                if verdict is not None:
                    await self._take(sample, verdict)

    async def _prime(self) -> None:
        """The detectors as they were, from what the database still has."""
        async with self._database.connection() as connection:
            earlier = await store.list_samples(connection, SampleKind.SERVICE, HISTORY)
        for number, sample in enumerate(earlier):
            verdict = self._feed(sample)
            if verdict is not None:
                self._remember(sample, verdict)
            if number % _BATCH == 0:
                await asyncio.sleep(0)  # four days take a second; others have their turn
        for leak in self.leaking.values():
            _show(leak.service, leak)
        self._is_primed = True

    def _feed(self, sample: Sample) -> Verdict | None:
        limit = metrics.LIMITS.get(sample.subject, 0)
        if limit <= 0:
            return None
        detector = self._detectors.get(sample.subject)
        if detector is None:
            detector = LeakDetector(limit / 1024, self._interval)
            self._detectors[sample.subject] = detector
        at = sample.taken_at.timestamp()
        is_new = sample.memory_bytes < _RESTART_SHARE * self._last.get(sample.subject, 0)
        self._last[sample.subject] = sample.memory_bytes
        if is_new:
            detector.event(at, "restart")
        verdict = detector.update(at, sample.memory_bytes / 1024, 0.0, 0.0)
        if is_new and sample.subject in self.leaking:
            return Verdict(alert=False, kind="none", oom_eta=None)
        return verdict

    def _remember(self, sample: Sample, verdict: Verdict) -> Leaking | None:
        """The leak as it is known now, None when there is none."""
        service = sample.subject
        if not verdict["alert"]:
            self.leaking.pop(service, None)
            return None
        eta = verdict["oom_eta"]
        known = self.leaking.get(service)
        leak = Leaking(
            service=service,
            kind=verdict["kind"],
            since=sample.taken_at if known is None else known.since,
            slope_bytes_per_hour=bytes_per_hour(self._detectors[service]),
            out_of_memory_at=None if eta is None else datetime.fromtimestamp(eta, UTC),
        )
        self.leaking[service] = leak
        return leak

    async def _take(self, sample: Sample, verdict: Verdict) -> None:
        before = self.leaking.get(sample.subject)
        leak = self._remember(sample, verdict)
        _show(sample.subject, leak)
        if leak is not None and (before is None or before.kind != leak.kind):
            event: LeakSuspected | LeakEnded = LeakSuspected(
                service=leak.service,
                kind=leak.kind,
                slope_bytes_per_hour=leak.slope_bytes_per_hour,
                out_of_memory_at=leak.out_of_memory_at,
            )
        elif leak is None and before is not None:
            event = LeakEnded(service=before.service, kind=before.kind)
        else:
            return
        log.warning("leak", of=sample.subject, kind=verdict["kind"], alert=verdict["alert"])
        async with self._database.transaction() as connection:
            await outbox.append(connection, event, service=SERVICE, subject=sample.subject)


def _show(service: str, leak: Leaking | None) -> None:
    for kind in LeakKind:
        metrics.LEAKING.labels(service, kind).set(leak is not None and leak.kind == kind)
    if leak is not None and leak.out_of_memory_at is not None:
        metrics.LEAK_OUT_OF_MEMORY.labels(service).set(leak.out_of_memory_at.timestamp())
    else:
        with suppress(KeyError):
            metrics.LEAK_OUT_OF_MEMORY.remove(service)
