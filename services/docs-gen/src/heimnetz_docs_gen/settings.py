"""What docs-gen is told."""

from pathlib import Path
from typing import ClassVar

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from heimnetz_common.settings import ServiceSettings


class DocsGenSettings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="HEIMNETZ_DOCS_GEN_")
    service: ClassVar[str] = "docs-gen"

    registry_url: str = Field(default="https://registry:8000", description="URL of the registry")
    auditor_url: str = Field(default="https://auditor:8000", description="URL of the auditor")
    docs_dir: Path = Field(
        default=Path("/var/lib/heimnetz/docs"), description="directory that the gateway serves"
    )
    guides_dir: Path = Field(
        default=Path("/usr/share/heimnetz/docs"),
        description="directory of the platform's own documentation, in Markdown",
    )
    draw_seconds: float = Field(
        default=5, gt=0, le=300, description="time that drawing one version may take"
    )
    draw_memory_mib: int = Field(
        default=512, ge=128, le=4096, description="memory that drawing one version may take, in MiB"
    )
    poll_seconds: float = Field(
        default=1, gt=0, le=60, description="pause between two looks for versions that are due"
    )
