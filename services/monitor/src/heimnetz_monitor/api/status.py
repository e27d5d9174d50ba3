"""The state of everything, at a glance."""

from typing import Literal

from fastapi import APIRouter, Depends

from heimnetz_common.auth import EVERYONE
from heimnetz_common.database import Database
from heimnetz_common.routing import router
from heimnetz_monitor import store
from heimnetz_monitor.api.schemas import (
    AlertingStatus,
    Leaks,
    LeakShown,
    PluginRun,
    PluginStatus,
    ServiceStatus,
    Status,
)
from heimnetz_monitor.leaking import Watch
from heimnetz_monitor.model import WATCHDOG, Health, PluginState
from heimnetz_monitor.probing import Prober

_STATES: dict[bool | None, Literal["up", "down", "unknown"]] = {
    True: "up",
    False: "down",
    None: "unknown",
}


def routes(database: Database, prober: Prober, watch: Watch) -> APIRouter:
    edge = router(prefix="/v1", tags=["status"])

    @edge.get("/status", dependencies=[Depends(EVERYONE)])
    async def get_status() -> Status:
        async with database.connection() as connection:
            plugins = await store.list_plugins(connection)
            firing = await store.count_firing(connection)
            beat = await store.find_beat(connection, WATCHDOG)
        services = [_service(name, health) for name, health in prober.health.items()]
        states = {service.state for service in services}
        is_degraded = "down" in states or bool(firing)
        return Status(
            state="degraded" if is_degraded else "unknown" if "unknown" in states else "ok",
            services=services,
            plugins=[_plugin(plugin) for plugin in plugins],
            alerting=AlertingStatus(heartbeat_at=beat, firing=firing),
        )

    @edge.get("/leaks", dependencies=[Depends(EVERYONE)])
    async def list_leaks() -> Leaks:
        """Services whose memory grows and is not given back."""
        return Leaks(
            items=[
                LeakShown(
                    service=leak.service,
                    kind=leak.kind,
                    since=leak.since,
                    out_of_memory_at=leak.out_of_memory_at,
                )
                for leak in watch.leaking.values()
            ]
        )

    return edge


def _service(name: str, health: Health) -> ServiceStatus:
    last = health.last
    return ServiceStatus(
        service=name,
        state=_STATES[health.is_up],
        since=health.since,
        reason=last.reason if last else "not asked yet",
        checked_at=last.at if last else None,
        duration_seconds=last.duration_seconds if last else None,
    )


def _plugin(plugin: PluginState) -> PluginStatus:
    run = None
    if (
        plugin.last_run_id is not None
        and plugin.last_outcome is not None
        and plugin.last_finished_at is not None
    ):
        run = PluginRun(
            run_id=plugin.last_run_id,
            outcome=plugin.last_outcome,
            finished_at=plugin.last_finished_at,
            duration_seconds=plugin.last_duration_seconds or 0.0,
            peak_memory_bytes=plugin.last_peak_memory_bytes,
        )
    return PluginStatus(
        plugin=plugin.plugin,
        version=plugin.version,
        state=plugin.state,
        last_run=run,
        failures=dict(plugin.failures),
    )
