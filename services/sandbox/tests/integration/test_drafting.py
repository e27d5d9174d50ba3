"""Working copies: run with their caps and their author's grants, and nothing of them stays."""

import socket
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from heimnetz_common.testing import KeyRing, eventually_sync
from heimnetz_manifest.packing import pack_files
from heimnetz_sandbox.model import MAX_PACKAGE_BYTES
from heimnetz_sandbox.testing import Stand, package, standing

pytestmark = pytest.mark.engine

SECRET = {
    "type": "object",
    "properties": {"key": {"type": "string", "secret": True}, "size": {"type": "integer"}},
    "required": ["key"],
}
REACHING = """
import urllib.request

def run(input, context):
    found = {}
    def attempt(name, work):
        try:
            found[name] = work()
        except Exception as error:
            found[name] = type(error).__name__
    attempt("site", lambda: urllib.request.urlopen(input["site"], timeout=5).read().decode())
    attempt("other", lambda: urllib.request.urlopen("http://other.example.org/").read())
    attempt("event", lambda: context.publish("a.b.v1", {}))
    attempt("call", lambda: context.call("neighbour", {}))
    attempt("storage", lambda: context.storage.put("k", "v") or context.storage.get("k").decode())
    return found
"""


@pytest.fixture(scope="module")
def stand(place: Path, postgres_url: str, key_ring: KeyRing) -> Iterator[Stand]:
    # The only servers that a test has are on this machine, which is near.
    far = "from heimnetz_sandbox import chambers; chambers.read_near = lambda: ()"
    with standing(place, postgres_url, key_ring, far) as stand:
        yield stand


