"""What every runtime does alike: docs/runner-protocol.md, told by plugins that do the same."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from heimnetz_common.testing import eventually_sync
from heimnetz_sandbox.testing import Stand

pytestmark = pytest.mark.engine

PYTHON = """
import ctypes, errno, json, os, socket, subprocess, sys, time, urllib.request

calls = []
MARK = "/tmp/mark"

def run(input, context):
    calls.append(1)
    return globals()[input["do"]](input, context)

def answers(input, context):
    print("to stdout")
    print("to stderr", file=sys.stderr)
    context.log("to the log")
    (context.out / "greeting.txt").write_text(
        context.files["name.txt"].read_text() + context.config["end"]
    )
    (context.out / "link").symlink_to("/etc/passwd")
    (context.out / "folder").mkdir()
    return {"got": input["value"], "trace": context.trace_id, "run": context.run_id}

def throws(input, context):
    raise ValueError("no reading here")

def eats(input, context):
    hoard = []
    while True:
        hoard.append(bytearray(b"x") * (4 << 20))

def counts(input, context):
    was_there = os.path.exists(MARK)
    open(MARK, "w").close()
    return {"calls": len(calls), "was_there": was_there}

def answers_too_much(input, context):
    return "x" * (2 << 20)

def answers_no_json(input, context):
    return {"value": float("nan")}

def floods(input, context):
    while True:
        print("x" * 1000)

def exits(input, context):
    os._exit(3)

def fills(input, context):
    with open("/tmp/big", "wb") as file:
        while True:
            file.write(b"x" * (1 << 20))

def leaves_children(input, context):
    subprocess.Popen(["sh", "-c", "while :; do echo x >> /out/grows; done"])
    while not os.path.exists("/out/grows"):
        time.sleep(0.01)
    return {}

def stores(input, context):
    context.storage.put("a/b", "one")
    context.storage.put("b", b"\\x00\\xff")
    context.storage.delete("b")
    found = context.storage.get("a/b").decode()
    return {"found": found, "gone": context.storage.get("b"), "keys": context.storage.keys("a")}

def is_denied(input, context):
    told = {}
    try:
        urllib.request.urlopen("https://not-granted.test/")
    except OSError as error:
        told["https"] = "403" in str(error)
    try:
        context.publish("not-granted", {})
    except PermissionError:
        told["publish"] = True
    try:
        socket.create_connection(("192.0.2.1", 80))
    except OSError as error:
        told["socket"] = errno.errorcode[error.errno]
    return told

def touches(input, context):
    for deed in (
        lambda: open("/etc/passwd").read(),
        lambda: open("/etc/\x1b[31mred"),
        lambda: open("/etc/left", "w"),
        lambda: subprocess.run(["true"]),
        lambda: ctypes.CDLL("/tmp/not.so"),
        lambda: socket.create_connection(("192.0.2.1", 80)),
        lambda: socket.getaddrinfo("name.test", 80),
        lambda: context.storage.put("k", "v"),
        lambda: context.publish("not-granted\x1b", {}),
        lambda: context.call("nobody", {}),
    ):
        try:
            deed()
        except OSError:
            pass
    return {}

def forges(input, context):
    for number in range(3, 64):
        try:
            os.write(number, b'\\x00\\x00\\x00\\x0e{"type":"end"}')
        except OSError:
            pass
    return {}

def reaches(input, context):
    return {each.__name__: each(input, context) for each in (stores, is_denied, pries)}

def pries(input, context):
    told = {}
    for name in ("mem", "fd", "environ"):
        try:
            path = f"/proc/1/{name}"
            os.listdir(path) if name == "fd" else open(path, "rb").read(1)
            told[name] = "open"
        except OSError as error:
            told[name] = errno.errorcode[error.errno]
    return told
"""

NODE = """
import { execFile, spawn } from 'node:child_process';
import fs from 'node:fs';
import https from 'node:https';
import { lookup } from 'node:dns/promises';
import net from 'node:net';
import { once } from 'node:events';

const calls = [];
const MARK = '/tmp/mark';

export function run(input, context) {
  calls.push(1);
  return { answers, throws, eats, counts, answers_too_much, answers_no_json, floods, exits, fills,
    leaves_children, touches, forges, reaches }[input.do](input, context);
}

function answers(input, context) {
  console.log('to stdout');
  console.error('to stderr');
  context.log('to the log');
  const name = fs.readFileSync(context.files['name.txt'], 'utf8');
  fs.writeFileSync(`${context.out}/greeting.txt`, name + context.config.end);
  fs.symlinkSync('/etc/passwd', `${context.out}/link`);
  fs.mkdirSync(`${context.out}/folder`);
  return { got: input.value, trace: context.trace_id, run: context.run_id };
}

