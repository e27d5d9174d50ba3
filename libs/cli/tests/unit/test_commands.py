import hashlib
import io
import json
import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heimnetz_cli import session
from heimnetz_cli.app import app

RUN = {
    "id": "r1",
    "plugin": "p",
    "version": "1.0.0",
    "state": "finished",
    "outcome": "ok",
    "result": {"total": 1},
    "trace_id": "ab" * 16,
    "files": [],
    "duration_seconds": 0.5,
}
VERSION = {
    "plugin": "p",
    "version": "1.0.0",
    "sha256": "0" * 64,
    "size_bytes": 10,
    "state": "approved",
    "score": 97,
    "grade": "A",
    "verdict": "approve",
    "manifest": {
        "title": "P",
        "permissions": {"network": [{"to": "api.example.org:443", "reason": "asks for prices"}]},
    },
}
REGISTRY, SANDBOX, MONITOR = "/api/registry/v1", "/api/sandbox/v1", "/api/monitor/v1"
Heimnetz = Callable[..., Any]


def problem(status: int, kind: str, detail: str, **more: object) -> httpx.Response:
    document = {"type": f"https://x/problems/{kind}", "status": status, "detail": detail, **more}
    return httpx.Response(status, json=document)


def commands() -> dict[str, Any]:
    import typer.main

    found: dict[str, Any] = {}
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        inner = getattr(command, "commands", None)
        found |= {f"{name} {key}": one for key, one in inner.items()} if inner else {name: command}
    return found


@pytest.mark.parametrize("name", sorted(commands()))
def test_every_command_helps_with_an_example(heimnetz: Heimnetz, name: str) -> None:
    said = heimnetz(*name.split(), "--help")

    assert said.code == 0
    assert f"heimnetz {name}" in said.out.split("Example", 1)[1]


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; from heimnetz_cli.__main__ import main; main(['--help']);"
        "heavy = {'httpx', 'rich', 'pydantic', 'yaml', 'heimnetz_audit', 'heimnetz_manifest'};"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, text=True)

    assert done.returncode == 0, done.stderr


def test_a_log_in_is_stored_for_the_owner_of_the_files_alone(
    platform: Any, heimnetz: Heimnetz, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HEIMNETZ_TOKEN")
    monkeypatch.setattr(sys, "stdin", io.StringIO("long password\n"))
    platform.on(f"POST {REGISTRY}/sessions", {"token": "hnz_new"}, status=201)
    platform.on(f"GET {REGISTRY}/me", {"subject": "user:anna", "name": "anna", "role": "owner"})

    said = heimnetz("login", "--name", "anna")

    file = home / "config" / "heimnetz" / "session.json"
    assert said.code == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(file.read_text())["token"] == "hnz_new"
    assert "hnz_new" not in said.out + said.err
    assert platform.sent("/sessions") == {"name": "anna", "password": "long password"}


def test_a_set_up_token_creates_the_owner(
    platform: Any, heimnetz: Heimnetz, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("set-up\nlong password\n"))
    platform.on(f"POST {REGISTRY}/setup", {"name": "owner", "token": "hnz_o"}, status=201)
    platform.on(f"GET {REGISTRY}/me", {"subject": "user:owner", "name": "owner", "role": "owner"})

    said = heimnetz("login", "--setup-token", "-", "--name", "owner")

    assert said.code == 0
    assert platform.sent("/setup") == {
        "setup_token": "set-up",
        "name": "owner",
        "password": "long password",
    }


def test_a_stored_token_is_never_sent_to_another_address(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.save(session.Session("https://home.test:8443", "hnz_t"))
    monkeypatch.setenv("HEIMNETZ_URL", "https://evil.test")

    assert session.load() == session.Session("https://evil.test")


def test_the_ca_is_kept_beside_the_token(home: Path) -> None:
    ca = home / "root.crt"
    ca.write_text("PEM")
    session.save(session.Session("https://home.test:8443", "hnz_t", ca))
    ca.unlink()

    kept = session.load().ca_file

    assert kept is not None
    assert kept.read_text() == "PEM"


def test_nobody_logged_in_is_said_with_the_remedy(heimnetz: Heimnetz) -> None:
    said = heimnetz("whoami")

    assert said.code == 3
    assert "heimnetz login" in said.err


def test_a_broken_session_file_is_named(heimnetz: Heimnetz, home: Path) -> None:
    session.save(session.Session("https://home.test", "t")).write_text("{")

    said = heimnetz("whoami")

    assert said.code == 2
    assert "session.json" in said.err


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (401, "unauthenticated", 3),
        (403, "forbidden", 4),
        (404, "not-found", 5),
        (409, "version-exists", 6),
        (413, "too-large", 7),
        (415, "unsupported-media", 7),
        (422, "invalid-input", 7),
        (429, "too-many", 8),
        (507, "full", 8),
        (500, "internal", 9),
    ],
)
def test_each_refusal_has_its_exit_code_and_no_traceback(
    platform: Any, heimnetz: Heimnetz, status: int, kind: str, code: int
) -> None:
    platform.on(f"GET {REGISTRY}/me", problem(status, kind, "because"))

    said = heimnetz("whoami")

    assert said.code == code
    assert "because" in said.err
    assert "Traceback" not in said.err


