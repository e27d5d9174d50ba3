"""Settings from the environment, each HEIMNETZ_ENGINE_PROXY_<NAME>."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    socket: Path = Path("/run/heimnetz/engine/engine.sock")
    engine: Path = Path("/var/run/docker.sock")
    run_dir: Path = Path("/var/lib/heimnetz/run")
    runtime_images: str = "heimnetz/runtime-python:0.1.0,heimnetz/runtime-node:0.1.0"
    builder_image: str = "heimnetz/builder:0.1.0"
    # What the engine registered plugins' runtime as; empty means its default.
    oci_runtime: str = ""
    ready_file: Path = Path("/tmp/ready")  # noqa: S108  a tmpfs of its own

    @property
    def images(self) -> frozenset[str]:
        return frozenset({*self.runtime_images.split(","), self.builder_image})


def load(environ: Mapping[str, str] = os.environ) -> Settings:
    """Raises: SystemExit with variable, value and remedy."""
    given: dict[str, str | Path] = {}
    for name, default in vars(Settings()).items():
        variable = f"HEIMNETZ_ENGINE_PROXY_{name.upper()}"
        value = environ.get(variable) or str(default)
        given[name] = Path(value) if isinstance(default, Path) else value
        if isinstance(default, Path) and not value.startswith("/"):
            raise SystemExit(f"{variable}={value!r} is not an absolute path: give one")
    return Settings(**given)  # type: ignore[arg-type]
