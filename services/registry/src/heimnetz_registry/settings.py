"""What the registry is told at start."""

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from heimnetz_common.settings import ServiceSettings


class RegistrySettings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="HEIMNETZ_REGISTRY_")
    service: ClassVar[str] = "registry"

    artifacts_dir: Path = Field(
        default=Path("/var/lib/heimnetz/artifacts"), description="directory of the packages"
    )
    plugins_dir: Path = Field(
        default=Path("/usr/share/heimnetz/plugins"),
        description="directory of the first-party plugins, which are published at start",
    )
    session_hours: int = Field(
        default=12, ge=1, le=720, description="hours for which a log-in is valid"
    )
    guesses_per_minute: int = Field(
        default=10, ge=1, le=10_000, description="wrong tokens and passwords per address and minute"
    )
    canary_hours: int = Field(
        default=24,
        ge=1,
        le=720,
        description="hours for which an update that was taken by itself is on trial",
    )
    canary_failures: int = Field(
        default=3,
        ge=1,
        le=100,
        description="runs in a row that fail before an update on trial is rolled back",
    )
    unsigned: Literal["allow", "review", "refuse"] = Field(
        default="allow",
        description="what packages without a signature get: `allow`, `review` by a person "
        "whatever their audit says, or `refuse`",
    )
    catalogue_minutes: int = Field(
        default=15, ge=1, le=1440, description="minutes between two readings of a catalogue"
    )