def test_an_unreachable_platform_is_named(heimnetz: Heimnetz, monkeypatch: Any) -> None:
    def refuse(_self: object, request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", refuse)
    monkeypatch.setattr(time, "sleep", lambda _: None)
    monkeypatch.setenv("HEIMNETZ_URL", "http://nuc.test:1")
    monkeypatch.setenv("HEIMNETZ_TOKEN", "t")

    said = heimnetz("whoami")

    assert said.code == 8
    assert "http://nuc.test:1" in said.err


def test_mistakes_are_listed_with_line_and_pointer(
    platform: Any, heimnetz: Heimnetz, tmp_path: Path
) -> None:
    package = tmp_path / "x.tar.gz"
    package.write_bytes(b"x")
    mistakes = [{"detail": "is too much", "pointer": "/limits/memory", "line": 9}]
    platform.on(
        f"POST {REGISTRY}/plugins/x/versions",
        problem(422, "manifest-invalid", "wrong", errors=mistakes),
    )

    said = heimnetz("publish", package, "--name", "x")

    assert said.code == 7
    assert "line 9: /limits/memory: is too much" in said.err


def test_text_of_a_server_cannot_drive_the_terminal(platform: Any, heimnetz: Heimnetz) -> None:
    evil = "\x1b]0;owned\x07\u202etxt\x9b31m"
    platform.on(
        f"GET {REGISTRY}/plugins",
        {"items": [{"plugin": "p", "summary": evil}], "next_cursor": None},
    )

    plain, as_json = heimnetz("search"), heimnetz("search", "--json")

    for said in (plain, as_json):
        assert not set(said.out) & set("\x1b\x07\u202e\x9b")
    assert "\\x1b]0;owned\\x07" in plain.out
    assert json.loads(as_json.out)[0]["summary"] == evil


def test_a_table_in_a_pipe_is_lines_with_tabs(platform: Any, heimnetz: Heimnetz) -> None:
    platform.on(f"GET {SANDBOX}/runs", {"items": [RUN], "next_cursor": None})

    header, row = heimnetz("runs").out.splitlines()

    assert header.split("\t")[:4] == ["RUN", "PLUGIN", "VERSION", "OUTCOME"]
    assert row.split("\t")[:4] == ["r1", "p", "1.0.0", "ok"]


def test_a_run_prints_its_result_alone_on_standard_output(
    platform: Any, heimnetz: Heimnetz
) -> None:
    platform.on(f"POST {SANDBOX}/plugins/p/runs", RUN)

    said = heimnetz("run", "p", "--input", '{"a": 1}')

    assert said.code == 0
    assert json.loads(said.out) == {"total": 1}
    assert "r1" in said.err
    assert platform.sent("/runs") == {"input": {"a": 1}}


def test_a_run_is_waited_for(platform: Any, heimnetz: Heimnetz, monkeypatch: Any) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)
    platform.on(f"POST {SANDBOX}/plugins/p/runs", {**RUN, "state": "queued", "outcome": None})
    platform.on(f"GET {SANDBOX}/runs/r1", {**RUN, "state": "running", "outcome": None}, RUN)

    said = heimnetz("run", "p", "--json")

    assert json.loads(said.out)["outcome"] == "ok"


def test_a_failed_run_is_exit_code_1_and_names_its_outcome(
    platform: Any, heimnetz: Heimnetz
) -> None:
    platform.on(
        f"POST {SANDBOX}/plugins/p/runs",
        {**RUN, "outcome": "out_of_memory", "result": None, "reason": "more than 128 MiB"},
    )

    said = heimnetz("run", "p")

    assert said.code == 1
    assert said.out == ""
    assert "out_of_memory" in said.err
    assert "more than 128 MiB" in said.err


@pytest.mark.parametrize("given", ["{", "[1]", "nonsense", "@missing.json"])
def test_an_input_that_is_no_object_is_refused_before_it_is_sent(
    platform: Any, heimnetz: Heimnetz, given: str
) -> None:
    said = heimnetz("run", "p", "--input", given)

    assert said.code == 2
    assert platform.requests == []


