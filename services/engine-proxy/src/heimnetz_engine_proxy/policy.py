"""What a container of ours may be. Everything that is not named here must be absent or default."""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from heimnetz_engine_proxy.routes import OWNER, OWNER_VALUE, Refused
from heimnetz_engine_proxy.settings import Settings

# Of the seccomp profiles that the sandbox generates, `runsc:` for gVisor; a test compares them.
SECCOMP_DIGESTS = frozenset(
    Path(__file__).with_name("seccomp-digests.txt").read_text(encoding="ascii").split()
)
_MASKED = """/proc/acpi /proc/asound /proc/kcore /proc/keys /proc/latency_stats /proc/timer_list
    /proc/timer_stats /proc/sched_debug /proc/scsi /sys/firmware /dev/mqueue"""
_READONLY = "/proc/bus /proc/fs /proc/irq /proc/sys /proc/sysrq-trigger"
# The architecture page's largest caps; the runner and the engine take three processes more.
MAX_MEMORY, MAX_NANO_CPUS, MAX_PROCESSES, MAX_OPEN_FILES = 1 << 30, 2_000_000_000, 515, 1024
_TMPFS = re.compile(
    r"/(tmp|out|work) rw,noexec,nosuid,nodev,size=\d{1,10},nr_inodes=\d{1,7},mode=0?700,"
    r"uid=\d{4,5},gid=\d{4,5}"
)
# Which rule a key belongs to, for the counter; `config` is the rule of all others.
_RULES = {
    "privileged": "privileged",
    "namespace": "pidmode utsmode usernsmode ipcmode cgroupnsmode",
    "capability": "capadd capdrop capabilities groupadd",
    "device": "devices devicerequests devicecgrouprules",
    "mount": "binds volumesfrom volumedriver volumes tmpfs mounts",
    "network": "networkmode portbindings publishallports links extrahosts networkingconfig dns",
    "security": "securityopt maskedpaths readonlypaths runtime",
    "limits": "memory memoryswap nanocpus cpushares pidslimit oomscoreadj ulimits",
}
RULE_OF_KEY = {key: rule for rule, keys in _RULES.items() for key in keys.split()}

Checks = dict[str, Callable[[Any], bool]]


@dataclass(frozen=True)
class Kind:
    """Plugin or builder: where the two differ. Folders are a pattern, and whether read-only."""

    user: str
    folders: dict[str, tuple[str, bool]]
    variables: frozenset[str] = frozenset()


PLUGIN = Kind(
    user=r"([2-5]\d{4}):\1",
    folders={
        "/plugin": ("code/[0-9a-f]{64}", True),
        "/deps": ("deps/[0-9a-f]{64}", True),
        "/in": ("runs/{run}/in", True),
        "/run/heimnetz": ("runs/{run}/socket", True),
    },
)
BUILDER = Kind(
    user=r"[1-9]\d{3,5}:[1-9]\d{3,5}",
    folders={
        "/in": ("builds/{run}/in", True),
        "/out": ("builds/{run}/out", False),
        "/run/heimnetz": ("builds/{run}/socket", True),
    },
    variables=frozenset({"PIP_INDEX_URL"}),
)


def parse(body: bytes) -> dict[str, Any]:
    """Raises: Refused, also for what two parsers could read differently."""

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        # The engine's parser ignores case, so that "privileged" would be "Privileged" to it.
        if len({key.casefold() for key, _ in items}) != len(items):
            raise Refused("body", "a key occurs twice")
        return dict(items)

    try:
        document = json.loads(body.decode("utf-8"), object_pairs_hook=pairs)
        json.dumps(document, allow_nan=False)
    except (ValueError, RecursionError) as error:
        raise Refused("body", "the body is not one JSON document in UTF-8") from error
    if not isinstance(document, dict):
        raise Refused("body", "the body is not an object")
    return dict(document)


def judge(document: dict[str, Any], settings: Settings) -> dict[str, Any]:
    """The container to create, built from what was understood alone. Raises: Refused."""
    if document.get("Image") not in settings.images:
        raise Refused("image", "the image is none of the runtime images")
    kind = BUILDER if document["Image"] == settings.builder_image else PLUGIN
    host = document.pop("HostConfig", None)
    if not isinstance(host, dict):
        raise Refused("config", "HostConfig is missing")
    config = _select(document, _config_checks(kind))
    run = config["Labels"].get("heimnetz.run", "")
    if not re.fullmatch(r"[0-9a-f][0-9a-f-]{7,63}", run):
        raise Refused("config", "the label heimnetz.run is missing or malformed")
    config["HostConfig"] = _select(host, _host_checks(kind, settings.oci_runtime))
    if host["MemorySwap"] != host["Memory"]:
        raise Refused("limits", "MemorySwap must equal Memory, so that there is no swap")
    for mount in host["Mounts"]:
        _judge_mount(mount, kind, run, settings.run_dir)
    if len({mount["Target"] for mount in host["Mounts"]}) != len(host["Mounts"]):
        raise Refused("mount", "two mounts have the same target")
    return config


