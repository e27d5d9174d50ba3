"""What a container of ours may be. Everything that is not named here must be absent or default."""

import hashlib
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from heimnetz_engine_proxy.errors import Refused
from heimnetz_engine_proxy.routes import OWNER, OWNER_VALUE
from heimnetz_engine_proxy.settings import Settings

MAX_BODY_BYTES = 256 * 1024

# Digests of the seccomp profiles that the sandbox generates; a test compares them with it.
SECCOMP_DIGESTS = frozenset(
    Path(__file__).with_name("seccomp-digests.txt").read_text(encoding="ascii").split()
)
MASKED_PATHS = frozenset(
    "/proc/acpi /proc/asound /proc/kcore /proc/keys /proc/latency_stats /proc/timer_list"
    " /proc/timer_stats /proc/sched_debug /proc/scsi /sys/firmware /dev/mqueue".split()
)
READONLY_PATHS = frozenset("/proc/bus /proc/fs /proc/irq /proc/sys /proc/sysrq-trigger".split())
_RUN = re.compile(r"[0-9a-f][0-9a-f-]{7,63}")
_TMPFS = re.compile(
    r"rw,noexec,nosuid,nodev,size=\d{1,10},nr_inodes=\d{1,7},mode=0?1?7[0-7]{2}"
    r"(,uid=\d{1,6},gid=\d{1,6})?"
)
_FOLDERS = {
    "/plugin": ("code/[0-9a-f]{64}", True),
    "/deps": ("deps/[0-9a-f]{64}", True),
    "/in": ("runs/{run}/in", True),
    "/run/heimnetz": ("runs/{run}/socket", True),
}
_BUILDER_FOLDERS = {"/in": ("builds/{run}/in", True), "/out": ("builds/{run}/out", False)}

Check = Callable[[Any], bool]


@dataclass(frozen=True)
class Kind:
    """Plugin or builder: where the two differ."""

    networks: frozenset[str]
    user: re.Pattern[str]
    folders: dict[str, tuple[str, bool]]
    environment: frozenset[str] = field(default_factory=frozenset)


PLUGIN = Kind(frozenset({"none"}), re.compile(r"([2-5]\d{4}):\1"), _FOLDERS)
BUILDER = Kind(
    frozenset({"bridge", "default"}), re.compile(r"[1-9]\d{3,5}:[1-9]\d{3,5}"), _BUILDER_FOLDERS,
    frozenset({"PIP_INDEX_URL", "HEIMNETZ_MAX_BYTES"}),
)


def parse(body: bytes) -> dict[str, Any]:
    """Raises: Refused, also for what two parsers could read differently."""

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key.casefold() for key, _ in items]
        # The engine's parser ignores case, so that "privileged" would be "Privileged" to it.
        if len(set(keys)) != len(keys):
            raise Refused("body", "a key occurs twice")
        return dict(items)

    def constant(name: str) -> Any:
        raise Refused("body", f"{name} is not JSON")

    try:
        document: dict[str, Any] = json.loads(
            body.decode("utf-8"), object_pairs_hook=pairs, parse_constant=constant
        )
    except (ValueError, RecursionError) as error:
        raise Refused("body", "the body is not one JSON document in UTF-8") from error
    if not isinstance(document, dict):
        raise Refused("body", "the body is not an object")
    return document


def judge(document: dict[str, Any], settings: Settings) -> dict[str, Any]:
    """The container to create, built from what was understood alone. Raises: Refused."""
    image = document.get("Image")
    if image == settings.builder_image:
        kind = BUILDER
    elif image in settings.runtime_images:
        kind = PLUGIN
    else:
        raise Refused("image", "the image is none of the runtime images")
    config = _select(document, _config_checks(kind), "Config")
    run = config["Labels"].get("heimnetz.run", "")
    if not _RUN.fullmatch(run):
        raise Refused("config", "label heimnetz.run is missing or malformed")
    host = document.get("HostConfig")
    if not isinstance(host, dict):
        raise Refused("host-config", "HostConfig is missing")
    config["HostConfig"] = _select(host, _host_checks(kind, settings), "HostConfig")
    if host.get("MemorySwap") != host.get("Memory"):
        raise Refused("limits", "MemorySwap must equal Memory, so that there is no swap")
    for mount in host["Mounts"]:
        _judge_mount(mount, kind, run, settings.run_dir)
    targets = [mount["Target"] for mount in host["Mounts"]]
    if len(set(targets)) != len(targets):
        raise Refused("mount", "two mounts have the same target")
    return config