async function throws() {
  throw new TypeError('no reading here');
}

function eats() {
  for (const hoard = []; ; ) hoard.push(Buffer.alloc(4 << 20, 'x'));
}

function counts() {
  const was_there = fs.existsSync(MARK);
  fs.writeFileSync(MARK, '');
  return { calls: calls.length, was_there };
}

const answers_too_much = () => 'x'.repeat(2 << 20);
const answers_no_json = () => ({ value: NaN });
function floods() {
  for (;;) console.log('x'.repeat(1000));
}

const exits = () => process.exit(3);

function fills() {
  for (const file = fs.openSync('/tmp/big', 'w'); ; ) fs.writeSync(file, Buffer.alloc(1 << 20, 'x'));
}

async function leaves_children() {
  spawn('sh', ['-c', 'while :; do echo x >> /out/grows; done'], { detached: true });
  while (!fs.existsSync('/out/grows')) await new Promise((resolve) => setTimeout(resolve, 10));
  return {};
}

async function stores(input, { storage }) {
  await storage.put('a/b', 'one');
  await storage.put('b', Buffer.from([0, 255]));
  await storage.delete('b');
  const found = (await storage.get('a/b')).toString();
  return { found, gone: await storage.get('b'), keys: await storage.keys('a') };
}

async function is_denied(input, context) {
  const told = {};
  const failed = await fetch('https://not-granted.test/').catch((error) => error.cause);
  const also = await once(https.get('https://not-granted.test/'), 'response').catch((error) => error);
  told.https = failed.code === 'EACCES' && also.code === 'EACCES';
  told.publish = await context.publish('not-granted', {}).catch((error) => error.code === 'EACCES');
  told.socket = await once(net.connect(80, '192.0.2.1'), 'connect').catch((error) => error.code);
  return told;
}

async function touches(input, context) {
  for (const deed of [
    () => fs.readFileSync('/etc/passwd'),
    () => new Promise((done) => fs.open('/etc/passwd', done)),
    () => fs.promises.open('/etc/\x1b[31mred'),
    () => fs.writeFileSync('/etc/left', ''),
    () => once(spawn('true'), 'exit'),
    () => process.dlopen({ exports: {} }, '/tmp/not.so'),
    () => once(net.connect(80, '192.0.2.1'), 'connect'),
    () => lookup('name.test'),
    () => context.storage.put('k', 'v'),
    () => context.publish('not-granted\x1b', {}),
    () => context.call('nobody'),
  ]) {
    try {
      await deed();
    } catch {}
  }
  return {};
}

function forges() {
  const frame = Buffer.from('\\0\\0\\0\\x0e{"type":"end"}', 'latin1');
  for (let number = 3; number < 64; number++) {
    try {
      fs.writeSync(number, frame);
    } catch {}
  }
  return {};
}

async function reaches(input, context) {
  return {
    stores: await stores(input, context),
    is_denied: await is_denied(input, context),
    pries: pries(),
  };
}

