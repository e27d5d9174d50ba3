"""Attacks from inside a real container, and what each is stopped by.

`make attacks` prints the table: every test that carries the mark `attack`, with its row.
"""

import platform
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from heimnetz_common.testing import KeyRing, eventually_sync
from heimnetz_sandbox.testing import Stand, standing

pytestmark = pytest.mark.engine

PRELUDE = """
import ctypes, errno, os, resource, signal, socket, sys, threading, time

libc = ctypes.CDLL(None, use_errno=True)

def syscall(number, *arguments):
    ctypes.set_errno(0)
    answer = libc.syscall(number, *arguments)
    return "allowed" if answer >= 0 else errno.errorcode[ctypes.get_errno()]

def tried(action):
    try:
        return f"allowed: {action()!r}"[:300]
    except BaseException as error:
        return f"{type(error).__name__} {errno.errorcode.get(getattr(error, 'errno', None), '')}"

def run(input, context):
"""
# Wall times are short: what runs on is stopped by nothing else.
LIMITS = {"wall": "4 s", "memory": "64 MiB", "processes": 32, "tmp": "4 MiB", "log": "16 KiB"}

# Rows of the attack table, what is tried, how, and the outcomes that say that it was stopped.
EXCESSES: dict[str, tuple[int, str, set[str]]] = {
    "a fork bomb": (
        1,
        "while True:\n        try: os.fork()\n        except OSError: pass",
        {"pids_limit", "timeout", "error"},
    ),
    "a thread bomb": (
        2,
        "while True: threading.Thread(target=time.sleep, args=(60,)).start()",
        {"pids_limit", "error", "out_of_memory", "timeout"},
    ),
    "a gibibyte at once": (3, "bytearray(1 << 30)", {"out_of_memory"}),
    "a gibibyte bit by bit": (
        4,
        "kept = []\n    while True: kept.append(os.urandom(1 << 20))",
        {"out_of_memory"},
    ),
    "recursion without end": (
        6,
        "sys.setrecursionlimit(10**9)\n    def deeper(x): return [deeper([x])]\n    deeper(0)",
        {"out_of_memory", "error"},
    ),
    "one file that fills /tmp": (
        7,
        "with open('/tmp/a', 'wb') as file:\n        while True: file.write(bytes(1 << 16))",
        {"disk_limit"},
    ),
    "many files that fill /tmp": (
        7,
        "for n in range(10**6): open(f'/tmp/{n}', 'wb').write(bytes(1 << 16))",
        {"disk_limit"},
    ),
    "a million empty files": (
        8,
        "for n in range(10**6): open(f'/tmp/{n}', 'wb').close()",
        {"disk_limit"},
    ),
    "spinning": (12, "while True: pass", {"timeout"}),
    "ignoring every signal": (
        14,
        "for n in range(1, 65):\n        try: signal.signal(n, signal.SIG_IGN)\n"
        "        except (OSError, ValueError): pass\n    time.sleep(60)",
        {"timeout"},
    ),
    "a flood of output": (15, "while True: print('x' * 1000)", {"output_limit"}),
    "a flood of errors": (15, "while True: sys.stderr.write('x' * 1000)", {"output_limit"}),
    "one endless line": (15, "while True: sys.stdout.write('x')", {"output_limit", "timeout"}),
    "nested arrays": (
        18,
        "value = []\n    for _ in range(100_000): value = [value]\n    return {'v': value}",
        {"error"},
    ),
    "a number of 5,000 digits": (18, "return {'v': 10**4999}", {"error"}),
    "NaN": (18, "return {'v': float('nan')}", {"error"}),
    "a result of 8 MiB": (18, "return {'v': 'x' * (8 << 20)}", {"output_limit"}),
    "frames of its own": (
        19,
        'for fd in range(3, 64):\n        try: os.write(fd, b\'\\x00\\x00\\x00\\x10{"type": "end"}  \')\n'
        "        except OSError: pass\n    time.sleep(1)\n    return {}",
        {"error", "output_limit"},
    ),
    "SIGKILL to itself": (21, "os.kill(os.getpid(), signal.SIGKILL)", {"error"}),
    "SIGSTOP to itself": (21, "os.kill(os.getpid(), signal.SIGSTOP)", {"timeout"}),
    "SIGKILL to everybody": (21, "os.kill(-1, signal.SIGKILL)", {"error", "ok", "timeout"}),
    "a segmentation fault": (22, "ctypes.string_at(0)", {"error"}),
    "abort": (22, "os.abort()", {"error"}),
    "an exit without a result": (22, "os._exit(0)", {"error"}),
}

