"""What every container of the stack is held to, read from the compose file as Compose resolves it."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
ONE_SHOTS = {"init", "migrate", "runtime-python", "runtime-node", "builder"}
# Why each is root stands beside it in the compose file.
ROOT_USERS = {"init", "certs", "engine-proxy"}
CAPABILITIES = {name: {"CHOWN", "FOWNER", "DAC_OVERRIDE"} for name in ("init", "certs")}
# The sandbox for what plugins were granted; they have no network themselves.
WITH_A_WAY_OUT = {"gateway", "alertmanager", "sandbox"}


def resolve(**variables: str) -> dict[str, Any]:
    # Without .env and the caller's variables: the file itself, with its defaults.
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **variables}
    command = ["docker", "compose", "--env-file", os.devnull, "--file", "docker-compose.yml"]
    done = subprocess.run(
        [*command, "config", "--format", "json"],
        cwd=ROOT,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(done.stdout)


STACK = resolve()
SERVICES: dict[str, dict[str, Any]] = STACK["services"]
each = pytest.mark.parametrize("name", sorted(SERVICES))


@each
def test_a_container_has_a_numeric_user_that_is_not_root(name):
    uid = SERVICES[name]["user"].partition(":")[0]

    assert uid.isdecimal()
    assert (uid == "0") is (name in ROOT_USERS)


@each
def test_a_container_has_a_read_only_root(name):
    assert SERVICES[name]["read_only"] is True


@each
def test_a_container_drops_every_capability(name):
    assert SERVICES[name]["cap_drop"] == ["ALL"]
    assert set(SERVICES[name].get("cap_add") or ()) == CAPABILITIES.get(name, set())


@each
def test_a_container_cannot_gain_privileges(name):
    service = SERVICES[name]

    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service.get("privileged")
    assert not service.get("devices")
    assert not service.get("pid")
    assert not service.get("ipc")


@each
def test_where_the_engine_maps_users_the_stacks_own_stay_who_they_are(name):
    assert SERVICES[name]["userns_mode"] == "host"


@each
def test_a_container_has_caps_on_memory_swap_and_processes(name):
    service = SERVICES[name]

    assert int(service["mem_limit"]) > 0
    assert service["memswap_limit"] == service["mem_limit"]
    assert service["pids_limit"] > 0


@each
def test_logs_are_bounded(name):
    logging = SERVICES[name]["logging"]

    assert logging["driver"] == "local"
    assert logging["options"] == {"max-size": "10m", "max-file": "3"}


@each
def test_a_container_is_restarted_unless_its_work_is_done_once(name):
    assert SERVICES[name]["restart"] == ("no" if name in ONE_SHOTS else "unless-stopped")


@each
def test_a_container_that_stays_is_checked(name):
    check = SERVICES[name].get("healthcheck") or {}

    assert bool(check.get("test")) is (name not in ONE_SHOTS)


@each
def test_only_the_gateway_publishes_ports(name):
    ports = {port["target"] for port in SERVICES[name].get("ports", ())}

    assert ports == ({8443, 8444} if name == "gateway" else set())


@each
def test_only_the_engine_proxy_reaches_the_engine(name):
    sockets = [
        item for item in SERVICES[name].get("volumes", ()) if "docker.sock" in item["target"]
    ]

    assert bool(sockets) is (name == "engine-proxy")


def with_a_way_out(stack):
    return {
        name
        for name, service in stack["services"].items()
        for network in service.get("networks") or {}
        if not stack["networks"][network].get("internal")
    }


def test_only_named_containers_have_a_way_out():
    assert with_a_way_out(STACK) == WITH_A_WAY_OUT


def test_the_registry_has_one_besides_when_the_owner_takes_plugins_from_elsewhere():
    opened = resolve(HEIMNETZ_CATALOGUES_INTERNAL="false")

    assert with_a_way_out(opened) == WITH_A_WAY_OUT | {"registry"}


@each
def test_an_image_has_an_exact_version(name):
    tag = SERVICES[name]["image"].rpartition(":")[2]

    assert tag.removeprefix("v").count(".") == 2
    assert all(part.isdecimal() for part in tag.removeprefix("v").split("."))


@each
def test_a_build_starts_from_an_exact_version(name):
    for image in (SERVICES[name].get("build") or {}).get("args", {}).values():
        version = image.rpartition(":")[2].partition("-")[0]
        # PostgreSQL's releases have two numbers, everybody else's three.
        assert version.count(".") == (1 if image.startswith("postgres:") else 2), image


@each
def test_no_secret_is_in_a_variable(name):
    for variable in SERVICES[name].get("environment") or {}:
        is_secret = any(word in variable for word in ("PASSWORD", "TOKEN", "SECRET", "KEY"))
        assert not is_secret or variable.endswith(("__FILE", "_FILE", "_CERT_KEY")), variable


@each
def test_a_container_sees_its_own_secrets_only(name):
    seen = {
        item["source"]
        for item in SERVICES[name].get("volumes", ())
        if item["type"] == "volume" and item["source"].startswith("secrets-")
    }

    if name not in {"init", "certs"}:
        assert seen <= {f"secrets-{name}"}


@each
def test_secrets_are_mounted_read_only(name):
    for item in SERVICES[name].get("volumes", ()):
        if item["target"] == "/run/heimnetz/secrets":
            assert item["read_only"] is True


def test_init_makes_a_volume_for_every_party_and_mounts_every_volume():
    from heimnetz_init.model import DATA_VOLUMES, PARTIES

    targets = {item["target"] for item in SERVICES["init"]["volumes"]}

    wanted = {f"/run/heimnetz/secrets/{party.name}" for party in PARTIES}
    wanted |= {f"/run/heimnetz/data/{volume.name}" for volume in DATA_VOLUMES}
    # Where alerts go is the owner's to say, in a file that init reads.
    assert targets == wanted | {"/run/heimnetz/secrets/ca", "/etc/heimnetz/alertmanager"}


def test_containers_run_as_the_users_that_init_gives_their_secrets_to():
    from heimnetz_init.model import PARTIES

    for party in PARTIES:
        assert SERVICES[party.name]["user"].partition(":")[0] == str(party.uid)
