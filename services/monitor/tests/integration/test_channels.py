"""From a test message to the owner's mail, phone and chat, through a real Alertmanager."""

import json
import socketserver
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import docker
import httpx
import pytest
import yaml

from heimnetz_common.http import ServiceClient
from heimnetz_common.testing import KeyRing, eventually_sync, free_port, image_of
from heimnetz_init import channels
from heimnetz_monitor.model import DeliveryState
from heimnetz_monitor.notifying import TEST_ALERT, Notifier, read_counts

DEPLOY = Path(__file__).parents[4] / "deploy"
IMAGE = image_of("ALERTMANAGER_IMAGE", "prom/alertmanager:v0.28.1")


class Web(BaseHTTPRequestHandler):
    """ntfy, Telegram, a webhook and one that refuses, all at one address."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        heard = self.server.heard  # type: ignore[attr-defined]
        heard.append((self.path, self.headers.get("authorization"), body))
        self.send_response(400 if "refuse" in self.path else 200)
        answer = b'{"ok": true, "result": {"message_id": 1, "chat": {"id": 7}, "date": 1}}'
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        pass


class Mail(socketserver.StreamRequestHandler):
    """As much of RFC 5321 as it takes to accept a message."""

    def handle(self) -> None:
        def say(text: str) -> None:
            self.wfile.write(f"{text}\r\n".encode())

        say("220 mail.test")
        while line := self.rfile.readline():
            word = line[:4].upper().strip()
            if word == b"DATA":
                say("354 go on")
                lines = []
                while (line := self.rfile.readline()) != b".\r\n":
                    lines.append(line)
                self.server.heard.append(b"".join(lines))  # type: ignore[attr-defined]
            if word == b"QUIT":
                say("221 bye")
                return
            say("250 fine")


@pytest.fixture(scope="module")
def web() -> Iterator[Any]:
    yield from _serving(ThreadingHTTPServer(("127.0.0.1", 0), Web))


@pytest.fixture(scope="module")
def mail() -> Iterator[Any]:
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Mail)
    server.daemon_threads = True
    yield from _serving(server)


def _serving(server: Any) -> Iterator[Any]:
    server.heard = []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def port_of(server: Any) -> int:
    return int(server.server_address[1])


@pytest.fixture(scope="module")
def configured(tmp_path_factory: pytest.TempPathFactory, web: Any, mail: Any) -> Path:
    """A folder with what init would put into Alertmanager's volume."""
    folder = tmp_path_factory.mktemp("alertmanager")
    at = f"http://127.0.0.1:{port_of(web)}"
    (folder / "secrets").mkdir()
    for name in ("ntfy-token", "bot-token"):
        (folder / "secrets" / name).write_text(f"hush-{name}")
    (folder / "secrets" / "refusing-url").write_text(f"{at}/refuse/hush-url")
    entries = [
        {
            "name": "mail",
            "kind": "email",
            "to": ["anna@example.org"],
            "from": "heimnetz@example.org",
            "server": f"127.0.0.1:{port_of(mail)}",
            "tls": False,
        },
        {"name": "phone", "kind": "ntfy", "url": f"{at}/topic", "token_file": "ntfy-token"},
        {
            "name": "chat",
            "kind": "telegram",
            "chat_id": 7,
            "bot_token_file": "bot-token",
            "server": at,
        },
        {"name": "house", "kind": "webhook", "url": f"{at}/house", "severity": "critical"},
        {"name": "broken", "kind": "webhook", "url_file": "refusing-url"},
    ]
    (folder / "channels.yml").write_text(yaml.safe_dump({"channels": entries}))
    base = yaml.safe_load((DEPLOY / "alertmanager" / "alertmanager.yml").read_text("utf-8"))
    [monitor] = base["receivers"]
    monitor["webhook_configs"] = [{"url": f"{at}/monitor"}]
    rendered = channels.render(base, channels.read(folder), folder, "/checked/channels")
    (folder / "channels").mkdir()
    for name, text in rendered.secrets.items():
        (folder / "channels" / name).write_text(text)
    (folder / "alertmanager.yml").write_text(json.dumps(rendered.configuration))
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755)
    return folder


