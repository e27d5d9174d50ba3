import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from .conftest import REGISTRY, VERSION, Heimnetz


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


def test_an_audit_prints_what_a_plugin_is_made_of(heimnetz: Heimnetz, tmp_path: Path) -> None:
    said = heimnetz("audit", make_plugin(tmp_path / "tiny"), "--format", "cyclonedx")

    document = json.loads(said.out)
    assert said.code == 0
    assert document["specVersion"] == "1.6"
    assert document["metadata"]["component"]["name"] == "tiny"


def test_a_rule_is_explained_without_a_platform(heimnetz: Heimnetz) -> None:
    said = heimnetz("explain", "hidden-text")

    assert said.code == 0
    assert "## How to fix" in said.out
    assert "\u202e" not in said.out


def test_rules_are_listed_and_an_unknown_one_is_not_found(heimnetz: Heimnetz) -> None:
    assert "\ndropper\thigh\t" in heimnetz("explain").out
    assert heimnetz("explain", "droper").code == 5


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