# Calls that the profile must refuse, by their numbers on each machine: asm/unistd.h.
SYSCALLS = {
    # name: (row, x86_64, aarch64)
    "mq_open": (10, 240, 180),
    "shmget": (10, 29, 194),
    "semget": (10, 64, 190),
    "msgget": (10, 68, 186),
    "mlockall": (13, 151, 230),
    "unshare": (26, 272, 97),
    "setns": (26, 308, 268),
    "mount": (26, 165, 40),
    "pivot_root": (26, 155, 41),
    "chroot": (26, 161, 51),
    "ptrace": (27, 101, 117),
    "process_vm_readv": (27, 310, 270),
    "pidfd_getfd": (27, 438, 438),
    "keyctl": (28, 250, 219),
    "add_key": (28, 248, 217),
    "bpf": (28, 321, 280),
    "perf_event_open": (28, 298, 241),
    "userfaultfd": (28, 323, 282),
    "io_uring_setup": (28, 425, 425),
    "kexec_load": (28, 246, 104),
    "init_module": (28, 175, 105),
    "swapon": (28, 167, 224),
    "reboot": (28, 169, 142),
    "settimeofday": (28, 164, 170),
    "quotactl": (28, 179, 60),
    "fanotify_init": (28, 300, 262),
    "open_by_handle_at": (28, 304, 265),
    "name_to_handle_at": (28, 303, 264),
    "memfd_secret": (28, 447, 447),
    "personality": (28, 135, 92),
    "memfd_create": (32, 319, 279),
}

# Expressions whose value begins with "allowed" when an attack succeeds.
ATTEMPTS: dict[str, tuple[int, str]] = {
    "writing to /dev/shm": (9, "open('/dev/shm/x', 'wb')"),
    "more open files": (13, "resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))"),
    "more priority": (13, "os.nice(-5)"),
    "a core dump": (25, "resource.setrlimit(resource.RLIMIT_CORE, (1 << 20, 1 << 20))"),
    "a raw socket": (29, "socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)"),
    "a packet socket": (29, "socket.socket(17, socket.SOCK_RAW)"),
    "a netlink socket": (29, "socket.socket(16, socket.SOCK_RAW)"),
    "a kernel crypto socket": (29, "socket.socket(38, socket.SOCK_SEQPACKET)"),
    "a VM socket": (29, "socket.socket(40, socket.SOCK_STREAM)"),
    "writing to /": (33, "open('/x', 'wb')"),
    "writing to /etc": (33, "open('/etc/passwd', 'ab')"),
    "writing to its code": (33, "open('/plugin/plugin.py', 'ab')"),
    "writing to /opt": (33, "open('/opt/heimnetz/runner.py', 'ab')"),
    "writing to /dev": (33, "open('/dev/x', 'wb')"),
    "writing to /dev/mqueue": (33, "open('/dev/mqueue/x', 'wb')"),
    "writing to /proc/sys": (33, "open('/proc/sys/kernel/hostname', 'wb')"),
    "a kernel request": (33, "open('/proc/sysrq-trigger', 'wb')"),
    "a release agent": (35, "open('/sys/fs/cgroup/memory/release_agent', 'wb')"),
    "a cgroup of its own": (35, "os.mkdir('/sys/fs/cgroup/x')"),
    "the engine's socket": (36, "open('/var/run/docker.sock')"),
    "containerd's socket": (36, "open('/run/containerd/containerd.sock')"),
    "process 1's root": (37, "os.listdir('/proc/1/root')"),
    "process 1's descriptors": (37, "os.listdir('/proc/1/fd')"),
    "process 1's memory": (37, "open('/proc/1/mem', 'rb')"),
    "process 1's environment": (39, "open('/proc/1/environ', 'rb').read()"),
    "8.8.8.8": (44, "socket.create_connection(('8.8.8.8', 53), 3)"),
    "the engine's bridge": (44, "socket.create_connection(('172.17.0.1', 80), 3)"),
    "the router": (44, "socket.create_connection(('192.168.1.1', 80), 3)"),
    "the metadata service": (44, "socket.create_connection(('169.254.169.254', 80), 3)"),
    "a name": (44, "socket.getaddrinfo('example.org', 80)"),
}


