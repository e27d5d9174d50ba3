"""What the engine is asked for, where an OCI runtime was chosen."""

from typing import Any

import pytest

from heimnetz_sandbox import containers
from heimnetz_sandbox.model import Limits, Program

IDENTITY = containers.Identity("stack", "instance", "01a2", "plain", "run")


def host(oci_runtime: str) -> dict[str, Any]:
    document = containers.plugin(
        IDENTITY,
        image="runtime",
        command=["run"],
        uid=20_000,
        limits=Limits(processes=64),
        own_processes=3,
        folders={},
        image_variables=[],
        oci_runtime=oci_runtime,
    )
    found: dict[str, Any] = document["HostConfig"]
    return found


def test_without_a_choice_the_engine_s_default_runs_plugins() -> None:
    assert "Runtime" not in host("")
    assert host("")["PidsLimit"] == 67


def test_gvisor_has_room_for_its_own_threads() -> None:
    assert host("runsc")["Runtime"] == "runsc"
    assert host("runsc")["PidsLimit"] == 67 + containers.SENTRY_THREADS
    assert host("kata")["PidsLimit"] == 67


@pytest.mark.parametrize(
    ("runtime", "kind", "words"),
    [
        ("python", "job", ""),
        ("python", "service", "a listening socket"),
        ("node", "job", "but not read"),
    ],
)
def test_what_cannot_run_behind_gvisor_is_told_before_it_is_tried(
    runtime: str, kind: str, words: str
) -> None:
    program = Program(runtime, "plugin:run", Limits(), "0" * 64, kind=kind)

    assert words in (containers.why_impossible("runsc", program) or "")
    assert (containers.why_impossible("runsc", program) is None) == (not words)
    assert containers.why_impossible("", program) is None


@pytest.mark.parametrize(
    ("name", "registered", "words"),
    [
        ("", {}, None),
        ("kata", {"kata": {"path": "kata"}}, None),
        ("kata", {"runc": {}}, "has no runtime 'kata'"),
        ("runsc", {"runsc": {}}, "lacks --host-uds=open --oci-seccomp --network=none"),
        ("runsc", {"runsc": {"runtimeArgs": ["--network=none"]}}, "--host-uds=open --oci-seccomp"),
        ("runsc", {"runsc": {"runtimeArgs": [*containers.RUNSC_FLAGS, "--debug"]}}, None),
    ],
)
def test_a_runtime_that_is_missing_or_lacks_a_flag_is_named(
    name: str, registered: dict[str, Any], words: str | None
) -> None:
    why = containers.why_unfit(name, registered)

    assert (why is None) if words is None else words in str(why)
