import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heimnetz_cli.app import app

from .conftest import REGISTRY, RUN, SANDBOX, Heimnetz, problem


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


@pytest.mark.parametrize(("columns", "option"), [("80", "--help"), ("60", "-h"), ("200", "-h")])
def test_help_is_what_the_commands_say(
    heimnetz: Heimnetz,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    columns: str,
    option: str,
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    with pytest.raises(SystemExit):
        app(args=[option], prog_name="heimnetz")
    made = capsys.readouterr().out

    assert heimnetz(option).out == made


def test_help_loads_no_command() -> None:
    code = (
        "import os, sys; os.environ['COLUMNS'] = '80';"
        "from heimnetz_cli.__main__ import main; main(['--help']);"
        "loaded = {'typer', 'rich', 'heimnetz_cli.app'} & set(sys.modules);"
        "sys.exit(str(loaded) if loaded else 0)"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, text=True)

    assert done.returncode == 0, done.stderr


def test_commands_load_nothing_heavy() -> None:
    code = (
        "import sys, heimnetz_cli.app;"
        "heavy = {'httpx', 'rich', 'pydantic', 'yaml', 'heimnetz_audit', 'heimnetz_manifest'};"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, text=True)

    assert done.returncode == 0, done.stderr