@pytest.fixture(scope="module")
def stand(place: Path, postgres_url: str, key_ring: KeyRing) -> Iterator[Stand]:
    with standing(place, postgres_url, key_ring) as stand:
        yield stand


@pytest.fixture(autouse=True)
def house(stand: Stand) -> Iterator[None]:
    """Nothing is mounted that was not before, nothing is left, and the service answers."""
    before = mounts()
    yield
    eventually_sync(lambda: not stand.containers(), 20)
    assert mounts() == before
    assert stand.is_ready()


def mounts() -> set[str]:
    """Of this machine, without those of the engine and of tests beside these."""
    places = {line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()}
    return {place for place in places if not place.startswith(("/var/lib/docker", "/tmp", "/run"))}


def attack(row: int, what: str) -> Any:
    return pytest.param(what, id=what, marks=pytest.mark.attack(row=row, what=what))


def name_of(what: str) -> str:
    kept = "".join(char if char.isalnum() else "-" for char in what.lower())
    return f"a-{kept}"[:60].strip("-")


@pytest.mark.parametrize("what", [attack(row, what) for what, (row, *_) in EXCESSES.items()])
def test_an_excess_ends_the_run_and_nothing_else(
    stand: Stand, what: str, record_property: Any
) -> None:
    _, code, outcomes = EXCESSES[what]
    stand.install(name_of(what), f"{PRELUDE}    {code}\n", limits=LIMITS)

    run = stand.run(name_of(what))

    record_property("how", f"{run['outcome']}: {run['reason']}"[:90])
    assert run["outcome"] in outcomes, run["reason"]


def attempt_all(stand: Stand) -> dict[str, str]:
    """What became of each call and attempt, tried one after the other in one container."""
    column = {"x86_64": 1, "aarch64": 2}[platform.machine()]
    calls = {name: numbers[column] for name, numbers in SYSCALLS.items()}
    attempts = ", ".join(f"{what!r}: tried(lambda: {code})" for what, (_, code) in ATTEMPTS.items())
    code = (
        f"{PRELUDE}    found = {{{attempts}}}\n"
        f"    for name, number in {calls!r}.items():\n"
        "        found[name] = syscall(number, 0, 0, 0, 0, 0, 0)\n"
        "    return found\n"
    )
    stand.install("attempts", code)
    run = stand.run("attempts")
    assert run["outcome"] == "ok", run["reason"]
    found: dict[str, str] = run["result"]
    return found


@pytest.fixture(scope="module")
def refusals(stand: Stand) -> dict[str, str]:
    return attempt_all(stand)


@pytest.mark.parametrize(
    "what",
    [attack(row, what) for what, (row, _) in ATTEMPTS.items()]
    + [attack(row, name) for name, (row, *_) in SYSCALLS.items()],
)
def test_an_attempt_is_refused(refusals: dict[str, str], what: str, record_property: Any) -> None:
    record_property("how", refusals[what])
    assert not refusals[what].startswith("allowed")


INSPECTION = """
import os, resource, stat

def read(path):
    try:
        return open(path, "rb").read(4096).decode("latin-1")
    except OSError as error:
        return type(error).__name__

def run(input, context):
    status = dict(line.split(":\\t", 1) for line in read("/proc/self/status").splitlines() if ":\\t" in line)
    setuid = []
    for folder, _, files in os.walk("/", onerror=None):
        if folder.startswith(("/proc", "/sys")):
            continue
        for name in files:
            try:
                mode = os.lstat(os.path.join(folder, name)).st_mode
            except OSError:
                continue
            if stat.S_ISREG(mode) and mode & (stat.S_ISUID | stat.S_ISGID):
                setuid.append(os.path.join(folder, name))
    script = "/tmp/script"
    open(script, "w").write("#!/bin/sh\\nexit 0\\n")
    os.chmod(script, 0o755)
    try:
        os.posix_spawn(script, [script], {})
        executed = "allowed"
    except OSError as error:
        executed = error.strerror
    opened = []
    try:
        while True:
            opened.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        pass
    for descriptor in opened:
        os.close(descriptor)
    masked = ("/proc/keys", "/proc/timer_list", "/proc/kcore", "/proc/sched_debug")
    return {
        "status": status, "setuid": setuid, "executed": executed, "opened": len(opened),
        "uid": os.getuid(), "environment": sorted(os.environ),
        "descriptors": sorted(map(int, os.listdir("/proc/self/fd"))),
        "interfaces": sorted(os.listdir("/sys/class/net")),
        "masked": {path: read(path) for path in masked},
        "firmware": os.listdir("/sys/firmware") if os.path.isdir("/sys/firmware") else [],
        "plugins": os.listdir("/plugin"), "tmp": sorted(os.listdir("/tmp")),
        "core": resource.getrlimit(resource.RLIMIT_CORE),
    }
"""