def test_files_of_a_run_cannot_leave_their_folder(
    platform: Any, heimnetz: Heimnetz, tmp_path: Path
) -> None:
    content = b"<svg/>"
    digest = hashlib.sha256(content).hexdigest()
    file = {"name": "../../.bashrc", "size_bytes": 6, "sha256": digest}
    platform.on(f"POST {SANDBOX}/plugins/p/runs", {**RUN, "files": [file]})
    platform.on(f"GET {SANDBOX}/runs/r1/files/../../.bashrc", httpx.Response(200, content=content))

    said = heimnetz("run", "p", "--out", tmp_path / "a" / "b")

    assert said.code == 0, said.err
    assert [p.name for p in (tmp_path / "a" / "b").iterdir()] == ["bashrc"]


def test_a_file_with_other_bytes_is_not_kept(
    platform: Any, heimnetz: Heimnetz, tmp_path: Path
) -> None:
    file = {"name": "a.svg", "size_bytes": 6, "sha256": "0" * 64}
    platform.on(f"POST {SANDBOX}/plugins/p/runs", {**RUN, "files": [file]})
    platform.on(f"GET {SANDBOX}/runs/r1/files/a.svg", httpx.Response(200, content=b"other"))

    said = heimnetz("run", "p", "--out", tmp_path / "out")

    assert said.code == 9
    assert list((tmp_path / "out").iterdir()) == []


def test_an_installation_grants_what_was_agreed_to(platform: Any, heimnetz: Heimnetz) -> None:
    platform.on(f"GET {REGISTRY}/plugins/p", {"plugin": "p", "latest": "1.0.0"})
    platform.on(f"GET {REGISTRY}/plugins/p/versions/1.0.0", VERSION)
    platform.on(f"PUT {REGISTRY}/installations/p", {"plugin": "p", "version": "1.0.0"}, status=201)

    said = heimnetz(
        "install", "p", "--yes", "--config", "price=0.3", "--config", "zone=Europe/Rome"
    )

    assert said.code == 0, said.err
    assert "asks for prices" in said.err
    assert platform.sent("/installations/p") == {
        "version": "1.0.0",
        "grants": ["network:api.example.org:443"],
        "configuration": {"price": 0.3, "zone": "Europe/Rome"},
        "allow_downgrade": False,
    }


def test_what_was_configured_before_stays(platform: Any, heimnetz: Heimnetz) -> None:
    platform.on(f"GET {REGISTRY}/plugins/p/versions/1.0.0", VERSION)
    platform.on(
        f"GET {REGISTRY}/installations/p",
        {"plugin": "p", "version": "0.9.0", "configuration": {"key": "***", "price": 1}},
    )
    platform.on(f"PUT {REGISTRY}/installations/p", {"plugin": "p", "version": "1.0.0"})

    heimnetz("install", "p@1.0.0", "--yes", "--config", "price=2")

    assert platform.sent("/installations/p")["configuration"] == {"key": "***", "price": 2}


def test_without_a_terminal_and_without_yes_nothing_is_granted(
    platform: Any, heimnetz: Heimnetz, monkeypatch: Any
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    platform.on(f"GET {REGISTRY}/plugins/p/versions/1.0.0", VERSION)

    said = heimnetz("install", "p@1.0.0")

    assert said.code == 2
    assert "--yes" in said.err
    assert not any(request.method == "PUT" for request in platform.requests)


def make_plugin(folder: Path, **changes: str) -> Path:
    (folder / "src").mkdir(parents=True)
    (folder / "src" / "tiny.py").write_text("def run(input, context):\n    return {}\n")
    manifest = {
        "manifest": "1",
        "name": "tiny",
        "version": "1.0.0",
        "title": "Tiny",
        "summary": "Does nothing.",
        "licence": "Apache-2.0",
        "authors": "[{name: A}]",
        "kind": "job",
        "runtime": "python",
        "entry_point": "tiny:run",
        **changes,
    }
    text = "".join(f"{key}: {value}\n" for key, value in manifest.items())
    (folder / "plugin.yaml").write_text(text)
    return folder


def test_a_directory_is_packed_and_published_under_its_name(
    platform: Any, heimnetz: Heimnetz, tmp_path: Path
) -> None:
    plugin = make_plugin(tmp_path / "tiny")
    platform.on(f"POST {REGISTRY}/plugins/tiny/versions", {**VERSION, "plugin": "tiny"}, status=201)

    said = heimnetz("publish", plugin)

    assert said.code == 0, said.err
    assert platform.requests[-1].content.startswith(b"\x1f\x8b")
    assert said.out == "tiny 1.0.0 approved\n"


@pytest.mark.parametrize(("state", "code"), [("approved", 0), ("needs_review", 1), ("rejected", 1)])
def test_waiting_ends_with_the_verdict(
    platform: Any, heimnetz: Heimnetz, tmp_path: Path, monkeypatch: Any, state: str, code: int
) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)
    waiting = {**VERSION, "plugin": "tiny", "state": "submitted", "score": None}
    platform.on(f"POST {REGISTRY}/plugins/tiny/versions", waiting, status=201)
    platform.on(f"GET {REGISTRY}/plugins/p/versions/1.0.0", waiting, {**VERSION, "state": state})
    platform.on(f"GET {REGISTRY}/plugins/tiny/versions/1.0.0", waiting, {**VERSION, "state": state})

    said = heimnetz("publish", make_plugin(tmp_path / "tiny"), "--wait")

    assert said.code == code
    assert "97 of 100, grade A" in said.err


