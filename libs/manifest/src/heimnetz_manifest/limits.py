"""The caps of a run: what applies unless the manifest asks, and what the owner allows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge
from pydantic import BaseModel, ConfigDict, Field

from heimnetz_manifest.values import GIB, KIB, MIB, Integer, Number, Seconds, SizeBytes


class Limits(BaseModel):
    """Caps of one run. The aliases are the keys of the manifest."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, validate_by_name=True, validate_by_alias=True
    )

    memory_bytes: Annotated[SizeBytes, Ge(16 * MIB)] = Field(
        128 * MIB, alias="memory", description="Memory of the container; there is no swap"
    )
    cpus: Annotated[Number, Ge(0.05)] = Field(
        0.5, alias="cpu", description="Share of processors, 1 is one whole"
    )
    cpu_seconds: Annotated[Seconds, Ge(0.1)] | None = Field(
        None, alias="cpu_time", description="Processor time of one run; unlimited unless given"
    )
    processes: Annotated[Integer, Ge(4)] = Field(64, description="Processes and threads")
    open_files: Annotated[Integer, Ge(16)] = Field(64, description="Open files of a process")
    wall_seconds: Annotated[Seconds, Ge(0.1)] = Field(
        30.0, alias="wall", description="Time from call to answer"
    )
    tmp_bytes: Annotated[SizeBytes, Ge(64 * KIB)] = Field(
        32 * MIB, alias="tmp", description="Size of /tmp"
    )
    tmp_inodes: Annotated[Integer, Ge(16)] = Field(
        1024, description="Files and directories in /tmp"
    )
    result_bytes: Annotated[SizeBytes, Ge(1 * KIB)] = Field(
        1 * MIB, alias="result", description="Size of the JSON result"
    )
    log_bytes: Annotated[SizeBytes, Ge(1 * KIB)] = Field(
        256 * KIB, alias="log", description="Log kept of one run"
    )
    output_bytes: Annotated[SizeBytes, Ge(4 * KIB)] = Field(
        32 * MIB, alias="output", description="Size of all files written to /out"
    )
    output_inodes: Annotated[Integer, Ge(4)] = Field(
        256, description="Files and directories in /out"
    )

    def short_for_node(self) -> Iterator[tuple[str, str]]:
        """Keys with less than Node and a small plugin take, and how much that is."""
        if self.memory_bytes < 64 * MIB:
            yield "memory", "64 MiB"
        if self.open_files < 48:
            yield "open_files", "48"


@dataclass(frozen=True, slots=True)
class Maxima:
    """What the owner allows at most; the defaults suit a small machine."""

    memory_bytes: int = 1 * GIB
    cpus: float = 2.0
    cpu_seconds: float = 3600.0
    processes: int = 512
    open_files: int = 1024
    wall_seconds: float = 3600.0
    tmp_bytes: int = 256 * MIB
    tmp_inodes: int = 16_384
    result_bytes: int = 8 * MIB
    log_bytes: int = 8 * MIB
    output_bytes: int = 256 * MIB
    output_inodes: int = 4096

    def exceeded_by(self, limits: Limits) -> dict[str, tuple[float, float]]:
        """The key in the manifest, what is asked, what is allowed."""
        found: dict[str, tuple[float, float]] = {}
        for name, info in Limits.model_fields.items():
            asked, allowed = getattr(limits, name), getattr(self, name)
            if asked is not None and asked > allowed:
                found[info.alias or name] = (asked, allowed)
        return found


DEFAULT_MAXIMA = Maxima()