def _select(given: dict[str, Any], checks: dict[str, tuple[Check, str]], where: str) -> Any:
    for key, value in given.items():
        if key not in checks and key not in ("HostConfig",) and not _is_default(value):
            raise Refused(_rule(key), f"{where}.{key} may not be set")
    chosen = {}
    for key, (check, rule) in checks.items():
        value = given.get(key)
        if not check(value):
            raise Refused(rule, f"{where}.{key} has a value that is not allowed")
        if value is not None:
            chosen[key] = value
    return chosen


def _config_checks(kind: Kind) -> dict[str, tuple[Check, str]]:
    def labels(value: Any) -> bool:
        return (
            isinstance(value, dict)
            and value.get(OWNER) == OWNER_VALUE
            and all(k.startswith("heimnetz.") and isinstance(v, str) for k, v in value.items())
        )

    def environment(value: Any) -> bool:
        # A bare name takes the variable of the image away.
        return value is None or (
            _is_texts(value)
            and all("=" not in v or v.partition("=")[0] in kind.environment for v in value)
        )

    return {
        "Image": (lambda value: isinstance(value, str), "image"),
        "Cmd": (lambda value: value is None or _is_texts(value), "config"),
        "Entrypoint": (lambda value: value is None or _is_texts(value), "config"),
        "Env": (environment, "config"),
        "User": (lambda v: isinstance(v, str) and bool(kind.user.fullmatch(v)), "user"),
        "WorkingDir": (lambda value: value in (None, "", "/", "/tmp"), "config"),  # noqa: S108
        "Hostname": (lambda value: value in (None, "", "plugin"), "config"),
        "Labels": (labels, "config"),
    }


def _host_checks(kind: Kind, settings: Settings) -> dict[str, tuple[Check, str]]:
    def within(low: int, high: float) -> Check:
        return lambda v: isinstance(v, int) and not isinstance(v, bool) and low <= v <= high

    def optional(check: Check) -> Check:
        return lambda value: value is None or check(value)

    def covers(required: frozenset[str]) -> Check:
        return lambda value: _is_texts(value) and required <= set(value)

    return {
        "NetworkMode": (lambda value: value in kind.networks, "network"),
        "IpcMode": (lambda value: value == "none", "namespace"),
        "CgroupnsMode": (lambda value: value in (None, "", "private"), "namespace"),
        "ReadonlyRootfs": (lambda value: value is True, "host-config"),
        "CapDrop": (lambda value: value == ["ALL"], "capability"),
        "SecurityOpt": (_is_secure, "security"),
        "Memory": (within(6 << 20, settings.max_memory_bytes), "limits"),
        "MemorySwap": (within(6 << 20, settings.max_memory_bytes), "limits"),
        "NanoCpus": (within(1, settings.max_cpus * 1e9), "limits"),
        "CpuShares": (optional(within(0, 1024)), "limits"),
        "PidsLimit": (within(1, settings.max_processes), "limits"),
        "OomScoreAdj": (optional(within(0, 1000)), "limits"),
        "Ulimits": (lambda value: _are_ulimits(value, settings.max_open_files), "limits"),
        "Tmpfs": (_is_tmpfs, "mount"),
        "Mounts": (lambda value: isinstance(value, list), "mount"),
        "MaskedPaths": (covers(MASKED_PATHS), "masked-paths"),
        "ReadonlyPaths": (covers(READONLY_PATHS), "masked-paths"),
        "LogConfig": (lambda value: value == {"Type": "none"}, "log"),
    }


