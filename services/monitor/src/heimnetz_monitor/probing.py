"""Asks every service whether it is ready, again and again, and remembers what it said."""

import asyncio
import time
from collections.abc import Mapping
from datetime import UTC, datetime

from heimnetz_common.errors import HeimnetzError
from heimnetz_common.http import ServiceClient
from heimnetz_common.logs import get_logger
from heimnetz_monitor import metrics
from heimnetz_monitor.model import Health, Observation

log = get_logger(__name__)


class Prober:
    """The damped health of each service; unknown until its first answer."""

    def __init__(self, clients: Mapping[str, ServiceClient], deadline_seconds: float) -> None:
        self._clients = clients
        self._deadline = deadline_seconds
        self._health = dict.fromkeys(clients, Health())

    @property
    def health(self) -> Mapping[str, Health]:
        return dict(self._health)

    async def probe(self) -> None:
        """Ask all services at once; one that hangs does not delay what is known of the others."""
        await asyncio.gather(*(self._probe(name) for name in self._clients))

    async def _probe(self, name: str) -> None:
        observation = await self._observe(self._clients[name])
        before = self._health[name]
        after = before.after(observation)
        self._health[name] = after
        metrics.PROBE_DURATION.labels(name).set(observation.duration_seconds)
        metrics.SERVICE_UP.labels(name).set(1 if after.is_up else 0)
        if after.is_up != before.is_up:
            log.info("service_changed", of=name, up=after.is_up, reason=observation.reason)

    async def _observe(self, client: ServiceClient) -> Observation:
        started = time.perf_counter()
        try:
            async with asyncio.timeout(self._deadline):
                await client.check()
        except TimeoutError:
            reason = f"no answer within {self._deadline:g} s"
        except HeimnetzError as error:
            reason = error.detail
        else:
            reason = ""
        return Observation(
            at=datetime.now(UTC), reason=reason, duration_seconds=time.perf_counter() - started
        )