@pytest.fixture
def site() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-length", "5")
            self.end_headers()
            self.wfile.write(b"hello")

        def log_message(self, *_: object) -> None:
            return

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        # Nothing is sent: this only asks the routing table.
        probe.connect(("192.0.2.1", 9))
        address = str(probe.getsockname()[0])
    server = ThreadingHTTPServer((address, 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"{address}:{server.server_port}"
    server.shutdown()
    server.server_close()


def send(
    stand: Stand, data: bytes, asked: dict[str, Any] | None = None, role: str = "owner", **more: Any
) -> httpx.Response:
    return stand.call(
        "POST",
        "/v1/drafts",
        role,
        files={"file": ("draft.tar.gz", data)},
        data={"draft": orjson.dumps(asked or {}).decode()},
        **more,
    )


def draft(
    stand: Stand,
    code: str,
    asked: dict[str, Any] | None = None,
    role: str = "owner",
    **manifest: Any,
) -> dict[str, Any]:
    answer = send(stand, package("draft", code, None, **manifest), asked, role)
    assert answer.status_code == 200, answer.text
    report: dict[str, Any] = answer.json()
    return report


def lines(report: dict[str, Any]) -> set[tuple[str, str]]:
    return {(line["stream"], line["text"]) for line in report["log"]}


def code_folders(stand: Stand) -> list[Path]:
    return list((stand.run_dir / "code").iterdir())


def test_a_working_copy_runs_and_nothing_of_it_stays(stand: Stand) -> None:
    report = draft(
        stand,
        "def run(input, context):\n    print('counting')\n    return input['n'] + 1",
        {"example": "two"},
        examples=[{"name": "one", "input": {"n": 1}}, {"name": "two", "input": {"n": 2}}],
    )

    assert (report["outcome"], report["result"], report["example"]) == ("ok", 3, "two")
    assert ("stdout", "counting") in lines(report)
    assert report["peak_memory_bytes"] > 1 << 20
    assert report["cpu_seconds"] > 0
    assert 0 < report["duration_seconds"] < 30
    assert stand.call("GET", "/v1/runs?plugin=draft").json()["items"] == []
    assert stand.call("GET", "/v1/plugins/draft/behaviour").json()["items"] == []
    assert stand.call("GET", "/v1/trials?plugin=draft&version=1.0.0").status_code == 404
    assert code_folders(stand) == []
    assert stand.containers() == []


def test_the_owners_draft_has_what_its_manifest_asks_for(stand: Stand, site: str) -> None:
    report = draft(
        stand,
        REACHING,
        {"input": {"site": f"http://{site}/"}},
        permissions={
            "network": [{"to": site, "reason": "r"}],
            "storage": {"size": "1 MiB", "reason": "r"},
            "publish": [{"event": "a.b.v1", "reason": "r"}],
        },
    )

    result = report["result"]
    assert report["has_grants"] is True
    assert (result["site"], result["event"], result["storage"]) == ("hello", None, "v")
    reached = {(one["kind"], one["target"], one["is_granted"]) for one in report["reached"]}
    assert reached >= {
        ("connect", site, True),
        ("connect", "other.example.org:80", False),
        ("publish", "a.b.v1", True),
        ("call", "neighbour", False),
        ("storage", "write", True),
    }
    assert (
        stand.fetch("SELECT 1 FROM outbox WHERE event_type = 'heimnetz.plugin.announced.v1'") == []
    )


@pytest.mark.attack(row=44, what="a publisher's working copy that grants itself the network")
def test_another_authors_draft_is_granted_nothing(stand: Stand, site: str) -> None:
    report = draft(
        stand,
        REACHING,
        {"input": {"site": f"http://{site}/"}},
        "publisher",
        permissions={
            "network": [{"to": site, "reason": "r"}],
            "storage": {"size": "1 MiB", "reason": "r"},
        },
    )

    assert report["has_grants"] is False
    assert report["result"]["site"] == "HTTPError"
    assert report["result"]["storage"] == "PermissionError"
    assert {one["is_granted"] for one in report["reached"]} == {False}


def test_a_draft_has_the_caps_of_its_manifest(stand: Stand) -> None:
    code = """
import time
def run(input, context):
    if input.get("what") == "sleep":
        time.sleep(60)
    return len(b"x" * (100 << 20))
"""
    limits = {"wall": "1 s", "memory": "64 MiB"}

    large = draft(stand, code, limits=limits)
    long = draft(stand, code, {"input": {"what": "sleep"}}, limits=limits)

    assert (large["outcome"], long["outcome"]) == ("out_of_memory", "timeout")
    assert large["result"] is None


def test_a_secret_is_given_or_made_up_and_never_in_the_log(stand: Stand) -> None:
    code = "def run(input, context):\n    print(context.config['key'])\n    return dict(context.config)"

    made_up = draft(stand, code, configuration=SECRET)
    given = draft(
        stand, code, {"configuration": {"key": "correcthorse", "size": 2}}, configuration=SECRET
    )
    wrong = draft(stand, code, {"configuration": {"size": "large"}}, configuration=SECRET)

    assert made_up["made_up_secrets"] == ["/key"]
    assert given["made_up_secrets"] == []
    assert given["result"] == {"key": "correcthorse", "size": 2}
    assert ("stdout", "***") in lines(given)
    assert wrong["outcome"] == "refused"
    assert "configuration" in wrong["reason"]


@pytest.mark.parametrize(
    ("data", "asked", "status", "kind"),
    [
        (b"no package", {}, 422, "invalid-draft"),
        (b"\0" * (MAX_PACKAGE_BYTES + 1), {}, 413, "too-large"),
        (pack_files({"plugin.yaml": b"manifest: 1"}), {}, 422, "invalid-draft"),
        (package("d", "", kind="service"), {}, 422, "invalid-draft"),
        (package("d", ""), {"example": "absent"}, 422, "invalid-draft"),
        (package("d", ""), {"input": 1}, 422, "invalid-input"),
        (package("d", ""), {"grants": ["network:a.example:1"]}, 422, "invalid-input"),
    ],
    ids=["no archive", "too large", "manifest", "service", "example", "input", "unknown key"],
)
def test_what_cannot_be_run_is_refused(
    stand: Stand, data: bytes, asked: dict[str, Any], status: int, kind: str
) -> None:
    answer = send(stand, data, asked)

    assert answer.status_code == status, answer.text
    assert answer.json()["type"].endswith(f"/{kind}")


def test_a_draft_without_a_package_or_with_more_is_refused(stand: Stand) -> None:
    data = package("d", "")

    answers = [
        stand.call("POST", "/v1/drafts", data={"draft": "{}"}, files={"draft": (None, "{}")}),
        stand.call("POST", "/v1/drafts", files={"file": ("a", data)}, data={"other": "1"}),
        stand.call("POST", "/v1/drafts", files=[("file", ("a", data)), ("file", ("b", data))]),
        stand.call(
            "POST", "/v1/drafts", content=data, headers={"content-type": "application/gzip"}
        ),
    ]

    assert [answer.status_code for answer in answers] == [422, 422, 422, 415]


def test_a_draft_ends_when_its_author_hangs_up_and_meanwhile_there_is_no_other(
    stand: Stand,
) -> None:
    slow = package("slow", "import time\ndef run(input, context): time.sleep(100)")
    asked = stand.client.build_request(
        "POST",
        f"{stand.url}/v1/drafts",
        headers=stand.keys.user("sandbox", "owner"),
        files={"file": ("a", slow)},
    )
    connection = HTTPConnection(asked.url.host, asked.url.port)

    connection.request("POST", "/v1/drafts", asked.read(), dict(asked.headers))
    eventually_sync(stand.containers)
    meanwhile = send(stand, slow)
    connection.close()
    # Long before its time is over, which would end it too.
    eventually_sync(lambda: not stand.containers() and not code_folders(stand), 15)

    assert meanwhile.status_code == 429
    assert draft(stand, "def run(input, context): return 1")["result"] == 1
