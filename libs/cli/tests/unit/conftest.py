import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from heimnetz_cli.__main__ import main

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
Answers = dict[str, httpx.Response | list[httpx.Response]]


class Platform:
    """The outside world at the wire: what each "METHOD path" answers, and what was asked."""

    def __init__(self) -> None:
        self.answers: Answers = {}
        self.requests: list[httpx.Request] = []

    def on(self, route: str, *answers: object, status: int = 200) -> None:
        made = [
            answer if isinstance(answer, httpx.Response) else httpx.Response(status, json=answer)
            for answer in answers
        ]
        self.answers[route] = made

    def __call__(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.requests.append(request)
        found = self.answers.get(f"{request.method} {request.url.path}")
        if not isinstance(found, list):
            return problem(404, "not-found", f"nothing at {request.url.path}")
        return found.pop(0) if len(found) > 1 else found[0]

    def sent(self, path_end: str) -> Any:
        request = next(r for r in reversed(self.requests) if r.url.path.endswith(path_end))
        return json.loads(request.content)


def problem(status: int, kind: str, detail: str, **more: object) -> httpx.Response:
    document = {
        "type": f"https://heimnetz.example/problems/{kind}",
        "title": kind,
        "status": status,
        "detail": detail,
        **more,
    }
    return httpx.Response(status, json=document)


@pytest.fixture
def platform(monkeypatch: pytest.MonkeyPatch, home: Path) -> Platform:
    wire = Platform()
    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", lambda _self, request: wire(request))
    monkeypatch.setenv("HEIMNETZ_URL", "http://heimnetz.test")
    monkeypatch.setenv("HEIMNETZ_TOKEN", "hnz_t")
    return wire


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("URL", "TOKEN", "CA_FILE"):
        monkeypatch.delenv(f"HEIMNETZ_{name}", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path


class Said:
    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


@pytest.fixture
def heimnetz(home: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    def call(*arguments: object) -> Said:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Said(code, captured.out, captured.err)

    return call
