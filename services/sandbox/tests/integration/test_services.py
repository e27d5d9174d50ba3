"""Services: started, looked at, started again, replaced; and their pages, from outside."""

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from heimnetz_common.testing import KeyRing, eventually_sync, free_port
from heimnetz_manifest import pack
from heimnetz_sandbox.conversing import SEEN_KINDS
from heimnetz_sandbox.testing import Stand, ask_engine, package, standing

LEAKER = Path(__file__).parents[4] / "tests" / "plugins" / "leaker"

pytestmark = pytest.mark.engine

ECHO = """
from heimnetz_sdk.serving import Response

VISITS = []

def run(input, context):
    def handle(request):
        VISITS.append(request.path)
        if request.path == "/fails":
            raise ValueError("no")
        if request.path == "/moves":
            headers = {"Location": "/elsewhere", "Set-Cookie": "a=1; Path=/; Domain=home",
                       "Service-Worker-Allowed": "/"}
            return Response(b"", 302, headers)
        return {"method": request.method, "path": request.path, "query": request.query,
                "headers": request.headers, "body": request.body.decode(),
                "visits": len(VISITS), "version": VERSION}

    context.serve(handle)
"""

# The same for Node.
NODE_ECHO = """
import { Response } from 'heimnetz-sdk';

const visits = [];

export async function run(input, context) {
  await context.serve(({ method, path, query, headers, body }) => {
    visits.push(path);
    if (path === '/fails') throw new Error('no');
    if (path === '/moves') {
      return new Response('', { status: 302, headers: { Location: '/elsewhere',
        'Set-Cookie': 'a=1; Path=/; Domain=home', 'Service-Worker-Allowed': '/' } });
    }
    return { method, path, query, headers, body: String(body), visits: visits.length };
  });
}
"""

# Where a test waits, it does so in seconds.
FAST = """
from heimnetz_sandbox import keeping, projecting
keeping.UP_SECONDS, keeping.PROBE_SECONDS, keeping.DRAIN_SECONDS = 3, 1, 1
projecting.prepare_all.__defaults__ = (0.3,)
"""


class Site:
    """The pages as a browser's gateway asks for them."""

    def __init__(self, stand: Stand, port: int) -> None:
        self.stand, self.port = stand, port
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)

    def install(self, name: str, code: str, version: str = "1", **manifest: Any) -> None:
        self.stand.install(name, code.replace("VERSION", repr(version)), kind="service", **manifest)

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.client.get(path, **options)

    def service(self, name: str) -> dict[str, Any]:
        """As it is; before it is known to be one, stopped."""
        unknown = {"state": "stopped", "run_id": None, "starts": 0, "reason": None}
        items = self.stand.call("GET", "/v1/services").json()["items"]
        return next((one for one in items if one["plugin"] == name), unknown)

    def is_up(self, name: str) -> bool:
        return bool(self.service(name)["state"] == "up") and self.get(f"/{name}/").status_code < 500


@pytest.fixture(scope="module")
def site(place: Path, postgres_url: str, key_ring: KeyRing) -> Iterator[Site]:
    port = free_port()
    with standing(place, postgres_url, key_ring, FAST, PAGES_PORT=str(port)) as stand:
        yield Site(stand, port)


@pytest.fixture(scope="module", params=["python", "node"])
def echo(request: pytest.FixtureRequest, site: Site) -> str:
    name = f"echo-{request.param}"
    files = {"plugin.mjs": NODE_ECHO} if request.param == "node" else {}
    site.install(name, ECHO, runtime=request.param, files=files)
    eventually_sync(lambda: site.is_up(name), 30)
    return name


def test_a_service_answers_many_requests_in_one_process(site: Site, echo: str) -> None:
    first, second = (site.get(f"/{echo}/a/b?c=1&c=2").json() for _ in range(2))

    assert (first["method"], first["path"], first["query"]) == ("GET", "/a/b", {"c": ["1", "2"]})
    assert second["visits"] > first["visits"]
    assert first["headers"]["x-forwarded-prefix"] == f"/{echo}"
    posted = site.client.post(f"/{echo}/x", content=iter([b"in ", b"pieces"])).json()
    assert posted["body"] == "in pieces"


