"""What holds the house up, looked at from inside the running stack."""

import json
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from ..conftest import PROJECT, Stack, eventually

pytestmark = [pytest.mark.stack, pytest.mark.timeout(1200)]

SERVICES = ("registry", "auditor", "sandbox", "monitor", "docs-gen")
SCHEMAS = tuple(name.replace("-", "_") for name in SERVICES)
ONE_SHOTS = {"init", "migrate", "runtime-python", "runtime-node", "builder"}
# Why each is root stands beside it in the compose file.
ROOT_USERS = {"certs", "engine-proxy"}


def inside(stack: Stack, service: str, code: str, *arguments: str) -> Any:
    """What a script of Python prints as JSON when it runs in the service's container."""
    said = stack.call(
        *("docker", "compose", "exec", "-T", service, "python", "-c", textwrap.dedent(code)),
        *arguments,
    )
    return json.loads(said.out)


def secret(stack: Stack, service: str, name: str) -> str:
    return stack.call(
        *("docker", "compose", "exec", "-T", service, "cat", f"/run/heimnetz/secrets/{name}")
    ).out.strip()


def psql(stack: Stack, role: str, sslmode: str, sql: str, password: str = "") -> tuple[int, str]:
    said = stack.call(
        *("docker", "compose", "exec", "-T", "-e", f"PGPASSWORD={password}", "postgres"),
        *("psql", f"sslmode={sslmode} host=postgres user={role} dbname=heimnetz", "-Atc", sql),
        check=False,
    )
    return said.code, said.out + said.err


def test_the_database_refuses_plaintext_and_takes_tls(stack: Stack) -> None:
    password = secret(stack, "registry", "postgres-password")

    refused = psql(stack, "registry", "disable", "select 1", password)
    taken = psql(stack, "registry", "require", "select 1", password)

    assert refused[0] != 0
    assert "no encryption" in refused[1]
    assert taken == (0, "1\n")


def test_the_bus_refuses_plaintext(stack: Stack) -> None:
    answer = inside(
        stack,
        "registry",
        """
        import json, socket
        bus = socket.create_connection(("nats", 4222), 5)
        hello = bus.recv(4096).decode()
        bus.sendall(b'CONNECT {"verbose":true,"tls_required":false}\\r\\nPING\\r\\n')
        rest = b""
        try:
            while data := bus.recv(4096):
                rest += data
        except OSError:
            pass
        print(json.dumps([hello, rest.decode("latin-1")]))
        """,
    )

    assert '"tls_required":true' in answer[0]
    assert "PONG" not in answer[1]


def test_every_service_refuses_plaintext_http(stack: Stack) -> None:
    answers = inside(
        stack,
        "registry",
        """
        import json, socket, sys
        found = {}
        for name in sys.argv[1:]:
            peer = socket.create_connection((name, 8000), 5)
            peer.sendall(b"GET /healthz HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
            try:
                found[name] = peer.recv(100).decode("latin-1")
            except OSError:
                found[name] = ""
        print(json.dumps(found))
        """,
        *SERVICES,
    )

    assert {name: text for name, text in answers.items() if "HTTP/1" in text} == {}