def _select(given: dict[str, Any], checks: Checks) -> dict[str, Any]:
    for key, value in given.items():
        if key not in checks and not _is_default(value):
            raise Refused(RULE_OF_KEY.get(key.casefold(), "config"), f"{key:.60} may not be set")
    for key, check in checks.items():
        if not check(given.get(key)):
            raise Refused(RULE_OF_KEY.get(key.casefold(), "config"), f"{key} has a wrong value")
    return {key: given[key] for key in checks if given.get(key) is not None}


def _config_checks(kind: Kind) -> Checks:
    return {
        "Image": lambda v: isinstance(v, str),
        "Cmd": _is_texts,
        "Entrypoint": lambda v: v is None or _is_texts(v),
        # A bare name takes the variable of the image away.
        "Env": lambda v: (
            v is None
            or (_is_texts(v) and all("=" not in e or e.split("=")[0] in kind.variables for e in v))
        ),
        "User": lambda v: isinstance(v, str) and bool(re.fullmatch(kind.user, v)),
        "WorkingDir": lambda v: v in (None, "", "/"),
        "Hostname": lambda v: v in (None, "", "plugin"),
        "Labels": lambda v: (
            isinstance(v, dict)
            and v.get(OWNER) == OWNER_VALUE
            and all(key.startswith("heimnetz.") and isinstance(v[key], str) for key in v)
        ),
    }


def _host_checks(kind: Kind, oci_runtime: str) -> Checks:
    # A builder executes nothing of a plugin's, and what it writes is to be the sandbox's, also on
    # an engine that maps users. Threads of gVisor's own count as processes.
    runtime, users = (oci_runtime, "") if kind is PLUGIN else ("", "host")
    return {
        # Without a choice the sandbox may prefer crun, which does what runc does.
        "Runtime": lambda v: (v or "") in ((runtime,) if runtime else ("", "crun")),
        "UsernsMode": lambda v: (v or "") == users,
        "NetworkMode": lambda v: v == "none",
        "IpcMode": lambda v: v == "none",
        "ReadonlyRootfs": lambda v: v is True,
        "CapDrop": lambda v: v == ["ALL"],
        "SecurityOpt": lambda v: _is_secure(v, "runsc:" * runtime.startswith("runsc")),
        "Memory": lambda v: _is_within(v, 6 << 20, MAX_MEMORY),
        "MemorySwap": lambda v: _is_within(v, 6 << 20, MAX_MEMORY),
        "NanoCpus": lambda v: _is_within(v, 1, MAX_NANO_CPUS),
        "PidsLimit": lambda v: _is_within(v, 1, MAX_PROCESSES + 128 * runtime.startswith("runsc")),
        "OomScoreAdj": lambda v: v is None or _is_within(v, 0, 1000),
        "Ulimits": _are_ulimits,
        "Tmpfs": lambda v: (
            isinstance(v, dict) and all(_TMPFS.fullmatch(f"{at} {v[at]}") for at in v)
        ),
        "Mounts": lambda v: isinstance(v, list),
        "MaskedPaths": lambda v: _is_texts(v) and set(_MASKED.split()) <= set(v),
        "ReadonlyPaths": lambda v: _is_texts(v) and set(_READONLY.split()) <= set(v),
        "LogConfig": lambda v: v == {"Type": "none"},
    }


def _is_secure(value: Any, kind: str) -> bool:
    if not _is_texts(value) or len(value) != 2 or "no-new-privileges" not in value:
        return False
    (profile,) = {*value} - {"no-new-privileges"} or {""}
    digest = hashlib.sha256(profile.removeprefix("seccomp=").encode("utf-8", "replace"))
    return profile.startswith("seccomp=") and kind + digest.hexdigest() in SECCOMP_DIGESTS


def _are_ulimits(value: Any) -> bool:
    try:
        limits = {one["Name"]: one["Hard"] for one in value}
        is_plain = len(limits) == len(value) and all(
            set(one) == {"Name", "Soft", "Hard"} and one["Soft"] == one["Hard"] for one in value
        )
    except (TypeError, KeyError):
        return False
    return (
        is_plain
        and set(limits) == {"nofile", "fsize", "core", "msgqueue"}
        and _is_within(limits["nofile"], 1, MAX_OPEN_FILES)
        and _is_within(limits["fsize"], 1, 1 << 30)
        and all(_is_within(limits[name], 0, 0) for name in ("core", "msgqueue"))
    )


def _judge_mount(mount: Any, kind: Kind, run: str, run_dir: Path) -> None:
    if not isinstance(mount, dict) or mount.get("Type") != "bind":
        raise Refused("mount", "only binds of folders of the sandbox may be mounted")
    known = ("Type", "Source", "Target", "ReadOnly")
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
    # The engine follows links; so compare with where they lead, on the same file system.
    real = Path(source).resolve()
    if real != run_dir.resolve() / below or not real.is_dir():
        raise Refused("mount", f"the source of {target} is not there, a link or no folder")


def _is_within(value: Any, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _is_default(value: Any) -> bool:
    return value is None or value in (False, 0, "", [], {})