@pytest.mark.attack(row=60, what="the platform's cookies and tokens")
def test_what_is_the_platform_s_is_not_passed_on(site: Site, echo: str) -> None:
    headers = {
        "Authorization": "Bearer hnz_abc",
        "Cookie": "theme=dark; __Host-heimnetz-session=x; heimnetz_csrf=y",
        "X-Forwarded-Prefix": "/other",
    }
    seen = site.get(f"/{echo}/", headers=headers).json()["headers"]

    assert "authorization" not in seen
    assert seen["cookie"] == "theme=dark"
    assert seen["x-forwarded-prefix"] == f"/{echo}"
    basic = site.client.get(f"/{echo}/", auth=("anna", "hnz_abc")).json()["headers"]
    assert "authorization" not in basic
    own = site.client.get(f"/{echo}/", auth=("anna", "own")).json()["headers"]
    assert own["authorization"].startswith("Basic ")


@pytest.mark.attack(row=60, what="cookies and workers beyond its own path")
def test_an_answer_reaches_no_further_than_the_plugin_s_own_path(site: Site, echo: str) -> None:
    answer = site.get(f"/{echo}/moves")

    assert answer.status_code == 302
    assert answer.headers["location"] == f"/{echo}/elsewhere"
    assert answer.headers["set-cookie"] == f"a=1; Path=/{echo}/"
    assert "service-worker-allowed" not in answer.headers
    assert site.get(f"/{echo}").headers["location"] == f"/{echo}/"


def test_one_request_that_fails_is_not_the_service_s_end(site: Site, echo: str) -> None:
    assert site.get(f"/{echo}/fails").status_code == 500
    assert site.get(f"/{echo}/").status_code == 200
    run_id = site.service(echo)["run_id"]
    eventually_sync(lambda: "Error: no" in site.stand.logs(run_id), 10)


def test_a_service_is_not_called_as_a_job_is(site: Site, echo: str) -> None:
    answer = site.stand.ask(echo)

    assert answer.status_code == 409
    assert answer.json()["type"].endswith("/plugin-not-callable")


@pytest.mark.parametrize("path", ["/", "/nobody/", "/no%20body/", "/UPPER/"])
def test_where_no_service_is_the_answer_says_so(site: Site, path: str) -> None:
    assert site.get(path).status_code in (404, 503)


RAW = r"""
HEAD = b"HTTP/1.1 200 OK\r\n"
held = []

def run(input, context):
    while True:
        connection, _ = context.listener.accept()
        head = connection.recv(65536)
        if b"GET /plain" in head or b"GET / " in head:
            connection.sendall(HEAD + b"content-length: 2\r\n\r\nok")
        elif b"GET /junk" in head:
            connection.sendall(b"junk" * 20000)
        elif b"GET /header" in head:
            connection.sendall(HEAD + b"x: a\0b\r\ncontent-length: 0\r\n\r\n")
        elif b"GET /early" in head:
            connection.sendall(b"HTTP/1.1 102 Processing\r\n\r\n" * 1000)
        elif b"GET /silent" in head:
            held.append(connection)
            continue
        elif b"POST /.well-known/heimnetz/drop-caches" in head:
            connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        elif b"GET /two" in head:
            connection.sendall((HEAD + b"content-length: 2\r\n\r\nok") * 2)
        elif b"pgrade: websocket" in head:
            connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n"
                               b"set-cookie: a=1; Path=/; Domain=home\r\nclear-site-data: *\r\n"
                               b"connection: upgrade\r\n\r\nhello ")
            connection.sendall(connection.recv(100).upper())
        connection.close()
"""


@pytest.fixture(scope="module")
def raw(site: Site) -> str:
    site.install("raw", RAW, limits={"open_files": 200})
    eventually_sync(lambda: site.is_up("raw"), 30)
    return "raw"


def test_an_answer_that_is_no_http_is_a_bad_gateway_and_others_go_on(site: Site, raw: str) -> None:
    for path in ("junk", "header", "nothing", "early"):
        assert site.get(f"/{raw}/{path}").status_code == 502
    assert site.get(f"/{raw}/two").text == "ok"
    assert site.get(f"/{raw}/plain").text == "ok"


