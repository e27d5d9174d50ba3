import io
import json
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from heimnetz_cli import session

from .conftest import REGISTRY, Heimnetz


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
