"""What the monitor is told."""

from datetime import timedelta
from typing import ClassVar

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from heimnetz_common.settings import ServiceSettings

_SERVICES = ("registry", "auditor", "sandbox", "monitor", "docs-gen")


class MonitorSettings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="HEIMNETZ_MONITOR_")
    service: ClassVar[str] = "monitor"

    services: dict[str, str] = Field(
        default={name: f"https://{name}:8000" for name in _SERVICES},
        description="services to probe, as JSON: name to base URL",
    )
    probe_seconds: float = Field(
        default=10, gt=0, le=300, description="pause between two probes of a service"
    )
    probe_deadline_seconds: float = Field(
        default=4, gt=0, le=60, description="time in which a service has to answer a probe"
    )
    sample_seconds: float = Field(
        default=30, gt=0, le=3600, description="pause between two samples of memory"
    )
    alertmanager_url: str = Field(
        default="https://alertmanager:9093/alertmanager", description="base URL of Alertmanager"
    )
    prometheus_url: str = Field(
        default="https://prometheus:9090/prometheus", description="base URL of Prometheus"
    )
    reconcile_seconds: float = Field(
        default=90, gt=0, le=3600, description="pause between two looks at what Alertmanager knows"
    )
    channel_test_seconds: float = Field(
        default=20, gt=0, le=60, description="time in which a channel has to take a test message"
    )
    samples_days: int = Field(default=7, ge=1, le=365, description="age at which samples go")
    history_days: int = Field(
        default=90, ge=1, le=3650, description="age at which finished runs and old alerts go"
    )

    @property
    def keep_samples(self) -> timedelta:
        return timedelta(days=self.samples_days)

    @property
    def keep_history(self) -> timedelta:
        return timedelta(days=self.history_days)