def test_a_connection_that_changes_its_protocol_is_passed_through(site: Site, raw: str) -> None:
    with socket.create_connection(("127.0.0.1", site.port), 10) as browser:
        browser.sendall(
            f"GET /{raw}/ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
            "Upgrade: websocket\r\n\r\n".encode()
        )
        heard = b""
        while b"hello " not in heard:
            data = browser.recv(1000)
            assert data, heard
            heard += data
        browser.sendall(b"ping")
        while data := browser.recv(1000):
            heard += data

    assert heard.startswith(b"HTTP/1.1 101 ")
    assert heard.endswith(b"hello PING")
    head = heard.partition(b"\r\n\r\n")[0].lower()
    assert b"set-cookie: a=1; path=/raw/" in head
    assert b"domain" not in head
    assert b"clear-site-data" not in head


def test_a_request_that_nobody_waits_for_any_more_is_given_up(site: Site, raw: str) -> None:
    for _ in range(80):
        with socket.create_connection(("127.0.0.1", site.port), 10) as browser:
            browser.sendall(f"GET /{raw}/silent HTTP/1.1\r\nHost: x\r\n\r\n".encode())

    eventually_sync(lambda: site.get(f"/{raw}/plain").text == "ok", 10)


@pytest.fixture(scope="module")
def troubled(site: Site) -> Site:
    """Services that fail, each in its way, at the same time."""
    site.install("mayfly", "def run(input, context): raise ValueError('gone')")
    site.install("mute", "import time\ndef run(input, context): time.sleep(600)")
    frail = """
from heimnetz_sdk.serving import Response
asked = []
def run(input, context):
    context.serve(lambda request: Response(b"", 200 if len(asked) < 2 else 503))
"""
    frail = frail.replace("len(asked) < 2", "asked.append(1) or len(asked) < 2")
    site.install("frail", frail, health={"path": "/healthz", "interval": "5 s"})
    return site


def test_a_service_that_ends_is_started_again_later_and_later(troubled: Site) -> None:
    def has_failed_twice() -> bool:
        service = troubled.service("mayfly")
        return bool(service["state"] == "waiting" and service["starts"] >= 2)

    eventually_sync(has_failed_twice, 40)
    service = troubled.service("mayfly")
    assert "ValueError: gone" in service["reason"]
    assert troubled.get("/mayfly/").status_code == 503


def test_a_service_that_does_not_answer_is_ended_and_says_why(troubled: Site) -> None:
    reason = eventually_sync(lambda: troubled.service("mute")["reason"], 40)

    assert "it did not answer within 3 s" in reason


def test_a_service_whose_health_check_fails_is_started_again(troubled: Site) -> None:
    reason = eventually_sync(lambda: troubled.service("frail")["reason"], 60)

    assert "its health check failed 3 times in a row" in reason
    eventually_sync(lambda: troubled.service("frail")["starts"] >= 2, 40)


def test_a_new_version_takes_over_without_a_request_that_fails(site: Site) -> None:
    site.install("updated", ECHO, "1")
    eventually_sync(lambda: site.is_up("updated"), 30)
    site.install("updated", ECHO, "2")

    def is_new() -> bool:
        answer = site.get("/updated/")
        assert answer.status_code == 200
        return bool(answer.json()["version"] == "2")

    eventually_sync(is_new, 40)
    eventually_sync(lambda: len(running(site, "updated")) == 1, 40)
    assert is_new()


def running(site: Site, plugin: str) -> list[str]:
    rows = site.stand.fetch("SELECT id FROM runs WHERE plugin = $1 AND state = 'running'", plugin)
    return [row["id"] for row in rows]


def test_a_service_is_restarted_by_wish(site: Site) -> None:
    site.install("restarted", ECHO)
    eventually_sync(lambda: site.is_up("restarted"), 30)
    before = site.service("restarted")["run_id"]

    path = "/v1/services/restarted/restarts"
    assert site.stand.call("POST", path, "viewer").status_code == 403
    assert site.stand.call("POST", path).status_code == 202

    eventually_sync(lambda: site.service("restarted")["run_id"] != before, 30)
    eventually_sync(lambda: site.is_up("restarted"), 30)


@pytest.fixture(scope="module")
def leaker(site: Site) -> str:
    data = pack(LEAKER)
    site.stand.install_bytes("leaker", data, {"kind": "gradual", "mib_an_hour": 7200})
    eventually_sync(lambda: site.is_up("leaker"), 30)
    return "leaker"