@pytest.fixture
def alertmanager(configured: Path) -> Iterator[tuple[str, Any]]:
    engine = docker.from_env()
    port = free_port()
    container = engine.containers.run(
        IMAGE,
        entrypoint=["alertmanager", "--config.file=/checked/alertmanager.yml"],
        command=[
            "--storage.path=/data",
            "--cluster.listen-address=",
            "--enable-feature=receiver-name-in-metrics",
            "--log.level=debug",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        detach=True,
        network_mode="host",
        user="65534:65534",
        tmpfs={"/data": "mode=1777"},
        volumes={str(configured): {"bind": "/checked", "mode": "ro"}},
    )
    url = f"http://127.0.0.1:{port}"

    def is_ready() -> bool:
        try:
            return httpx.get(f"{url}/-/ready").is_success
        except httpx.TransportError:
            return False

    try:
        eventually_sync(is_ready)
        yield url, container
    finally:
        container.remove(force=True, v=True)
        engine.close()


@pytest.mark.engine
async def test_a_test_message_says_which_channels_it_reached(
    alertmanager: tuple[str, Any], key_ring: KeyRing, web: Any, mail: Any
) -> None:
    url, container = alertmanager
    client = ServiceClient(url, audience="alertmanager", keys=key_ring.keys("monitor"))

    found = await Notifier(client, 15).test()

    status = await client.get("/api/v2/status")
    await client.close()
    heard = {path.partition("?")[0]: (path, token, body) for path, token, body in web.heard}
    assert {item.channel: item.state for item in found} == {
        "broken": DeliveryState.FAILED,
        "chat": DeliveryState.ARRIVED,
        "house": DeliveryState.ARRIVED,
        "mail": DeliveryState.ARRIVED,
        "phone": DeliveryState.ARRIVED,
    }
    assert "/monitor" not in heard
    [letter] = mail.heard
    assert b"Subject: Heimnetz: ChannelTest" in letter
    assert b"A test of where alerts go" in letter
    path, token, _ = heard["/topic"]
    assert "tpl=yes&title=Heimnetz" in path
    assert token == "Bearer hush-ntfy-token"
    text = json.loads(heard["/bothush-bot-token/sendMessage"][2])["text"]
    assert text.startswith("A test of where alerts go")
    assert json.loads(heard["/house"][2])["commonLabels"]["alertname"] == TEST_ALERT
    logs = container.logs().decode()
    assert "test-broken" in logs
    assert "hush" not in logs + json.dumps(status)


@pytest.mark.engine
def test_alertmanager_takes_the_configuration_and_tells_the_owner_and_the_monitor(
    configured: Path,
) -> None:
    test = "amtool config routes test --config.file=alertmanager.yml alertname="
    script = (
        f"amtool check-config alertmanager.yml >&2 && {test}X severity=critical && "
        f"{test}X severity=warning && {test}X severity=info && {test}Watchdog severity=info && "
        f"{test}{TEST_ALERT} severity=info"
    )
    command = ["docker", "run", "--rm", "--network=none", "--user=65534:65534", "--entrypoint=sh"]
    command += ["--volume", f"{configured}:/checked:ro", "--workdir=/checked", IMAGE, "-c", script]

    said = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)

    assert said.returncode == 0, said.stderr
    owner = ["owner-mail", "owner-phone", "owner-chat"]
    told = [line.split(",") for line in said.stdout.splitlines()]
    assert told == [
        [*owner, "owner-house", "owner-broken", "monitor"],
        [*owner, "owner-broken", "monitor"],
        ["monitor"],
        ["monitor"],
        ["test-mail", "test-phone", "test-chat", "test-house", "test-broken"],
    ]


def test_only_the_receivers_of_tests_are_counted() -> None:
    name = "alertmanager_notification_requests"
    page = (
        f'{name}_total{{integration="email",receiver_name="owner-mail"}} 7\n'
        f'{name}_total{{integration="email",receiver_name="test-mail"}} 3\n'
        f'{name}_failed_total{{integration="email",receiver_name="test-mail"}} 2\n'
    )

    assert read_counts(page) == {"mail": (3, 2)}


async def test_a_channel_that_neither_takes_nor_refuses_is_not_waited_for_for_ever(
    key_ring: KeyRing,
) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        is_list = request.url.path == "/api/v2/receivers"
        return httpx.Response(200, content=b'[{"name": "test-slow"}]' if is_list else b"")

    client = ServiceClient(
        "http://alertmanager.test",
        audience="alertmanager",
        keys=key_ring.keys("monitor"),
        transport=httpx.MockTransport(answer),
    )

    [found] = await Notifier(client, 0.05).test()

    assert found.state is DeliveryState.UNANSWERED
