import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from .conftest import SANDBOX, Heimnetz, Platform, problem

DRAFTS = f"POST {SANDBOX}/drafts"
MANIFEST = """\
manifest: 1
name: tiny
version: 1.0.0
title: Tiny
summary: Does little.
licence: Apache-2.0
authors: [{name: A}]
kind: job
runtime: python
entry_point: plugin:run
examples:
  - {name: a-day, input: {day: 1}}
  - {name: a-night, input: {day: 0}}
permissions:
  network: [{to: "api.example.org:443", reason: Asks for prices}]
"""
RAN = {
    "plugin": "tiny",
    "version": "1.0.0",
    "example": "a-day",
    "has_grants": True,
    "made_up_secrets": [],
    "outcome": "ok",
    "reason": None,
    "result": {"said": "hello"},
    "duration_seconds": 0.31,
    "peak_memory_bytes": 24 << 20,
    "cpu_seconds": 0.05,
    "files": [],
    "log": [{"at": "2026-01-01T00:00:00Z", "stream": "stdout", "text": "counting \x1b[31m"}],
    "reached": [{"kind": "connect", "target": "api.example.org:443", "is_granted": True}],
}


def refused(*targets: str, kind: str = "connect") -> list[dict[str, Any]]:
    return [{"kind": kind, "target": target, "is_granted": False} for target in targets]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "plugin.yaml").write_text(MANIFEST)
    (folder / "plugin.py").write_text("def run(input, context): return {}\n")
    return folder


def asked(request: httpx.Request) -> dict[str, Any]:
    """The form's JSON part."""
    part = request.content.split(b'name="draft"', 1)[1].split(b"\r\n\r\n", 1)[1]
    document: dict[str, Any] = json.loads(part.split(b"\r\n--", 1)[0])
    return document


def script(monkeypatch: pytest.MonkeyPatch, *steps: Callable[[], object]) -> None:
    """What happens while the command waits, one step each time, and then Ctrl-C."""
    left = list(steps)

    def pause(_seconds: float) -> None:
        if not left:
            raise KeyboardInterrupt
        left.pop(0)()

    monkeypatch.setattr(time, "sleep", pause)


def test_a_run_is_told_with_its_log_result_and_resources(
    heimnetz: Heimnetz, platform: Platform, project: Path
) -> None:
    platform.on(DRAFTS, RAN)

    said = heimnetz("dev", project, "--once")

    assert said.code == 0
    assert json.loads(said.out) == {"said": "hello"}
    assert "stdout   counting \\x1b[31m" in said.err
    assert "ok: tiny 1.0.0, 310 ms, 24.0 MiB of 128.0 MiB memory, 50 ms of processor" in said.err
    assert "refused" not in said.err
    assert asked(platform.requests[0]) == {"example": "a-day", "input": None, "configuration": {}}
    assert b"\x1f\x8b" in platform.requests[0].content


def test_what_was_refused_is_told_with_the_lines_that_would_ask_for_it(
    heimnetz: Heimnetz, platform: Platform, project: Path
) -> None:
    reached = [
        *refused("new.example.org:443", "api.example.org:443"),
        *refused("tiny.done.v1", kind="publish"),
        *refused("its own", kind="storage"),
        *refused("Not A Plugin", kind="call"),
    ]
    platform.on(DRAFTS, {**RAN, "outcome": "error", "reason": "OSError: 403", "reached": reached})

    plain = heimnetz("dev", project, "--once")
    document = json.loads(heimnetz("dev", project, "--once", "--json").out)

    assert plain.code == 1
    assert "OSError: 403" in plain.err
    assert "refused: connect new.example.org:443" in plain.err
    assert "    - to: new.example.org:443\n" in plain.err
    assert "call 'Not A Plugin' is nothing that a plugin can be granted" in plain.err
    more = document["permissions_to_add"]
    assert [one["to"] for one in more["network"]] == ["new.example.org:443"]
    assert more["storage"]["size"] == "1 MiB"
    assert [one["event"] for one in more["publish"]] == ["tiny.done.v1"]


def test_who_is_not_the_owner_is_told_why_nothing_was_granted(
    heimnetz: Heimnetz, platform: Platform, project: Path
) -> None:
    reached = refused("api.example.org:443")
    platform.on(
        DRAFTS, {**RAN, "has_grants": False, "reached": reached, "made_up_secrets": ["/key"]}
    )

    said = heimnetz("dev", project, "--once")

    assert "only the owner's drafts have the permissions" in said.err
    assert "plugin.yaml needs" not in said.err
    assert "the secret /key was made up" in said.err


def test_the_example_input_and_configuration_can_be_others(
    heimnetz: Heimnetz, platform: Platform, project: Path
) -> None:
    platform.on(DRAFTS, RAN)
    secrets = project.parent / "secrets.json"
    secrets.write_text('{"key": "s"}')

    heimnetz(
        *("dev", project, "--once", "--example", "a-night", "--input", '{"day": 2}'),
        *("--config", "limit=3", "--config-file", secrets),
    )

    assert asked(platform.requests[0]) == {
        "example": "a-night",
        "input": {"day": 2},
        "configuration": {"key": "s", "limit": 3},
    }


def test_an_example_that_is_not_there_is_not_sent(
    heimnetz: Heimnetz, platform: Platform, project: Path
) -> None:
    said = heimnetz("dev", project, "--once", "--example", "absent")

    assert said.code == 5
    assert "it has a-day, a-night" in said.err
    assert platform.requests == []


def test_each_save_leads_to_a_run_and_what_stays_does_not(
    heimnetz: Heimnetz, platform: Platform, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.on(DRAFTS, RAN)
    code = project / "plugin.py"
    script(
        monkeypatch,
        lambda: code.write_text("def run(input, context): return {'a': 1}\n"),
        lambda: None,
        lambda: (project / "more.py").write_text(""),
        lambda: (project / ".hidden").write_text(""),
        (project / "plugin.yaml").touch,
    )

    said = heimnetz("dev", project)

    assert said.code == 0
    assert len(platform.requests) == 4
    assert said.err.endswith("ended\n")


def test_a_mistake_and_a_stack_that_is_away_do_not_end_the_loop(
    heimnetz: Heimnetz, platform: Platform, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = problem(503, "unavailable", "the sandbox is starting")
    busy = problem(429, "queue-full", "another draft is under way")
    platform.on(DRAFTS, away, busy, RAN)
    manifest = project / "plugin.yaml"
    script(
        monkeypatch,
        lambda: manifest.write_text(MANIFEST.replace("kind: job", "kind: jib")),
        lambda: (project / "link").symlink_to("plugin.py"),
        lambda: ((project / "link").unlink(), manifest.write_text(MANIFEST)),
        lambda: manifest.write_text(MANIFEST + "\n"),
    )

    said = heimnetz("dev", project)

    assert said.code == 0
    assert "the sandbox is starting" in said.err
    assert "plugin.yaml:8:7: /kind" in said.err
    assert "archive-symbolic-link" in said.err
    assert "another draft is under way" in said.err
    assert json.loads(said.out) == {"said": "hello"}


def test_who_is_not_logged_in_is_told_how(heimnetz: Heimnetz, project: Path) -> None:
    said = heimnetz("dev", project)

    assert said.code == 3
    assert "heimnetz login" in said.err


def test_a_token_that_is_refused_ends_the_loop(
    heimnetz: Heimnetz, platform: Platform, project: Path
) -> None:
    platform.on(DRAFTS, problem(403, "forbidden", "the role viewer may not do this"))

    said = heimnetz("dev", project)

    assert said.code == 4
    assert "the role viewer may not do this" in said.err
