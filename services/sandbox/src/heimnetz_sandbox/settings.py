"""What the sandbox is told."""

from pathlib import Path
from typing import ClassVar

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from heimnetz_common.settings import ServiceSettings


class SandboxSettings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="HEIMNETZ_SANDBOX_")
    service: ClassVar[str] = "sandbox"

    registry_url: str = Field(
        default="https://registry:8000", description="base URL of the registry"
    )
    run_dir: Path = Field(
        default=Path("/var/lib/heimnetz/run"),
        description="directory for code and sockets, the same path here and on the host",
    )
    engine_socket: Path = Field(
        default=Path("/run/heimnetz/engine/engine.sock"), description="socket of the engine proxy"
    )
    cgroup_root: Path = Field(
        default=Path("/run/heimnetz/cgroup"), description="the host's /sys/fs/cgroup, read-only"
    )
    runtime_python_image: str = Field(
        default="heimnetz/runtime-python:0.1.0", description="image that Python plugins run in"
    )
    runtime_node_image: str = Field(
        default="heimnetz/runtime-node:0.1.0", description="image that Node plugins run in"
    )
    builder_image: str = Field(
        default="heimnetz/builder:0.1.0", description="image that fetches dependencies"
    )
    oci_runtime: str = Field(
        default="",
        pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$|^$",
        description="OCI runtime that isolates plugins, as the engine knows it: runsc is gVisor;"
        " empty means crun where the engine has it, with cgroups version 2, and a plugin without"
        " rights runs in it, and else the engine's default",
    )
    package_index_url: str = Field(
        default="", description="index of Python packages; empty means pip's own default"
    )
    package_index_hosts: str = Field(
        default="",
        description="further hosts that have files of the index, as host or host:port separated by"
        " commas; pip's own default needs none",
    )
    ca_file: Path | None = Field(
        default=None,
        description="PEM file of certificate authorities that `context.fetch` trusts besides the"
        " usual ones",
    )
    pages_port: int = Field(
        default=8100, ge=0, le=65535, description="port for the pages of services"
    )
    concurrency: int = Field(default=4, ge=1, le=64, description="runs at the same time")
    plugin_concurrency: int = Field(
        default=2, ge=1, le=64, description="runs of one plugin at the same time"
    )
    warm_per_plugin: int = Field(
        default=4, ge=0, le=64, description="containers of one plugin that may wait for calls"
    )
    warm_memory_bytes: int = Field(
        default=256 << 20,
        ge=0,
        le=1 << 40,
        description="memory that waiting containers may take together, the engine's part included",
    )
    warm_idle_seconds: float = Field(
        default=600, ge=1, le=86_400, description="time without a call after which none waits"
    )
    queue_limit: int = Field(
        default=200, ge=1, le=100_000, description="runs that may wait, of all plugins together"
    )
    plugin_queue_limit: int = Field(
        default=50, ge=1, le=100_000, description="runs of one plugin that may wait"
    )
    lease_seconds: float = Field(
        default=60, ge=1, le=600, description="time after which a silent sandbox's runs end"
    )
    start_seconds: float = Field(
        default=20, ge=1, le=300, description="time for a container to start and a plugin to load"
    )
    build_seconds: float = Field(
        default=300, ge=5, le=3600, description="time for fetching a plugin's dependencies"
    )
    dependencies_bytes: int = Field(
        default=2 << 30,
        ge=0,
        le=1 << 40,
        description="disk that plugins' dependencies may take before unused ones are removed",
    )
    history_days: int = Field(default=30, ge=1, le=3650, description="age at which runs go")
