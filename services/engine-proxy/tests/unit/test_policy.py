"""The rules, against the recorded create requests of the real client and many altered ones."""

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heimnetz_engine_proxy import policy
from heimnetz_engine_proxy.routes import Refused
from heimnetz_engine_proxy.settings import Settings

RECORDED = Path(__file__).with_name("recorded")
RUN = "01a21163-f926-7f6d-9072-faf26c465b62"
BUILD = "5f0c1b1e-7a51-4a39-9a37-0d2a6f0b7c11"
OTHER = "01a21163-f926-7f6d-9072-ffffffffffff"


def recorded(name: str, run_dir: Path) -> dict[str, Any]:
    """The body as the client sent it, with this test's run directory in its paths."""
    body = (RECORDED / f"{name}.http").read_bytes().partition(b"\r\n\r\n")[2]
    return policy.parse(body.replace(b"/var/lib/heimnetz/run", str(run_dir).encode()))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    run_dir = tmp_path / "run"
    folders = (
        f"code/{'c' * 64}",
        f"runs/{RUN}/in",
        f"runs/{RUN}/socket",
        f"runs/{OTHER}/socket",
        f"builds/{BUILD}/in",
        f"builds/{BUILD}/out",
        f"builds/{BUILD}/socket",
        f"deps/{'d' * 64}",
    )
    for folder in folders:
        (run_dir / folder).mkdir(parents=True)
    return Settings(run_dir=run_dir)


@pytest.fixture
def plugin(settings: Settings) -> dict[str, Any]:
    return recorded("create", settings.run_dir)


@pytest.mark.parametrize("name", ["create", "build"])
def test_what_the_sandbox_asks_for_is_passed_on_unchanged(settings: Settings, name: str) -> None:
    asked = recorded(name, settings.run_dir)

    created = policy.judge(copy.deepcopy(asked), settings)

    assert created == asked


def for_gvisor(plugin: dict[str, Any]) -> str:
    """The profile of the recorded request as gVisor is given it."""
    profile: str = plugin["HostConfig"]["SecurityOpt"][1]
    return profile.replace(
        '{"action":"SCMP_ACT_ERRNO","errnoRet":38,"names":["clone3"]}',
        '{"action":"SCMP_ACT_ALLOW","names":["clone3"]}',
    )


def test_a_plugin_runs_in_the_runtime_that_was_chosen_and_in_no_other(
    settings: Settings, plugin: dict[str, Any]
) -> None:
    chosen = replace(settings, oci_runtime="runsc")
    isolated = copy.deepcopy(plugin)
    isolated["HostConfig"] |= {
        "Runtime": "runsc",
        "PidsLimit": 515 + 128,
        "SecurityOpt": ["no-new-privileges", for_gvisor(plugin)],
    }

    created = policy.judge(copy.deepcopy(isolated), chosen)

    assert created == isolated
    for document, own in ((plugin, chosen), (isolated, settings)):
        with pytest.raises(Refused) as refusal:
            policy.judge(copy.deepcopy(document), own)
        assert refusal.value.rule == "security"


def test_without_a_choice_crun_may_be_preferred(settings: Settings, plugin: dict[str, Any]) -> None:
    plugin["HostConfig"]["Runtime"] = "crun"

    assert policy.judge(copy.deepcopy(plugin), settings)["HostConfig"]["Runtime"] == "crun"
    with pytest.raises(Refused):
        policy.judge(plugin, replace(settings, oci_runtime="kata"))


@pytest.mark.parametrize("name", ["runc", "kata"])
def test_a_runtime_of_its_own_threads_is_gvisor_alone(
    settings: Settings, plugin: dict[str, Any], name: str
) -> None:
    plugin["HostConfig"] |= {"Runtime": name, "PidsLimit": 515 + 128}

    with pytest.raises(Refused) as refusal:
        policy.judge(plugin, replace(settings, oci_runtime=name))

    assert refusal.value.rule == "limits"


def test_the_profile_for_gvisor_is_for_gvisor_alone(
    settings: Settings, plugin: dict[str, Any]
) -> None:
    plugin["HostConfig"]["SecurityOpt"] = ["no-new-privileges", for_gvisor(plugin)]

    with pytest.raises(Refused) as refusal:
        policy.judge(plugin, settings)

    assert refusal.value.rule == "security"