@pytest.mark.parametrize("service", SERVICES)
def test_a_role_reaches_its_own_schema_only_and_alters_nothing(stack: Stack, service: str) -> None:
    role, password = service.replace("-", "_"), secret(stack, service, "postgres-password")
    reached = {
        schema: psql(stack, role, "require", f"select count(*) from {schema}.outbox", password)[0]
        for schema in SCHEMAS
    }

    assert reached == {schema: 0 if schema == role else 1 for schema in SCHEMAS}
    for sql in (
        f"create table {role}.mine (x int)",
        f"alter table {role}.outbox add column x int",
        f"drop table {role}.outbox",
        "create role mine",
        "copy (select 1) to program 'id'",
        "select pg_read_file('/etc/passwd')",
    ):
        assert psql(stack, role, "require", sql, password)[0] != 0, sql


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_says_and_hears_on_the_bus_only_what_is_its_own(
    stack: Stack, service: str
) -> None:
    refusals = inside(
        stack,
        service,
        """
        import asyncio, json, ssl, sys
        import nats
        async def main():
            refused = []
            async def note(error):
                refused.append(str(error))
            tls = ssl.create_default_context(cafile="/run/heimnetz/secrets/ca.crt")
            password = open("/run/heimnetz/secrets/nats-password").read().strip()
            bus = await nats.connect("tls://nats:4222", user=sys.argv[1], password=password,
                tls=tls, error_cb=note, inbox_prefix=f"_INBOX_{sys.argv[1]}".encode())
            for subject in sys.argv[2:]:
                await bus.publish(subject, b"{}")
            await bus.subscribe("heimnetz.>")
            await bus.subscribe("_INBOX_migrate.>")
            await bus.flush()
            await asyncio.sleep(0.2)
            await bus.close()
            print(json.dumps(refused))
        asyncio.run(main())
        """,
        service,
        *(name for owner, name in FOREIGN.items() if owner != service),
        "$JS.API.STREAM.DELETE.HEIMNETZ",
        "$JS.API.STREAM.PURGE.HEIMNETZ",
    )
    said = "\n".join(refusals).lower()

    assert said.count("permissions violation for publish") == len(FOREIGN) - 1 + 2
    assert said.count("permissions violation for subscription") == 2


FOREIGN = {
    "registry": "heimnetz.version.approved.v1",
    "auditor": "heimnetz.version.audited.v1",
    "sandbox": "heimnetz.run.finished.v1",
    "monitor": "heimnetz.alert.raised.v1",
    "docs-gen": "heimnetz.docs.generated.v1",
}


@pytest.fixture(scope="module")
def containers(stack: Stack) -> dict[str, dict[str, Any]]:
    ids = stack.call(
        *("docker", "ps", "--quiet", "--filter", f"label=com.docker.compose.project={PROJECT}")
    ).out.split()
    found = json.loads(stack.call("docker", "inspect", *ids).out)
    # A plugin's container has the labels of its image, which Compose built.
    return {
        one["Config"]["Labels"]["com.docker.compose.service"]: one
        for one in found
        if "heimnetz.owner" not in one["Config"]["Labels"]
    }


def test_every_running_container_is_confined(containers: dict[str, dict[str, Any]]) -> None:
    assert len(containers) >= 11
    for name, container in containers.items():
        host, config = container["HostConfig"], container["Config"]
        kept = {"CHOWN", "FOWNER", "DAC_OVERRIDE"} if name == "certs" else set()
        assert (config["User"].partition(":")[0] == "0") is (name in ROOT_USERS), name
        assert host["CapDrop"] == ["ALL"], name
        assert {c.removeprefix("CAP_") for c in host["CapAdd"] or ()} == kept, name
        assert host["ReadonlyRootfs"], name
        assert not host["Privileged"], name
        assert "no-new-privileges:true" in host["SecurityOpt"], name
        assert 0 < host["Memory"] == host["MemorySwap"], name
        assert host["PidsLimit"] > 0, name
        assert host["LogConfig"]["Config"]["max-size"], name
        assert host["RestartPolicy"]["Name"] == "unless-stopped", name
        assert container["State"]["Health"]["Status"] == "healthy", name


def test_only_the_gateway_is_published_and_only_the_proxy_has_the_engine(
    containers: dict[str, dict[str, Any]],
) -> None:
    published = {
        name
        for name, one in containers.items()
        if any(
            one["NetworkSettings"]["Ports"].get(port) for port in one["NetworkSettings"]["Ports"]
        )
    }
    with_engine = {
        name
        for name, one in containers.items()
        if any(mount["Destination"].endswith("docker.sock") for mount in one["Mounts"])
    }

    assert published == {"gateway"}
    assert with_engine == {"engine-proxy"}


def test_only_those_with_a_reason_have_a_way_out(
    stack: Stack, containers: dict[str, dict[str, Any]]
) -> None:
    """Docker drops what leaves an internal network, so the networks are what has to be right."""
    closed = ("core", "catalogues")
    inspected = json.loads(
        stack.call("docker", "network", "inspect", *(f"{PROJECT}_{name}" for name in closed)).out
    )
    networks = {
        name: {key.removeprefix(f"{PROJECT}_") for key in one["NetworkSettings"]["Networks"]}
        for name, one in containers.items()
    }

    assert all(network["Internal"] for network in inspected)
    assert {name for name, some in networks.items() if some - {*closed, "none"}} == {
        "gateway",
        "alertmanager",
        # For what plugins were granted.
        "sandbox",
    }
    assert networks["certs"] == networks["engine-proxy"] == {"none"}