def test_mistakes_in_a_manifest_are_shown_before_anything_is_sent(
    platform: Any, heimnetz: Heimnetz, tmp_path: Path
) -> None:
    plugin = make_plugin(tmp_path / "tiny", runtime="pyton")

    for said in (heimnetz("publish", plugin), heimnetz("check", plugin)):
        assert said.code in (7, 1)
        assert "plugin.yaml:9:" in said.err
        assert "/runtime" in said.err
    assert platform.requests == []


def test_packing_twice_gives_the_same_digest(heimnetz: Heimnetz, tmp_path: Path) -> None:
    plugin = make_plugin(tmp_path / "tiny")
    first = heimnetz("pack", plugin, "--out", tmp_path / "a.tar.gz", "--json")
    os.utime(plugin / "plugin.yaml", (1, 1))
    second = heimnetz("pack", plugin, "--out", tmp_path / "b.tar.gz", "--json")

    assert json.loads(first.out)["sha256"] == json.loads(second.out)["sha256"]


def test_an_audit_without_findings_is_exit_code_0(heimnetz: Heimnetz, tmp_path: Path) -> None:
    said = heimnetz("audit", make_plugin(tmp_path / "tiny"), "--format", "json")

    assert said.code == 0
    assert json.loads(said.out)["grade"] == "A"


def test_an_audit_fails_on_the_severity_asked_for(heimnetz: Heimnetz, tmp_path: Path) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text(
        "import os\nfrom flask import request\n\n\ndef run():\n    os.system(request.args['x'])\n"
    )

    found = heimnetz("audit", bad, "--source-only", "--format", "jsonl", "--fail-on", "high")

    assert found.code == 1
    (line,) = [json.loads(line) for line in found.out.splitlines()]
    assert (line["file"], line["line"], line["cwe"]) == ("bad.py", 6, 78)
    assert heimnetz("audit", bad, "--source-only").code == 0


def test_what_an_audit_cannot_read_is_exit_code_2(heimnetz: Heimnetz, tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("def (\n")

    assert heimnetz("audit", broken, "--source-only").code == 2


def test_a_service_that_is_down_is_exit_code_1(platform: Any, heimnetz: Heimnetz) -> None:
    platform.on(
        f"GET {MONITOR}/status",
        {"services": [{"service": "registry", "state": "down", "reason": "gone"}], "plugins": []},
    )
    platform.on(f"GET {MONITOR}/alerts", {"items": [], "next_cursor": None})

    said = heimnetz("status")

    assert said.code == 1
    assert "registry\tdown\t\tgone" in said.out


def test_logs_are_followed_line_by_line(platform: Any, heimnetz: Heimnetz) -> None:
    platform.on(
        f"GET {SANDBOX}/runs/r1/logs",
        httpx.Response(200, text="data: one\n\ndata: two\x1b[2J\n\nevent: end\ndata: \n\n"),
    )

    said = heimnetz("logs", "-f", "r1")

    assert said.out == "one\ntwo\\x1b[2J\n"


def test_the_address_of_the_documentation_is_printed(platform: Any, heimnetz: Heimnetz) -> None:
    assert heimnetz("docs", "p@1.0.0").out == "http://heimnetz.test/docs/p/1.0.0/\n"


def test_colour_is_off_where_no_color_says_so(monkeypatch: Any) -> None:
    from heimnetz_cli import output

    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")

    assert output.is_terminal()
    assert not output.has_colour()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=60,
)


@given(json_values)
def test_json_that_is_shown_is_the_same_json(value: Any) -> None:
    from heimnetz_cli.output import to_json

    shown = to_json(value)

    assert json.loads(shown) == value
    assert not set(shown) & set("\x1b\x9b\u202e\x07")