def held_bytes(site: Site, plugin: str) -> float:
    page = site.stand.client.get(f"{site.stand.url}/metrics").text
    name = f'heimnetz_sandbox_service_memory_bytes{{plugin="{plugin}"}} '
    return next((float(line.split()[1]) for line in page.splitlines() if name in line), 0.0)


def test_a_leaking_service_under_load_is_recycled_without_a_request_that_fails(
    site: Site, leaker: str
) -> None:
    eventually_sync(lambda: held_bytes(site, leaker) > 24 << 20, 30)
    run_id = site.service(leaker)["run_id"]
    path, is_over = f"/v1/services/{leaker}/recycles", threading.Event()

    def load() -> list[httpx.Response]:
        answers = []
        while not is_over.is_set():
            answers.append(site.get(f"/{leaker}/"))
        return answers

    with ThreadPoolExecutor() as pool:
        # Longer than the old container is needed for anything else.
        slow = pool.submit(site.get, f"/{leaker}/?seconds=4")
        loads = [pool.submit(load) for _ in range(4)]
        try:
            assert site.stand.call("POST", path, "viewer").status_code == 403
            assert site.stand.call("POST", path).status_code == 202
            eventually_sync(lambda: site.service(leaker)["run_id"] != run_id, 30)
            eventually_sync(lambda: running(site, leaker) == [site.service(leaker)["run_id"]], 30)
        finally:
            is_over.set()
        answers = [answer for one in loads for answer in one.result()]

    assert slow.result().status_code == 200
    assert {answer.status_code for answer in answers} == {200}
    most = max(answer.json()["held_kib"] for answer in answers)
    assert site.get(f"/{leaker}/").json()["held_kib"] < most
    [old] = site.stand.fetch("SELECT finished_at FROM runs WHERE id = $1", run_id)
    [new] = site.stand.fetch(
        "SELECT up_since FROM runs WHERE id = $1", site.service(leaker)["run_id"]
    )
    assert new["up_since"] < old["finished_at"]


def test_the_next_container_of_a_leaking_service_names_the_line_that_holds_its_memory(
    site: Site, leaker: str
) -> None:
    before = site.service(leaker)["run_id"]

    path = f"/v1/plugins/{leaker}/memory-traces"
    assert site.stand.call("POST", path, "viewer").status_code == 403
    assert site.stand.call("POST", path).json()["is_service"] is True

    run_id = eventually_sync(lambda: site.service(leaker)["run_id"].replace(before, ""), 30)
    line = (LEAKER / "src/leaker/main.py").read_text().splitlines()
    number = 1 + line.index("            self._held.append(bytearray(KIB))")
    named = f"bytes by /plugin/src/leaker/main.py:{number}"
    eventually_sync(lambda: named in site.stand.logs(run_id), 40)


def test_a_limit_that_is_raised_holds_for_the_next_container_and_no_further(
    site: Site, leaker: str
) -> None:
    before = site.service(leaker)["run_id"]
    path, more = f"/v1/plugins/{leaker}/memory-limit", 160 << 20

    for wrong in (0, (1 << 30) + 1):
        assert site.stand.call("PUT", path, json={"memory_bytes": wrong}).status_code == 422
    assert site.stand.call("PUT", path, json={"memory_bytes": more}).status_code == 204

    run_id = eventually_sync(lambda: site.service(leaker)["run_id"].replace(before, ""), 30)
    [container] = eventually_sync(lambda: site.stand.containers(run_id), 20)
    limit = ask_engine(site.stand.engine, "inspect", "--format={{.HostConfig.Memory}}", container)
    assert int(limit) == more


def test_a_service_is_asked_to_drop_its_caches(site: Site, raw: str, echo: str) -> None:
    def ask(plugin: str) -> int:
        return site.stand.call("POST", f"/v1/services/{plugin}/cache-drops").status_code

    assert ask(raw) == 204
    assert (ask(echo), ask("nobody")) == (409, 409)


def test_a_service_that_does_not_run_is_not_recycled(site: Site) -> None:
    assert site.stand.call("POST", "/v1/services/nobody/recycles").status_code == 409