def test_a_stop_does_not_wait_for_idle_connections(stack: Stack) -> None:
    stack.call("docker", "compose", "restart", "--timeout", "9", "registry")
    stack.call("docker", "compose", "up", "--detach", "--wait")
    events = [line["event"] for line in stack.logs("registry")]

    assert "Application shutdown complete." in events
    assert not any("graceful shutdown exceeded" in event for event in events)


def test_a_trace_is_told_across_the_services(
    stack: Stack, http: httpx.Client, put_to_use: Callable[..., str]
) -> None:
    plugin = put_to_use("told", "def run(input, context):\n    return {}\n")
    run = json.loads(stack.heimnetz("run", plugin, "--json").out)

    def whole() -> dict[str, Any] | None:
        found = stack.heimnetz("trace", run["id"], "--json").json()
        seen = {(entry["service"], entry["what"]) for entry in found["entries"]}
        wanted = {
            ("sandbox", "event announced"),
            ("sandbox", "event sent"),
            ("monitor", "event handled"),
            ("sandbox", "run_finished"),
        }
        return found if wanted <= seen else None

    found = eventually(whole, within_seconds=30, what="the whole trace")
    event = next(e["detail"].split()[1] for e in found["entries"] if e["what"] == "event sent")

    assert found["trace_id"] == run["trace_id"]
    assert stack.heimnetz("trace", event, "--json").json()["trace_id"] == run["trace_id"]
    assert stack.heimnetz("trace", run["trace_id"]).code == 0
    assert stack.heimnetz("trace", "0" * 32, "--no-logs", check=False).code == 5


def test_the_history_is_sent_again_and_nothing_is_done_twice(
    stack: Stack, http: httpx.Client, put_to_use: Callable[..., str]
) -> None:
    plugin = put_to_use("again", "def run(input, context):\n    return {}\n")
    stack.heimnetz("run", plugin)
    before = http.get(f"/api/sandbox/v1/runs?plugin={plugin}").json()["items"]

    counts = stack.heimnetz("admin", "replay", "--since", "2026-01-01", "--json").json()

    assert counts["registry"] >= 3
    assert counts["sandbox"] >= 2
    assert http.get(f"/api/sandbox/v1/runs?plugin={plugin}").json()["items"] == before
    assert stack.heimnetz("admin", "letters").code == 0


def test_no_log_of_the_stack_carries_a_secret(
    stack: Stack, owner: str, put_to_use: Callable[..., str], tmp_path: Path
) -> None:
    planted = "pLanted-S3cret-value-9d1f"
    plugin = put_to_use(
        "keeper",
        "def run(input, context):\n    print(context.config['key'])\n    return {}\n",
        configuration="{type: object, properties: {key: {type: string, secret: true}}}",
    )
    stack.heimnetz("install", f"{plugin}@1.0.0", "--yes", "--config", f"key={planted}")
    run = stack.heimnetz("run", plugin, "--json").json()
    stack.heimnetz("whoami")
    with stack.http() as anybody:
        anybody.post("/api/registry/v1/sessions", json={"name": "a", "password": planted})
        anybody.get("/api/registry/v1/me", headers={"authorization": f"Bearer {planted}"})

    written = stack.call("docker", "compose", "logs", "--no-log-prefix").out
    secrets = {
        "the planted value": planted,
        "a token": owner,
        "the set-up token": secret(stack, "registry", "setup-token"),
        "a password of the database": secret(stack, "sandbox", "postgres-password"),
        "a password of the bus": secret(stack, "sandbox", "nats-password"),
        "the key of the secrets": secret(stack, "registry", "encryption.key"),
    }

    assert run["outcome"] == "ok"
    assert planted not in stack.heimnetz("logs", run["id"]).out
    assert [name for name, text in secrets.items() if text in written] == []
    assert "PRIVATE KEY" not in written