def test_a_builder_runs_in_the_engines_own_runtime(settings: Settings) -> None:
    asked = recorded("build", settings.run_dir)

    assert policy.judge(copy.deepcopy(asked), replace(settings, oci_runtime="runsc")) == asked


def set_at(document: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split("/")
    for part in parents:
        document = document[part]
    document[last] = value


FORBIDDEN: list[tuple[str, Any]] = [
    # Rights over the host.
    ("HostConfig/Privileged", True),
    ("HostConfig/privileged", True),
    ("HostConfig/CapAdd", ["SYS_ADMIN"]),
    ("HostConfig/CapAdd", ["NET_RAW"]),
    ("HostConfig/CapDrop", []),
    ("HostConfig/CapDrop", ["NET_RAW"]),
    ("HostConfig/GroupAdd", ["docker"]),
    ("HostConfig/Devices", [{"PathOnHost": "/dev/sda", "PathInContainer": "/dev/sda"}]),
    ("HostConfig/DeviceRequests", [{"Driver": "nvidia", "Count": -1}]),
    ("HostConfig/DeviceCgroupRules", ["c *:* rwm"]),
    # Namespaces of the host or of others.
    ("HostConfig/NetworkMode", "host"),
    ("HostConfig/NetworkMode", "bridge"),
    ("HostConfig/NetworkMode", "container:abc"),
    ("HostConfig/NetworkMode", "heimnetz_core"),
    ("HostConfig/PidMode", "host"),
    ("HostConfig/PidMode", "container:abc"),
    ("HostConfig/IpcMode", "host"),
    ("HostConfig/IpcMode", "shareable"),
    ("HostConfig/UTSMode", "host"),
    ("HostConfig/UsernsMode", "host"),
    ("HostConfig/UsernsMode", "private"),
    ("HostConfig/CgroupnsMode", "host"),
    ("HostConfig/CgroupParent", "/"),
    # Barriers taken down.
    ("HostConfig/SecurityOpt", ["no-new-privileges", "seccomp=unconfined"]),
    ("HostConfig/SecurityOpt", ["no-new-privileges", "apparmor=unconfined"]),
    ("HostConfig/SecurityOpt", ["no-new-privileges", "label=disable"]),
    ("HostConfig/SecurityOpt", ["no-new-privileges"]),
    ("HostConfig/SecurityOpt", ["no-new-privileges", 'seccomp={"defaultAction":"SCMP_ACT_ALLOW"}']),
    ("HostConfig/SecurityOpt", None),
    ("HostConfig/ReadonlyRootfs", False),
    ("HostConfig/MaskedPaths", []),
    ("HostConfig/MaskedPaths", None),
    ("HostConfig/ReadonlyPaths", []),
    ("HostConfig/Sysctls", {"net.ipv4.ip_forward": "1"}),
    ("HostConfig/Runtime", "evil"),
    # Folders of the host.
    ("HostConfig/Binds", ["/:/host"]),
    ("HostConfig/Binds", ["/var/run/docker.sock:/var/run/docker.sock"]),
    ("HostConfig/VolumesFrom", ["heimnetz-postgres-1"]),
    ("HostConfig/VolumeDriver", "evil"),
    ("Volumes", {"/host": {}}),
    ("HostConfig/Tmpfs", {"/etc": "rw"}),
    ("HostConfig/Tmpfs", {"/tmp": "rw,exec,size=1g"}),
    ("HostConfig/Tmpfs", {"/tmp": "rw,noexec,nosuid,nodev"}),
    # Limits taken away.
    ("HostConfig/Memory", 0),
    ("HostConfig/Memory", 1 << 40),
    ("HostConfig/Memory", True),
    ("HostConfig/MemorySwap", -1),
    ("HostConfig/MemorySwap", 1 << 29),
    ("HostConfig/NanoCpus", 0),
    ("HostConfig/NanoCpus", 64_000_000_000),
    ("HostConfig/PidsLimit", -1),
    ("HostConfig/PidsLimit", 100_000),
    ("HostConfig/OomKillDisable", True),
    ("HostConfig/OomScoreAdj", -1000),
    ("HostConfig/CpuRealtimeRuntime", 950_000),
    ("HostConfig/Ulimits", []),
    ("HostConfig/Ulimits", [{"Name": "core", "Soft": -1, "Hard": -1}]),
    ("HostConfig/ShmSize", 1 << 30),
    # Ways in and out.
    ("HostConfig/PortBindings", {"80/tcp": [{"HostPort": "80"}]}),
    ("HostConfig/PublishAllPorts", True),
    ("HostConfig/Links", ["postgres:db"]),
    ("HostConfig/ExtraHosts", ["registry:10.0.0.1"]),
    ("HostConfig/Dns", ["8.8.8.8"]),
    ("NetworkingConfig", {"EndpointsConfig": {"heimnetz_core": {}}}),
    ("ExposedPorts", {"80/tcp": {}}),
    # Who it is and what it leaves.
    ("User", "0:0"),
    ("User", "root"),
    ("User", ""),
    ("User", "10003:10003"),
    ("User", "20001:0"),
    ("Image", "postgres:17"),
    ("Image", "heimnetz/runtime-python:0.1.0@sha256:" + "0" * 64),
    ("Image", "heimnetz/runtime-python"),
    ("Image", None),
    ("Labels", {}),
    ("Labels", {"heimnetz.owner": "me", "heimnetz.run": RUN}),
    ("Labels", {"heimnetz.owner": "sandbox", "heimnetz.run": "../../etc"}),
    ("Labels", {"heimnetz.owner": "sandbox", "com.docker.compose.project": "heimnetz"}),
    ("Env", ["LD_PRELOAD=/plugin/evil.so"]),
    ("Tty", True),
    ("OpenStdin", True),
    ("AttachStdout", True),
    ("OnBuild", ["RUN evil"]),
    ("Healthcheck", {"Test": ["CMD", "evil"]}),
    ("HostConfig/LogConfig", {"Type": "json-file"}),
    ("HostConfig/LogConfig", {"Type": "syslog", "Config": {"syslog-address": "tcp://evil"}}),
    ("HostConfig/RestartPolicy", {"Name": "always"}),
    ("HostConfig/ContainerIDFile", "/etc/passwd"),
    ("HostConfig/Init", True),
    ("HostConfig", None),
    ("HostConfig/Mounts", None),
]


@pytest.mark.parametrize(
    ("path", "value"), FORBIDDEN, ids=[f"{path}={value!r:.40}" for path, value in FORBIDDEN]
)
@pytest.mark.attack(row=56, what="a container with more than a plugin may have")
def test_what_no_plugin_may_have_is_refused(
    settings: Settings, plugin: dict[str, Any], path: str, value: Any
) -> None:
    set_at(plugin, path, value)

    with pytest.raises(Refused):
        policy.judge(plugin, settings)


def bind(source: str, target: str = "/plugin", **options: Any) -> dict[str, Any]:
    return {"Type": "bind", "Source": source, "Target": target, "ReadOnly": True, **options}


@pytest.mark.parametrize(
    "mount",
    [
        bind("/"),
        bind("/var/run/docker.sock"),
        bind("/var/run/docker.sock", "/run/heimnetz"),
        bind("{run_dir}"),
        bind("{run_dir}/code"),
        bind("{run_dir}/code/../../.."),
        bind("{run_dir}/code/" + "c" * 64 + "/../../.."),
        bind("{run_dir}//code/" + "c" * 64),
        bind("{run_dir}/code/" + "c" * 64, ReadOnly=False),
        bind("{run_dir}/code/" + "c" * 64, "/etc"),
        bind("{run_dir}/code/" + "c" * 64, "/"),
        bind("{run_dir}/code/" + "c" * 64, Type="volume"),
        bind("{run_dir}/code/" + "c" * 64, BindOptions={"Propagation": "rshared"}),
        bind("{run_dir}/code/" + "e" * 64),
        bind("{run_dir}/code/" + "a" * 64),
        bind("{run_dir}/code/" + "f" * 64),
        bind(f"{{run_dir}}/runs/{OTHER}/socket", "/run/heimnetz"),
        bind(f"{{run_dir}}/builds/{BUILD}/out", "/out", ReadOnly=False),
        bind("{run_dir}-other/code/" + "c" * 64),
        bind("relative"),
        {"Type": "tmpfs", "Target": "/plugin"},
        {"Type": "npipe", "Source": "x", "Target": "/plugin"},
        "not a mount",
    ],
    ids=str,
)
@pytest.mark.attack(row=56, what="another installation's folder")
def test_a_folder_that_is_not_the_runs_own_is_refused(
    settings: Settings, plugin: dict[str, Any], mount: Any
) -> None:
    run_dir = settings.run_dir
    (run_dir / "code" / ("a" * 64)).symlink_to("/etc")
    (run_dir / "code" / ("f" * 64)).write_text("a file")
    if isinstance(mount, dict) and "Source" in mount:
        mount = {**mount, "Source": mount["Source"].replace("{run_dir}", str(run_dir))}
    plugin["HostConfig"]["Mounts"] = [mount]

    with pytest.raises(Refused) as refusal:
        policy.judge(plugin, settings)

    assert refusal.value.rule == "mount"


@pytest.mark.attack(row=56, what="a folder through a link")
def test_a_link_on_the_way_to_a_folder_is_refused(
    settings: Settings, plugin: dict[str, Any], tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / ("b" * 64)).mkdir(parents=True)
    for folder in (settings.run_dir / "code").iterdir():
        folder.rmdir()
    (settings.run_dir / "code").rmdir()
    (settings.run_dir / "code").symlink_to(elsewhere)
    source = f"{settings.run_dir}/code/{'b' * 64}"
    plugin["HostConfig"]["Mounts"] = [bind(source)]

    with pytest.raises(Refused):
        policy.judge(plugin, settings)


def test_a_builder_has_no_folder_of_a_run(settings: Settings) -> None:
    builder = recorded("build", settings.run_dir)
    builder["HostConfig"]["Mounts"][-1]["Source"] = f"{settings.run_dir}/runs/{RUN}/socket"

    with pytest.raises(Refused):
        policy.judge(builder, settings)


@pytest.mark.parametrize(
    "network", ["bridge", "default", "host", "heimnetz_outbound", "container:x", "", None]
)
@pytest.mark.attack(row=56, what="a builder with a network")
def test_a_builder_has_no_network(settings: Settings, network: str | None) -> None:
    builder = recorded("build", settings.run_dir)
    builder["HostConfig"]["NetworkMode"] = network

    with pytest.raises(Refused) as refusal:
        policy.judge(builder, settings)

    assert refusal.value.rule == "network"


@pytest.mark.parametrize("mode", [None, "", "private", "keep-id", True])
def test_a_builder_has_the_user_namespace_of_the_services(
    settings: Settings, mode: str | bool | None
) -> None:
    builder = recorded("build", settings.run_dir)
    builder["HostConfig"]["UsernsMode"] = mode

    with pytest.raises(Refused) as refusal:
        policy.judge(builder, settings)

    assert refusal.value.rule == "namespace"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"{",
        b'{"Image": "a", "Image": "b"}',
        b'{"HostConfig": {"Privileged": false, "privileged": true}}',
        b'{"Memory": NaN}',
        b'{"Image": "\xff"}',
        b'{"a": ' * 50_000,
        b"[" * 100_000,
        '{"Image": "x"}'.encode("utf-16"),
        b'{"Image": "x"} {"Image": "y"}',
    ],
    ids=range(12),
)
@pytest.mark.attack(row=56, what="a body of two meanings")
def test_a_body_that_two_parsers_could_read_differently_is_refused(body: bytes) -> None:
    with pytest.raises(Refused):
        policy.parse(body)


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(key=st.text(min_size=1), value=_ANY)
def test_no_unknown_key_reaches_the_engine(key: str, value: Any) -> None:
    document = json.loads(
        (RECORDED / "create.http").read_bytes().partition(b"\r\n\r\n")[2].decode()
    )
    known = set(document["HostConfig"])
    if key in known:
        return
    document["HostConfig"][key] = value
    document["HostConfig"]["Mounts"] = []
    try:
        created = policy.judge(document, Settings())
    except Refused:
        return
    assert key not in created["HostConfig"]


def test_the_proxy_has_fewer_than_500_lines_of_code() -> None:
    source = Path(policy.__file__).parent

    lines = [
        line
        for file in source.glob("*.py")
        for line in file.read_text().splitlines()
        if line.strip() and not line.strip().startswith("#")
    ]

    assert len(lines) < 500
