"""An installation as a file: what is written, and what is sent when it is brought back."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from .conftest import REGISTRY, Heimnetz

FILE = {
    "format": "heimnetz-installation/1",
    "plugin": "p",
    "version": "1.0.0",
    "configuration": {"key": "***"},
    "salt": "c2FsdA==",
    "sealed": "c2VhbGVk",
}
DONE = {"plugin": "p", "version": "1.0.0", "grants": ["network:api.example.org:443"]}
EXPORT, IMPORT = (f"POST {REGISTRY}/installations/p/{what}" for what in ("export", "import"))


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("correct horse battery\n"))


def test_an_export_is_a_file_for_its_owner_alone_and_without_secrets(
    platform: Any, heimnetz: Heimnetz, tmp_path: Path
) -> None:
    platform.on(EXPORT, {**FILE, "salt": None, "sealed": None})
    file = tmp_path / "p.json"

    said = heimnetz("export", "p", "-o", file)

    assert said.code == 0, said.err
    assert platform.sent("/export") == {}
    assert json.loads(file.read_text())["version"] == "1.0.0"
    assert file.stat().st_mode & 0o077 == 0


@pytest.mark.usefixtures("typed")
def test_a_passphrase_comes_from_stdin_and_never_from_the_command_line(
    platform: Any, heimnetz: Heimnetz
) -> None:
    platform.on(EXPORT, FILE)

    said = heimnetz("export", "p", "--secrets")

    assert platform.sent("/export") == {"passphrase": "correct horse battery"}
    assert json.loads(said.out) == FILE


def test_an_export_replaces_no_file(platform: Any, heimnetz: Heimnetz, tmp_path: Path) -> None:
    file = tmp_path / "p.json"
    file.write_text("precious")

    said = heimnetz("export", "p", "-o", file)

    assert said.code == 6
    assert file.read_text() == "precious"
    assert platform.requests == []


@pytest.mark.usefixtures("typed")
def test_an_import_opens_what_was_sealed(platform: Any, heimnetz: Heimnetz, tmp_path: Path) -> None:
    file = tmp_path / "p.json"
    file.write_text(json.dumps(FILE))
    platform.on(IMPORT, DONE, status=201)

    said = heimnetz("import", file, "--config", "price=2")

    assert said.code == 0, said.err
    assert platform.sent("/import") == {
        "file": FILE,
        "passphrase": "correct horse battery",
        "configuration": {"price": 2},
        "allow_downgrade": False,
    }
    assert "granted: network:api.example.org:443" in said.err


def test_an_import_without_secrets_asks_for_no_passphrase(
    platform: Any, heimnetz: Heimnetz, tmp_path: Path
) -> None:
    file = tmp_path / "p.json"
    file.write_text(json.dumps(FILE))
    platform.on(IMPORT, DONE)

    assert heimnetz("import", file, "--without-secrets").code == 0
    assert "passphrase" not in platform.sent("/import")


@pytest.mark.parametrize(
    "text", ["", "[]", "nonsense", '{"format": "x"}', "[" * 100_000, "x" * 1_100_000]
)
def test_what_is_no_export_is_not_sent(
    platform: Any, heimnetz: Heimnetz, tmp_path: Path, text: str
) -> None:
    file = tmp_path / "p.json"
    file.write_text(text)

    said = heimnetz("import", file)

    assert said.code == 2
    assert platform.requests == []
