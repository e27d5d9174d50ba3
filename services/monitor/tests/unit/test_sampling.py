"""Memory in the metrics of the services."""

from datetime import UTC, datetime

import pytest

from heimnetz_monitor.model import SampleKind
from heimnetz_monitor.sampling import read_memory, read_processor

NOW = datetime(2026, 3, 1, tzinfo=UTC)
METRICS = """\
# HELP process_resident_memory_bytes Resident memory size in bytes.
# TYPE process_resident_memory_bytes gauge
process_resident_memory_bytes 4.9152e+07
# TYPE heimnetz_sandbox_container_memory_bytes gauge
heimnetz_sandbox_container_memory_bytes{plugin="energy-report",state="warm"} 1.2e+07
# TYPE heimnetz_sandbox_service_memory_bytes gauge
heimnetz_sandbox_service_memory_bytes{plugin="link-shortener"} 9e+06
heimnetz_http_requests_total{method="GET",route="/",status="200"} 3
"""


def test_the_memory_of_a_process_and_of_its_containers_is_read() -> None:
    samples = list(read_memory("sandbox", METRICS, NOW))

    assert [(item.kind, item.subject, item.memory_bytes) for item in samples] == [
        (SampleKind.SERVICE, "sandbox", 49152000),
        (SampleKind.CONTAINER, "energy-report", 12000000),
        (SampleKind.SERVING, "link-shortener", 9000000),
    ]


def test_a_service_without_such_metrics_gives_no_sample() -> None:
    assert list(read_memory("registry", "up 1\n", NOW)) == []


def test_text_that_is_no_metric_is_refused() -> None:
    with pytest.raises(ValueError):
        list(read_memory("registry", "process_resident_memory_bytes{ 1\n", NOW))


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-1"])
def test_a_value_that_is_no_amount_of_memory_is_left_out(value: str) -> None:
    assert list(read_memory("registry", f"process_resident_memory_bytes {value}\n", NOW)) == []


def test_the_processor_time_of_a_plugins_containers_is_read() -> None:
    page = METRICS + 'heimnetz_sandbox_container_cpu_seconds_total{plugin="energy-report"} 1.5\n'

    assert read_processor(page) == {"energy-report": 1.5}
