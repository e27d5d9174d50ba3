import contextlib
import gzip
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from log_digest.digesting import pattern_of
from log_digest.main import run
from log_digest.model import LogError, Tally

ROOT = Path(__file__).resolve().parents[1]
ACCESS, SYSLOG = ROOT / "examples" / "access.log", ROOT / "examples" / "syslog"
LINE = '192.0.2.1 - - [30/Mar/2025:05:24:32 +0000] "GET /a HTTP/1.1" 200 10 "-" "x"\n'


@dataclass
class Context:
    """The runner's context over a folder; the whole contract that a plugin sees."""

    out: Path
    files: dict[str, Path]
    config: dict[str, Any] = field(default_factory=dict)
    run_id: str = "r"
    trace_id: str = "0" * 32
    lines: list[str] = field(default_factory=list)

    def log(self, message: str, /) -> None:
        self.lines.append(message)


Digest = Callable[..., dict[str, Any]]


@pytest.fixture
def digest(tmp_path: Path) -> Digest:
    def of(*texts: str | bytes, **config: Any) -> dict[str, Any]:
        files = {}
        for number, text in enumerate(texts):
            path = tmp_path / f"{number}.log"
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
            files[path.name] = path
        return run({}, Context(tmp_path, files, config))

    return of


@pytest.fixture
def examples(tmp_path: Path) -> dict[str, Any]:
    return run({}, Context(tmp_path, {"access.log": ACCESS, "syslog": SYSLOG}, {"top": 50}))


def test_the_counts_of_the_examples_are_those_of_another_computation(
    examples: dict[str, Any],
) -> None:
    web = [line.split() for line in ACCESS.read_text().splitlines() if '"GET' in line]
    clients = Counter(words[0] for words in web)
    statuses = Counter(words[8] for words in web)
    logins = SYSLOG.read_text().count("Failed password")

    found = {c["client"]: c["lines"] for c in examples["top_talkers"]["clients"]}
    assert all(found[client] == count for client, count in clients.items())
    assert examples["web"]["statuses"] == dict(sorted(statuses.items()))
    assert examples["unusual"]["failed_logins"]["count"] == logins
    assert examples["lines"] == len(web) + 1 + len(SYSLOG.read_text().splitlines())


def test_a_line_that_is_not_understood_is_named_with_its_number(examples: dict[str, Any]) -> None:
    assert examples["not_understood"] == {
        "count": 1,
        "first": [{"file": "access.log", "line": 401, "text": "this line was cut by a full disk"}],
    }


def test_what_happens_once_is_unusual_and_the_worst_comes_first(examples: dict[str, Any]) -> None:
    rare = [row["example"] for row in examples["unusual"]["rare_lines"]]

    assert "read-only" in " ".join(rare[:9])
    assert any("smartd" in line for line in rare)


def test_a_burst_and_its_probes_are_seen(examples: dict[str, Any]) -> None:
    unusual = examples["unusual"]

    assert [burst["minute"] for burst in unusual["bursts"]] == ["2025-03-30T03:12Z"]
    assert unusual["probes"]["clients"] == [{"client": "203.0.113.66", "count": 60}]


def test_the_examples_are_what_their_script_writes(tmp_path: Path) -> None:
    script = tmp_path / "make_logs.py"
    script.write_bytes((ROOT / "examples" / "make_logs.py").read_bytes())

    subprocess.run([sys.executable, str(script)], check=True)

    assert (tmp_path / "access.log").read_bytes() == ACCESS.read_bytes()
    assert (tmp_path / "syslog").read_bytes() == SYSLOG.read_bytes()


@pytest.mark.parametrize(
    ("line", "form", "level"),
    [
        (LINE, "access", None),
        ('2001:db8::1 - bob [30/Mar/2025:05:24:32 +0200] "-" 400 0\n', "access", None),
        ('::1 - a b [30/Mar/2025:05:24:32 +0200] "GET /\\"x HTTP/2" 500 -\n', "access", "error"),
        (
            "2025/03/30 01:02:03 [crit] 7#7: *4 open() failed, client: 192.0.2.9, server: x\n",
            "nginx-error",
            "critical",
        ),
        (
            "Mar  3 01:02:03 nas sshd[7]: Failed password for root from 192.0.2.9\n",
            "syslog",
            "error",
        ),
        ("<11>Mar  3 01:02:03 nas cron[7]: run\n", "syslog", "error"),
        (
            "<34>1 2025-03-30T01:02:03Z nas su - ID47 - 'su root' failed\n",
            "syslog-5424",
            "critical",
        ),
        (
            '<14>1 2025-03-30T01:02:03.1+02:00 nas app 1 - [a@1 b="\\]"] hello\n',
            "syslog-5424",
            "info",
        ),
        ("2025-03-30T01:02:03+02:00 nas systemd[1]: Started x.\n", "journal", None),
        ('{"time": "2025-03-30T01:02:03Z", "level": "ERROR", "msg": "x"}\n', "json", "error"),
        ("2025-03-30 01:02:03,123 ERROR app: it broke\n", "dated", "error"),
        ("[2025-03-30 01:02:03] WARN low\n", "dated", "warning"),
    ],
)
def test_the_usual_forms_are_recognised(
    digest: Digest, line: str, form: str, level: str | None
) -> None:
    found = digest(line * 3)

    assert found["formats"] == {"0.log": form}
    assert found["levels"] == ({level: 3} if level else {})
    assert found["not_understood"]["count"] == 0


