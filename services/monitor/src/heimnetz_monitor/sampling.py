"""Samples the memory of services and containers from their own metrics."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from prometheus_client.parser import text_string_to_metric_families

from heimnetz_common.database import Database
from heimnetz_common.errors import HeimnetzError
from heimnetz_common.http import ServiceClient
from heimnetz_monitor import metrics, store
from heimnetz_monitor.model import Sample, SampleKind

MAX_METRICS_BYTES = 4 * 1024 * 1024
_MAX_BYTES = 2**63
_PROCESS = "process_resident_memory_bytes"
_CONTAINER = "heimnetz_sandbox_container_memory_bytes"
_SERVING = "heimnetz_sandbox_service_memory_bytes"
_LIMIT = "heimnetz_memory_limit_bytes"
_PROCESSOR = "heimnetz_sandbox_container_cpu_seconds_total"
_MEMORY_FAMILIES = (_PROCESS, _CONTAINER, _SERVING, _LIMIT)


async def sample(
    database: Database,
    clients: Mapping[str, ServiceClient],
    deadline_seconds: float,
    observe: Callable[[Sequence[Sample]], Awaitable[None]],
    take_processor: Callable[[Mapping[str, float], datetime], None],
) -> None:
    """Keep what the services say now; one that does not answer leaves a gap, not a zero."""
    answers = await asyncio.gather(
        *(
            _fetch(name, client, deadline_seconds, take_processor)
            for name, client in clients.items()
        )
    )
    samples = [found for answer in answers for found in answer]
    if not samples:
        return
    async with database.transaction() as connection:
        await store.add_samples(connection, samples)
    for found in samples:
        metrics.SAMPLES.labels(found.kind).inc()
    await observe(samples)


async def _fetch(
    name: str,
    client: ServiceClient,
    deadline_seconds: float,
    take_processor: Callable[[Mapping[str, float], datetime], None],
) -> list[Sample]:
    try:
        async with asyncio.timeout(deadline_seconds):
            text = await client.get_bytes("/metrics", max_bytes=MAX_METRICS_BYTES)
        page, now = text.decode("utf-8", "replace"), datetime.now(UTC)
        found = list(read_memory(name, page, now))
        take_processor(read_processor(page), now)
    except (HeimnetzError, TimeoutError, ValueError):
        metrics.SAMPLING_FAILURES.labels(name).inc()
        return []
    return found


def read_memory(service: str, text: str, taken_at: datetime) -> Iterator[Sample]:
    """Samples in a service's metrics: of its process, and of the containers that it keeps.

    Raises: ValueError, when the text is not in the exposition format.
    """
    # Parsing a line costs a hundred times what skipping it does.
    wanted = "".join(f"{line}\n" for line in text.splitlines() if line.startswith(_MEMORY_FAMILIES))
    for family in text_string_to_metric_families(wanted):
        for found in family.samples:
            if found.name == _PROCESS:
                kind, subject = SampleKind.SERVICE, service
            elif found.name == _LIMIT:
                metrics.LIMITS[service] = found.value
                continue
            elif found.name == _CONTAINER and "plugin" in found.labels:
                kind, subject = SampleKind.CONTAINER, found.labels["plugin"]
            elif found.name == _SERVING and "plugin" in found.labels:
                kind, subject = SampleKind.SERVING, found.labels["plugin"]
            else:
                continue
            # NaN fails the comparison too.
            if 0 <= found.value < _MAX_BYTES:
                yield Sample(
                    kind=kind, subject=subject, taken_at=taken_at, memory_bytes=int(found.value)
                )


def read_processor(text: str) -> dict[str, float]:
    """Seconds of processor time by plugin, where the service keeps containers.

    Raises: ValueError, when the text is not in the exposition format.
    """
    wanted = "".join(f"{line}\n" for line in text.splitlines() if line.startswith(_PROCESSOR))
    return {
        found.labels["plugin"]: found.value
        for family in text_string_to_metric_families(wanted)
        for found in family.samples
        if "plugin" in found.labels and 0 <= found.value < _MAX_BYTES
    }
