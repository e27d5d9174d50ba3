"""What the auditor is told."""

from pathlib import Path
from typing import ClassVar

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from heimnetz_common.settings import ServiceSettings


class AuditorSettings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="HEIMNETZ_AUDITOR_")
    service: ClassVar[str] = "auditor"

    registry_url: str = Field(
        default="https://registry:8000", description="base URL of the registry"
    )
    policy_file: Path | None = Field(
        default=None, description="YAML file with the owner's policy; the default policy without"
    )
    audit_seconds: float = Field(
        default=120, gt=0, le=3600, description="time that one audit may take"
    )
    audit_memory_mib: int = Field(
        default=512, ge=128, le=8192, description="memory that one audit may use, in MiB"
    )

    @property
    def audit_memory_bytes(self) -> int:
        return self.audit_memory_mib * 1024 * 1024