def _is_secure(value: Any) -> bool:
    if not _is_texts(value) or len(value) != 2:
        return False
    profile = [option for option in value if option.startswith("seccomp=")]
    plain = set(value) & {"no-new-privileges", "no-new-privileges:true", "no-new-privileges=true"}
    if len(profile) != 1 or len(plain) != 1:
        return False
    text = profile[0].removeprefix("seccomp=")
    return hashlib.sha256(text.encode()).hexdigest() in SECCOMP_DIGESTS


def _are_ulimits(value: Any, max_open_files: int) -> bool:
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        return False
    limits = {}
    for one in value:
        if set(one) != {"Name", "Soft", "Hard"} or one["Soft"] != one["Hard"]:
            return False
        if not isinstance(one["Hard"], int) or one["Hard"] < 0 or one["Name"] in limits:
            return False
        limits[one["Name"]] = one["Hard"]
    return (
        set(limits) == {"nofile", "fsize", "core", "msgqueue"}
        and 0 < limits["nofile"] <= max_open_files
        and 0 < limits["fsize"] <= 1 << 30
        and limits["core"] == 0
        and limits["msgqueue"] == 0
    )


def _is_tmpfs(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and set(value) <= {"/tmp", "/out", "/work"}  # noqa: S108
        and all(isinstance(v, str) and _TMPFS.fullmatch(v) is not None for v in value.values())
    )


def _judge_mount(mount: Any, kind: Kind, run: str, run_dir: Path) -> None:
    if not isinstance(mount, dict) or mount.get("Type") != "bind":
        raise Refused("mount", "only binds of folders of the sandbox may be mounted")
    known = {"Type", "Source", "Target", "ReadOnly"}
    if any(key not in known and not _is_default(value) for key, value in mount.items()):
        raise Refused("mount", "the mount has an option that is not allowed")
    source, target = mount.get("Source"), mount.get("Target")
    if not isinstance(source, str) or not isinstance(target, str) or target not in kind.folders:
        raise Refused("mount", "the mount's target is none of a plugin container's")
    pattern, is_read_only = kind.folders[target]
    if is_read_only and mount.get("ReadOnly") is not True:
        raise Refused("mount", f"{target} must be read-only")
    below = source.removeprefix(f"{run_dir}/")
    if below == source or not re.fullmatch(pattern.replace("{run}", run), below):
        raise Refused("mount", f"the source of {target} is not the folder that belongs there")
    # The engine follows links; we compare with where they lead on the same file system.
    try:
        is_plain = Path(source).resolve(strict=True) == run_dir.resolve(strict=True) / below
    except (OSError, RuntimeError) as error:
        raise Refused("mount", f"the source of {target} does not exist") from error
    if not is_plain or not Path(source).is_dir():
        raise Refused("mount", f"the source of {target} is a link or no folder")


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _is_default(value: Any) -> bool:
    if isinstance(value, dict):
        return all(_is_default(inner) for inner in value.values())
    return value is None or value is False or value == 0 or value in ("", [])


_RULES: tuple[tuple[str, Iterable[str]], ...] = (
    ("privileged", ("Privileged",)),
    ("namespace", ("PidMode", "UTSMode", "UsernsMode", "IpcMode")),
    ("capability", ("CapAdd", "Capabilities", "GroupAdd")),
    ("device", ("Devices", "DeviceRequests", "DeviceCgroupRules")),
    ("mount", ("Binds", "VolumesFrom", "VolumeDriver", "Volumes")),
    ("network", ("PortBindings", "PublishAllPorts", "Links", "ExtraHosts", "ExposedPorts")),
    ("network", ("NetworkingConfig", "Dns", "DnsOptions", "DnsSearch", "MacAddress")),
)


def _rule(key: str) -> str:
    folded = key.casefold()
    for rule, keys in _RULES:
        if folded in {known.casefold() for known in keys}:
            return rule
    return "host-config"