CURIOUS = """
import subprocess

def run(input, context):
    def attempt(deed, *given):
        try:
            deed(*given)
        except OSError:
            pass

    def handle(request):
        if request.path == "/touches":
            for name in ("passwd", "passwd", f"\\x1b{context.config['key']}"):
                attempt(open, f"/etc/{name}")
            attempt(subprocess.run, ["true"])
            attempt(context.storage.put, "k", "v")
            attempt(context.publish, "a.b.v1", {})
        if request.path == "/floods":
            for number in range(300):
                attempt(open, f"/etc/{number}")
        return {}

    context.serve(handle)
"""


def test_what_a_service_touches_is_known_while_it_runs_and_within_a_bound(site: Site) -> None:
    schema = {"type": "object", "properties": {"key": {"type": "string", "secret": True}}}
    storage = {"storage": {"size": "1 KiB", "reason": "r"}}
    data = package("nosy", CURIOUS, None, kind="service", configuration=schema, permissions=storage)
    site.stand.install_bytes("nosy", data, {"key": "correcthorse"})
    eventually_sync(lambda: site.is_up("nosy"), 30)

    def behaviour() -> list[tuple[str, str, bool]]:
        items = site.stand.call("GET", "/v1/plugins/nosy/behaviour").json()["items"]
        return [(one["kind"], one["target"], one["is_granted"]) for one in items]

    assert behaviour() == []
    site.get("/nosy/touches")
    eventually_sync(lambda: len(behaviour()) >= 5, 10)
    assert sorted(behaviour()) == [
        ("process", "true", True),
        ("publish", "a.b.v1", False),
        ("read", "/etc/\\x1b***", True),
        ("read", "/etc/passwd", True),
        ("storage", "write", True),
    ]

    site.get("/nosy/floods")
    eventually_sync(lambda: len(behaviour()) >= 202, 60)
    seen_by_runner = [kind for kind, _, _ in behaviour() if kind in SEEN_KINDS]
    assert len(seen_by_runner) == 200
    assert site.service("nosy")["state"] == "up"


@pytest.mark.parametrize("echo", ["python"], indirect=True)
def test_a_service_that_holds_its_connections_does_not_hold_up_another(
    site: Site, echo: str
) -> None:
    code = """
held = []
def run(input, context):
    while True:
        connection, _ = context.listener.accept()
        head = connection.recv(65536)
        if b"GET / " in head:
            connection.sendall(b"HTTP/1.1 200 OK\\r\\ncontent-length: 0\\r\\n\\r\\n")
        else:
            held.append(connection)
"""
    site.install("holder", code, limits={"open_files": 200})
    eventually_sync(lambda: site.is_up("holder"), 30)
    browsers = [socket.create_connection(("127.0.0.1", site.port), 10) for _ in range(70)]
    try:
        for browser in browsers:
            browser.sendall(b"GET /holder/slow HTTP/1.1\r\nHost: x\r\n\r\n")

        eventually_sync(lambda: site.get("/holder/slow").status_code == 503, 20)
        assert site.get(f"/{echo}/").status_code == 200
    finally:
        for browser in browsers:
            browser.close()


@pytest.mark.parametrize("language", ["python", "node"])
def test_what_the_template_of_an_api_makes_serves_and_keeps_its_list(
    site: Site, language: str, tmp_path: Path
) -> None:
    name = f"shopping-{language}"
    command = [sys.executable, "-m", "heimnetz_cli", "new", name, "--template", "api"]
    command += ["--language", language, "--in", str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True)
    manifest = tmp_path / name / "plugin.yaml"
    manifest.write_text(manifest.read_text().replace("version: 0.1.0", "version: 1.0.0"))
    site.stand.install_bytes(name, pack(tmp_path / name))
    eventually_sync(lambda: site.is_up(name), 30)

    added = site.client.post(f"/{name}/items", json={"name": "milk", "amount": 2})
    wrong = site.client.post(f"/{name}/items", json={"name": "milk", "amount": 0})

    assert (added.status_code, wrong.status_code) == (201, 422)
    assert site.get(f"/{name}/items").json() == {"items": [added.json()]}
    assert site.client.delete(f"/{name}/items/{added.json()['id']}").status_code == 204
    refused = site.client.put(f"/{name}/items", json={})
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, POST")
