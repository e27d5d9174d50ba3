"""Settings from the environment; the proxy has no other configuration."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PREFIX = "HEIMNETZ_ENGINE_PROXY_"


@dataclass(frozen=True)
class Settings:
    socket: Path
    engine: Path
    run_dir: Path
    runtime_images: frozenset[str]
    builder_image: str
    max_memory_bytes: int
    max_cpus: float
    max_processes: int
    max_open_files: int
    ready_file: Path


def load(environ: Mapping[str, str] = os.environ) -> Settings:
    """Raises: SystemExit with status 78 (EX_CONFIG), naming variable, value and remedy."""

    def path(name: str, default: str) -> Path:
        value = environ.get(PREFIX + name) or default
        if not value.startswith("/"):
            raise _wrong(name, value, "give an absolute path")
        return Path(value)

    def number(name: str, default: int, low: int) -> int:
        value = environ.get(PREFIX + name) or str(default)
        if not value.isdecimal() or int(value) < low:
            raise _wrong(name, value, f"give a whole number of at least {low}")
        return int(value)

    images = environ.get(PREFIX + "RUNTIME_IMAGES") or "heimnetz/runtime-python:0.1.0"
    return Settings(
        socket=path("SOCKET", "/run/heimnetz/engine/engine.sock"),
        engine=path("ENGINE", "/var/run/docker.sock"),
        run_dir=path("RUN_DIR", "/var/lib/heimnetz/run"),
        runtime_images=frozenset(name.strip() for name in images.split(",") if name.strip()),
        builder_image=environ.get(PREFIX + "BUILDER_IMAGE") or "heimnetz/builder:0.1.0",
        max_memory_bytes=number("MAX_MEMORY_BYTES", 1 << 30, 1 << 24),
        max_cpus=float(number("MAX_CPUS", 2, 1)),
        max_processes=number("MAX_PROCESSES", 514, 8),
        max_open_files=number("MAX_OPEN_FILES", 1024, 16),
        ready_file=path("READY_FILE", "/tmp/ready"),  # noqa: S108  a tmpfs of its own
    )


def _wrong(name: str, value: str, remedy: str) -> SystemExit:
    print(f"{PREFIX}{name}={value!r} is not usable: {remedy}.", flush=True)  # noqa: T201
    return SystemExit(78)