function pries() {
  const told = {};
  for (const name of ['mem', 'fd', 'environ']) {
    try {
      const path = `/proc/1/${name}`;
      name === 'fd' ? fs.readdirSync(path) : fs.readSync(fs.openSync(path), Buffer.alloc(1));
      told[name] = 'open';
    } catch (error) {
      told[name] = error.code;
    }
  }
  return told;
}
"""

# What the plugin asks for, and what it gets: all of it the same in every runtime.
MANIFEST: dict[str, Any] = {
    "permissions": {"storage": {"size": "64 KiB", "reason": "A test"}},
    "limits": {"memory": "128 MiB", "cpu": 1, "wall": "20 s", "tmp": "4 MiB", "result": "1 MiB"},
}
GIVEN = {
    "python": {"code": PYTHON, "runtime": "python"},
    "node": {"files": {"plugin.mjs": NODE}, "runtime": "node"},
}


TOUCHED = {
    ("read", "/etc/passwd", True),
    ("read", "/etc/\\x1b[31mred", True),
    ("write", "/etc/left", True),
    ("process", "true", True),
    ("native", "/tmp/not.so", True),
    ("connect", "192.0.2.1:80", False),
    ("resolve", "name.test", False),
    ("storage", "write", True),
    ("publish", "not-granted\\x1b", False),
    ("call", "nobody", False),
}
DEEDS = (
    *("answers", "throws", "eats", "counts", "counts", "answers_too_much", "answers_no_json"),
    *("floods", "exits", "fills", "leaves_children", "touches", "forges", "reaches"),
)


@pytest.fixture(scope="module", params=sorted(GIVEN))
def runs(request: pytest.FixtureRequest, stand: Stand) -> dict[str, list[str]]:
    """The runs of every deed, asked for at once: they wait for each other, the tests for theirs."""
    name = f"alike-{request.param}"
    stand.install(name, **GIVEN[request.param], configuration={"end": "!"}, **MANIFEST)
    asked: dict[str, list[str]] = {deed: [] for deed in DEEDS}
    for deed in DEEDS:
        document = json.dumps({"do": deed, "value": [1, 2.5, "ü", None]})
        answer = stand.call(
            "POST",
            f"/v1/plugins/{name}/runs",
            data={"input": document},
            files=[("file", ("name.txt", b"anna"))],
        )
        asked[deed].append(answer.json()["id"])
    return asked


@pytest.fixture
def end(stand: Stand, runs: dict[str, list[str]]) -> Callable[[str], dict[str, Any]]:
    """The finished run of a deed, and its log."""

    def wait(deed: str) -> dict[str, Any]:
        run = stand.get_run(runs[deed][0])
        return {**run, "log": stand.logs(run["id"])}

    return wait


End = Callable[[str], dict[str, Any]]


def test_a_call_answers_with_its_result_files_and_log(stand: Stand, end: End) -> None:
    run = end("answers")

    assert run["outcome"] == "ok", run
    assert run["result"] == {
        "got": [1, 2.5, "ü", None],
        "trace": run["trace_id"],
        "run": run["id"],
    }
    assert [file["name"] for file in run["files"]] == ["greeting.txt"]
    file = stand.call("GET", f"/v1/runs/{run['id']}/files/greeting.txt")
    assert file.content == b"anna!"
    lines = [line.split(" ", 1)[1] for line in run["log"].splitlines()]
    assert sorted(lines) == ["log to the log", "stderr to stderr", "stdout to stdout"]


def test_what_is_thrown_is_the_reason_and_its_trace_in_the_log(end: End) -> None:
    run = end("throws")

    assert run["outcome"] == "error"
    assert run["reason"].endswith("Error: no reading here")
    assert "plugin." in run["log"]


@pytest.mark.parametrize(
    ("deed", "outcome", "reason"),
    [
        ("eats", "out_of_memory", "the plugin needed more memory than its limit"),
        ("fills", "disk_limit", "no space left"),
        ("answers_too_much", "output_limit", "the result is larger than its limit"),
        ("answers_no_json", "error", "json"),
        ("floods", "output_limit", "the plugin wrote more than 262144 bytes of log"),
        ("forges", "output_limit", "too large a frame"),
        ("exits", "error", "the plugin ended without a result (status 3)"),
    ],
)
def test_an_end_without_a_result_has_its_own_outcome(
    end: End, deed: str, outcome: str, reason: str
) -> None:
    run = end(deed)

    assert run["outcome"] == outcome, run
    assert reason.lower() in run["reason"].lower()


def test_a_second_call_finds_nothing_of_the_first(stand: Stand, runs: dict[str, list[str]]) -> None:
    ends = [stand.get_run(run) for run in runs["counts"]]

    assert [run["result"] for run in ends] == [{"calls": 1, "was_there": False}] * 2


def test_what_it_started_ends_with_the_call(stand: Stand, end: End) -> None:
    run = end("leaves_children")

    assert run["outcome"] == "ok", run
    assert [file["name"] for file in run["files"]] == ["grows"]
    assert stand.containers(run["id"]) == []


def test_what_it_stores_is_found_and_what_it_removes_is_not(end: End) -> None:
    run = end("reaches")

    assert run["result"]["stores"] == {"found": "one", "gone": None, "keys": ["a/b"]}, run


def test_what_was_not_granted_is_refused_and_beside_the_broker_is_no_way(end: End) -> None:
    run = end("reaches")

    assert run["result"]["is_denied"] == {
        "https": True,
        "publish": True,
        "socket": "ENETUNREACH",
    }, run
    assert "not-granted.test:443" in run["log"]


def test_what_it_touches_is_known_and_nothing_in_it_is_obeyed(
    stand: Stand, runs: dict[str, list[str]]
) -> None:
    run = stand.get_run(runs["touches"][0])

    def behaviour() -> set[tuple[str, str, bool]]:
        items = stand.call("GET", f"/v1/plugins/{run['plugin']}/behaviour").json()["items"]
        return {(one["kind"], one["target"], one["is_granted"]) for one in items}

    assert run["outcome"] == "ok", run
    eventually_sync(lambda: behaviour() >= TOUCHED, 10)


def test_the_plugin_cannot_look_into_the_runner(end: End) -> None:
    run = end("reaches")

    assert run["result"]["pries"] == dict.fromkeys(("mem", "fd", "environ"), "EACCES"), run