def test_a_word_inside_another_is_no_level(digest: Digest) -> None:
    found = digest("Mar  3 01:02:03 nas app[7]: loaded error_pages from /var/info/debug-9\n" * 3)

    assert found["errors"]["count"] == 0


def test_a_log_without_a_known_form_is_said_to_be_unknown(digest: Digest) -> None:
    found = digest("hello\nworld\n")

    assert found["formats"] == {"0.log": "unknown"}
    assert found["not_understood"]["count"] == 2


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b"\n\n  \n", "is empty"),
        (b"\x00" * 100, "no text log"),
        (b"\x1f\x8b\x08nonsense", "is broken"),
        (gzip.compress(LINE.encode() * 50, mtime=0)[:-20], "is broken"),
    ],
)
def test_a_file_that_is_no_log_ends_the_run_with_the_reason(
    digest: Digest, data: bytes, message: str
) -> None:
    with pytest.raises(LogError, match=message):
        digest(data)


def test_no_file_ends_the_run_with_the_reason(digest: Digest) -> None:
    with pytest.raises(LogError, match="no file"):
        digest()


def test_a_packed_log_gives_the_same_digest(digest: Digest) -> None:
    assert digest(gzip.compress(SYSLOG.read_bytes())) == digest(SYSLOG.read_bytes())


def test_what_unpacks_without_end_is_refused(digest: Digest, monkeypatch: Any) -> None:
    monkeypatch.setattr("log_digest.reading.UNPACKED_BYTES", 100_000)

    with pytest.raises(LogError, match="unpacks to more"):
        digest(gzip.compress(LINE.encode() * 5_000))


def test_a_line_without_an_end_is_read_in_bounded_pieces(digest: Digest) -> None:
    found = digest(LINE + "x" * 3_000_000 + "\n" + LINE)

    assert found["lines"] == 3
    assert found["not_understood"]["first"][0]["line"] == 2
    assert len(found["not_understood"]["first"][0]["text"]) <= 300


def test_ignored_lines_are_not_looked_at(digest: Digest) -> None:
    found = digest(LINE * 5 + LINE.replace("/a", "/healthz") * 7, ignore=["/healthz"])

    assert (found["lines"], found["ignored"]) == (5, 7)


def test_a_byte_order_mark_and_windows_line_ends_do_not_matter(digest: Digest) -> None:
    found = digest("\ufeff" + LINE.replace("\n", "\r\n") * 2)

    assert found["not_understood"]["count"] == 0


def test_nothing_in_a_log_becomes_markup_or_drives_a_terminal(
    digest: Digest, tmp_path: Path
) -> None:
    evil = "<script>alert(1)</script> [x](javascript:alert(1)) \x1b[31m\u202e"
    found = digest(f"Mar  3 01:02:03 nas app: error {evil}\n" * 3)
    page = (tmp_path / "digest.md").read_text()

    assert "\x1b" not in str(found) + page
    assert not re.search(r"(?<!\\)<script|(?<!\\)\]\(", page)


def test_memory_stays_bounded_whatever_the_log_holds(tmp_path: Path) -> None:
    log = tmp_path / "many.log"
    with log.open("w") as stream:
        for n in range(200_000):
            stream.write(LINE.replace("192.0.2.1", f"c{n}").replace("/a", f"/p{n}q"))
    code = (
        "import sys, pathlib; sys.path.insert(0, sys.argv[1]);"
        "from log_digest.main import run\n"
        "class C: out = pathlib.Path(sys.argv[3]); files = {'a': pathlib.Path(sys.argv[2])};"
        " config = {}; log = staticmethod(lambda m: None)\n"
        "assert not run({}, C)['is_exact']; status = pathlib.Path('/proc/self/status').read_text();"
        "print(status.split('VmHWM:')[1].split()[0])"
    )
    command = [sys.executable, "-c", code, str(ROOT / "src"), str(log), str(tmp_path)]

    shown = subprocess.run(command, capture_output=True, check=True, text=True)

    assert int(shown.stdout) < 100 * 1024


def test_frequent_things_survive_among_many_rare_ones() -> None:
    tally = Tally(capacity=100)
    for n in range(5_000):
        tally.add(f"rare {n}")
        tally.add("frequent")

    assert tally.top(1)[0][0] == "frequent"
    assert tally.top(1)[0][1] == 5_000
    assert not tally.is_exact


@given(st.integers(0, 10**9), st.ip_addresses(v=4), st.uuids())
def test_messages_that_differ_in_values_only_share_a_pattern(
    number: int, address: object, uuid: object
) -> None:
    message = f"request {number} from {address} got {uuid}"

    assert pattern_of(message) == "request <number> from <ip> got <uuid>"


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.one_of(st.binary(max_size=600), st.text(max_size=600).map(lambda t: t.encode())))
def test_no_bytes_make_it_fail_without_a_reason(digest: Digest, data: bytes) -> None:
    with contextlib.suppress(LogError):
        assert digest(data)["lines"] >= 0
