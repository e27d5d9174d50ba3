"""What the engine is asked for: every cap of a plugin's container, and of a builder's."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from heimnetz_sandbox import seccomp
from heimnetz_sandbox.model import Limits, Program

OWNER_LABEL = "heimnetz.owner"
OWNER = "sandbox"
STACK_LABEL = "heimnetz.stack"
RUN_LABEL = "heimnetz.run"
INSTANCE_LABEL = "heimnetz.instance"
PLUGIN_LABEL = "heimnetz.plugin"
KIND_LABEL = "heimnetz.kind"

_MIB = 1 << 20
BUILD_BYTES = 384 * _MIB
# gVisor's own, which count as processes of the container.
SENTRY_THREADS = 128
# Without the first a plugin reaches neither its runner's socket nor the broker's, without the
# second the system call filter is ignored, and without the third gVisor looks for a network.
RUNSC_FLAGS = ("--host-uds=open", "--oci-seccomp", "--network=none")

# The engine's own list, and /dev/mqueue, which it leaves writable. runc covers each with an empty
# file or a read-only tmpfs.
MASKED_PATHS = (
    *("/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats"),
    *("/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi"),
    *("/sys/firmware", "/sys/devices/virtual/powercap", "/dev/mqueue"),
)
READONLY_PATHS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")


@dataclass(frozen=True, slots=True)
class Identity:
    """Labels by which orphans are told from what is in use."""

    stack: str
    instance: str
    run: str
    plugin: str
    kind: str

    @property
    def name(self) -> str:
        return f"heimnetz-{self.kind}-{self.run}"

    def labels(self) -> dict[str, str]:
        return {
            OWNER_LABEL: OWNER,
            STACK_LABEL: self.stack,
            INSTANCE_LABEL: self.instance,
            RUN_LABEL: self.run,
            PLUGIN_LABEL: self.plugin,
            KIND_LABEL: self.kind,
        }


@cache
def _security(*, is_gvisor: bool) -> tuple[str, str]:
    text = seccomp.profile_text(platform.machine(), is_gvisor=is_gvisor)
    return ("no-new-privileges", f"seccomp={text}")


def is_gvisor(oci_runtime: str) -> bool:
    return oci_runtime.startswith("runsc")


def why_unfit(oci_runtime: str, registered: Mapping[str, Any]) -> str | None:
    """Why no plugin can run in it; `registered` is `Runtimes` of the engine's `GET /info`."""
    if not oci_runtime:
        return None
    if oci_runtime not in registered:
        return f"the engine has no runtime {oci_runtime!r}: register it in its daemon.json"
    given = registered[oci_runtime].get("runtimeArgs") or ()
    lacking = [flag for flag in RUNSC_FLAGS if is_gvisor(oci_runtime) and flag not in given]
    if lacking:
        return f"the engine's runtime {oci_runtime!r} lacks {' '.join(lacking)} in its runtimeArgs"
    return None


def why_impossible(oci_runtime: str, program: Program) -> str | None:
    """Why this program cannot run in it, though others can."""
    if not is_gvisor(oci_runtime):
        return None
    if program.is_service:
        return "behind gVisor no service runs: it cannot be handed a listening socket"
    if program.runtime == "node":
        return "behind gVisor no Node plugin runs: its program may be executed but not read"
    return None


