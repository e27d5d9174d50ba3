"""The state of everything, at a glance."""

from datetime import UTC, datetime
from typing import Literal

from fastapi import APIRouter, Depends

from heimnetz_common.auth import EVERYONE
from heimnetz_common.database import Database
from heimnetz_common.routing import router
from heimnetz_monitor import store
from heimnetz_monitor.accounting import SANDBOX, Accounts
from heimnetz_monitor.api.schemas import (
    AlertingStatus,
    EvidenceShown,
    GrowthShown,
    Leaks,
    LeakShown,
    PluginRun,
    PluginStatus,
    PluginUsage,
    PointShown,
    ServiceStatus,
    Status,
    Top,
)
from heimnetz_monitor.leaking import Watch
from heimnetz_monitor.leaks import Evidence
from heimnetz_monitor.model import WATCHDOG, Growth, Health, Leaking, PluginState, PluginUse
from heimnetz_monitor.probing import Prober

_STATES: dict[bool | None, Literal["up", "down", "unknown"]] = {
    True: "up",
    False: "down",
    None: "unknown",
}


def routes(database: Database, prober: Prober, watch: Watch, accounts: Accounts) -> APIRouter:
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
        """Services and plugins whose memory grows and is not given back, and how that is known."""
        return Leaks(
            items=[
                *(
                    _leak(leak.service, None, leak, watch.find_evidence(leak.service))
                    for leak in watch.leaking.values()
                ),
                *(
                    _leak(SANDBOX, plugin, growth, accounts.find_evidence(plugin))
                    for plugin, growth in accounts.growths.items()
                ),
            ]
        )

    @edge.get("/top", dependencies=[Depends(EVERYONE)])
    async def get_top() -> Top:
        """What every plugin uses now, and whose runs take more and more memory."""
        now = datetime.now(UTC)
        return Top(at=now, items=[_usage(use, now) for use in await accounts.list_uses(now)])

    return edge


def _leak(
    service: str, plugin: str | None, leak: Leaking | Growth, evidence: Evidence | None
) -> LeakShown:
    return LeakShown(
        service=service,
        plugin=plugin,
        kind=leak.kind,
        since=leak.since,
        slope_bytes_per_hour=leak.slope_bytes_per_hour,
        out_of_memory_at=leak.out_of_memory_at,
        evidence=None if evidence is None else _evidence(evidence),
    )


def _evidence(found: Evidence) -> EvidenceShown:
    points = zip(found.times, found.held_kib, found.line_kib, strict=True)
    return EvidenceShown(
        reason=found.reason,
        confidence=found.confidence,
        floor_bytes=int(found.floor_kib * 1024),
        points=[
            PointShown(
                at=datetime.fromtimestamp(at, UTC),
                held_bytes=int(held * 1024),
                line_bytes=int(line * 1024),
            )
            for at, held, line in points
        ],
    )


def _usage(use: PluginUse, now: datetime) -> PluginUsage:
    return PluginUsage(
        plugin=use.plugin,
        version=use.version,
        memory_bytes=use.memory_bytes,
        last_peak_memory_bytes=use.last_peak_memory_bytes,
        memory_limit_bytes=use.memory_limit_bytes,
        cpu_cores=use.cpu_cores,
        runs=use.runs,
        leak=_growth(use.growth, now) if use.growth is not None else None,
    )


def _growth(growth: Growth, now: datetime) -> GrowthShown:
    out_at = growth.out_of_memory_at
    return GrowthShown(
        kind=growth.kind,
        since=growth.since,
        slope_bytes_per_hour=growth.slope_bytes_per_hour,
        out_of_memory_at=out_at,
        out_of_memory_seconds=None if out_at is None else max(0.0, (out_at - now).total_seconds()),
    )


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