def inspect(stand: Stand) -> dict[str, Any]:
    stand.install("inspection", INSPECTION)
    run = stand.run("inspection")
    assert run["outcome"] == "ok", run["reason"]
    found: dict[str, Any] = run["result"]
    return found


@pytest.fixture(scope="module")
def inside(stand: Stand) -> dict[str, Any]:
    return inspect(stand)


@pytest.mark.attack(row=31, what="capabilities, privileges, setuid programs")
def test_there_is_no_privilege_to_gain(inside: dict[str, Any]) -> None:
    status = inside["status"]
    assert {status[name].strip() for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb")} == {"0" * 16}
    assert status["NoNewPrivs"].strip() == "1"
    assert status["Seccomp"].strip() == "2"
    assert inside["setuid"] == []


@pytest.mark.attack(row=11, what="open files until it fails")
def test_open_files_end_at_their_cap(inside: dict[str, Any]) -> None:
    assert inside["opened"] < 64


@pytest.mark.attack(row=32, what="executing a file written to /tmp")
def test_what_a_plugin_wrote_is_not_executed(inside: dict[str, Any]) -> None:
    assert inside["executed"] == "Permission denied"


@pytest.mark.attack(row=34, what="facts of the host in /proc and /sys")
def test_the_kernels_pages_are_masked(inside: dict[str, Any]) -> None:
    assert set(inside["masked"].values()) <= {"", "FileNotFoundError", "PermissionError"}
    assert inside["firmware"] == []


@pytest.mark.attack(row=37, what="leaked descriptors")
def test_no_descriptor_leaks_in(inside: dict[str, Any]) -> None:
    # Input, output, errors, two pipes, and the listing itself.
    assert len(inside["descriptors"]) <= 6


@pytest.mark.attack(row=39, what="the environment")
def test_the_environment_has_what_is_documented(inside: dict[str, Any]) -> None:
    assert set(inside["environment"]) == {
        *("PATH", "HOME", "LANG", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")
    }


@pytest.mark.attack(row=40, what="another plugin's code and user")
def test_a_plugin_sees_its_own_code_and_has_a_user_of_its_own(
    stand: Stand, inside: dict[str, Any]
) -> None:
    stand.install("other", "import os\ndef run(input, context): return {'uid': os.getuid()}")

    other = stand.run("other")["result"]["uid"]

    assert sorted(inside["plugins"]) == ["plugin.py", "plugin.yaml"]
    assert inside["uid"] >= 20_000
    assert other not in (0, inside["uid"])


@pytest.mark.attack(row=41, what="what the last run left in /tmp")
def test_tmp_is_empty_at_the_beginning(inside: dict[str, Any]) -> None:
    assert inside["tmp"] == ["script"]


@pytest.mark.attack(row=44, what="a network device")
def test_there_is_no_network_device_but_loopback(inside: dict[str, Any]) -> None:
    assert inside["interfaces"] == ["lo"]


@pytest.mark.attack(row=5, what="swap instead of memory")
def test_swap_is_no_way_around_the_memory_cap(stand: Stand) -> None:
    stand.install("swapping", "import time\ndef run(input, context): time.sleep(3)")
    run_id = stand.ask("swapping").json()["id"]
    (container,) = eventually_sync(lambda: stand.containers(run_id), 15)
    form = "{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}}"

    said = subprocess.run(
        ["docker", "inspect", "--format", form, container],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()

    assert said[0] == said[1] != "0"
    stand.get_run(run_id)


@pytest.mark.attack(row=20, what="children that leave their parent")
def test_daemons_go_with_the_run(stand: Stand) -> None:
    code = (
        f"{PRELUDE}    for _ in range(3):\n        if os.fork() == 0:\n            os.setsid()\n"
        "            if os.fork() == 0:\n                os.closerange(0, 64)\n"
        "                time.sleep(300)\n            os._exit(0)\n    return {}\n"
    )
    stand.install("daemons", code)

    assert stand.run("daemons")["outcome"] == "ok"


@pytest.mark.attack(row=23, what="bytes, escapes and reordering in the log")
def test_a_log_obeys_nobody(stand: Stand) -> None:
    code = (
        f"{PRELUDE}    os.write(1, b'\\x1b[2J\\xff\\x00red\\r\\n')\n"
        "    print('\\u202eevil\\u2066')\n    return {}\n"
    )
    stand.install("painter", code)

    log = stand.logs(stand.run("painter")["id"])

    assert not any(char in log for char in "\x1b\x00\u202e\u2066\ufffd")
    assert "\\x1b[2J" in log
    assert "\\u202eevil" in log


@pytest.mark.attack(row=24, what="more runs than may wait")
def test_more_runs_than_may_wait_are_told_to_come_again(stand: Stand) -> None:
    stand.install("crowd", "import time\ndef run(input, context): time.sleep(0.2)")

    answers = [stand.ask("crowd") for _ in range(70)]

    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert all(int(answer.headers["retry-after"]) > 0 for answer in refused)
    for answer in answers:
        if answer.status_code == 202:
            stand.call("DELETE", f"/v1/runs/{answer.json()['id']}")


@pytest.mark.attack(row=1, what="a neighbour beside bombs")
def test_a_neighbour_is_served_beside_a_fork_bomb_and_a_memory_bomb(stand: Stand) -> None:
    for what in ("a fork bomb", "a gibibyte bit by bit"):
        stand.install(f"n{name_of(what)}", f"{PRELUDE}    {EXCESSES[what][1]}\n", limits=LIMITS)
    stand.install("neighbour", "def run(input, context): return {'sum': sum(range(10**6))}")
    bombs = [
        stand.ask(f"n{name_of(what)}").json()["id"]
        for what in ("a fork bomb", "a gibibyte bit by bit")
    ]

    run = stand.run("neighbour")

    assert run["result"] == {"sum": 499_999_500_000}
    assert {stand.get_run(run_id)["outcome"] for run_id in bombs} <= {
        *("pids_limit", "timeout", "error", "out_of_memory")
    }


@pytest.mark.attack(row=16, what="never reading what is sent")
def test_a_plugin_that_never_reads_a_large_input_is_timed_out_and_hangs_nobody(
    stand: Stand,
) -> None:
    code = "import time\ntime.sleep(600)\ndef run(input, context): return {}"
    stand.install("deaf", code, limits={"wall": "2 s"})

    run = stand.run("deaf", {"text": "x" * 1_000_000})

    assert run["outcome"] == "timeout"
    assert stand.call("GET", "/v1/runs").status_code == 200


@pytest.mark.attack(row=17, what="a result of one byte a second")
def test_a_result_that_comes_slowly_ends_with_the_run_s_time(stand: Stand) -> None:
    code = """
import contextlib, os, time
def run(input, context):
    def say(data):
        for descriptor in range(3, 32):
            with contextlib.suppress(OSError):
                os.write(descriptor, data)
    say((1000).to_bytes(4, "big"))
    while True:
        say(b"{")
        time.sleep(1)
"""
    stand.install("dripping", code, limits={"wall": "3 s"})

    assert stand.run("dripping")["outcome"] == "timeout"


@pytest.mark.attack(row=30, what="clone3, which the filter cannot look into")
def test_clone3_is_unknown_so_that_libc_falls_back(stand: Stand) -> None:
    code = """
import ctypes
def run(input, context):
    libc = ctypes.CDLL(None, use_errno=True)
    return {"answer": libc.syscall(435, 0, 0), "errno": ctypes.get_errno()}
"""
    stand.install("cloning", code)

    # 38 is ENOSYS, asm-generic/errno.h.
    assert stand.run("cloning")["result"] == {"answer": -1, "errno": 38}