def plugin(
    identity: Identity,
    *,
    image: str,
    command: Sequence[str],
    uid: int,
    limits: Limits,
    own_processes: int,
    folders: Mapping[str, Path],
    image_variables: Sequence[str],
    oci_runtime: str = "",
) -> dict[str, Any]:
    """`folders` maps targets to folders of the run directory; `own_processes` are ours in there."""
    own = f",uid={uid},gid={uid}"
    if is_gvisor(oci_runtime):
        own_processes += SENTRY_THREADS
    return _container(
        identity,
        image=image,
        command=command,
        user=f"{uid}:{uid}",
        mounts=[_bind(source, target) for target, source in folders.items()],
        # A bare name takes the variable of the image away.
        environment=list(image_variables),
        oci_runtime=oci_runtime,
        host={
            "Memory": limits.memory_bytes,
            "MemorySwap": limits.memory_bytes,
            "NanoCpus": int(limits.cpus * 1e9),
            "PidsLimit": limits.processes + own_processes,
            # When the host runs short, a plugin goes before anything else does.
            "OomScoreAdj": 500,
            "Ulimits": _ulimits(limits.open_files, max(limits.tmp_bytes, limits.output_bytes)),
            "Tmpfs": {
                "/tmp": _tmpfs(limits.tmp_bytes, limits.tmp_inodes, own),  # noqa: S108
                "/out": _tmpfs(limits.output_bytes, limits.output_inodes, own),
            },
        },
    )


def builder(
    identity: Identity,
    *,
    image: str,
    command: Sequence[str],
    user: tuple[int, int],
    lock: Path,
    out: Path,
    socket: Path,
    index_url: str,
) -> dict[str, Any]:
    """It unpacks wheels and executes nothing of theirs; `socket` is the folder of its broker's."""
    uid, gid = user
    return _container(
        identity,
        image=image,
        command=command,
        user=f"{uid}:{gid}",
        mounts=[
            _bind(lock, "/in"),
            _bind(out, "/out", read_only=False),
            _bind(socket, "/run/heimnetz"),
        ],
        environment=[f"PIP_INDEX_URL={index_url}"] if index_url else [],
        host={
            # What it writes is the sandbox's, also on an engine that maps users.
            "UsernsMode": "host",
            "Memory": BUILD_BYTES + 256 * _MIB,
            "MemorySwap": BUILD_BYTES + 256 * _MIB,
            "NanoCpus": 1_000_000_000,
            "PidsLimit": 64,
            "OomScoreAdj": 500,
            "Ulimits": _ulimits(512, 256 * _MIB),
            "Tmpfs": {
                "/tmp": _tmpfs(16 * _MIB, 256, f",uid={uid},gid={gid}"),  # noqa: S108
                "/work": _tmpfs(BUILD_BYTES, 60_000, f",uid={uid},gid={gid}"),
            },
        },
    )


def _container(
    identity: Identity,
    *,
    image: str,
    command: Sequence[str],
    user: str,
    mounts: list[dict[str, Any]],
    environment: list[str],
    host: dict[str, Any],
    oci_runtime: str = "",
) -> dict[str, Any]:
    return {
        "Image": image,
        "Entrypoint": [],
        "Cmd": list(command),
        "User": user,
        "WorkingDir": "/",
        "Hostname": "plugin",
        "Env": environment,
        "Labels": identity.labels(),
        "HostConfig": {
            **host,
            "NetworkMode": "none",
            **({"Runtime": oci_runtime} if oci_runtime else {}),
            "ReadonlyRootfs": True,
            "CapDrop": ["ALL"],
            "SecurityOpt": list(_security(is_gvisor=is_gvisor(oci_runtime))),
            # No /dev/shm at all: the run's memory is /tmp's and its own.
            "IpcMode": "none",
            "Mounts": mounts,
            "MaskedPaths": list(MASKED_PATHS),
            "ReadonlyPaths": list(READONLY_PATHS),
            "LogConfig": {"Type": "none"},
        },
    }


def _bind(source: Path, target: str, *, read_only: bool = True) -> dict[str, Any]:
    return {"Type": "bind", "Source": str(source), "Target": target, "ReadOnly": read_only}


def _tmpfs(size_bytes: int, inodes: int, owner: str) -> str:
    return f"rw,noexec,nosuid,nodev,size={size_bytes},nr_inodes={inodes},mode=0700{owner}"


def _ulimits(open_files: int, file_bytes: int) -> list[dict[str, Any]]:
    values = {"nofile": open_files, "fsize": file_bytes, "core": 0, "msgqueue": 0}
    return [{"Name": name, "Soft": value, "Hard": value} for name, value in values.items()]
