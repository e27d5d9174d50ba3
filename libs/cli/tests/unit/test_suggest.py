import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from heimnetz_manifest import parse_manifest

from .conftest import SANDBOX, Heimnetz, problem

HEAD = """\
# my own words
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
"""
LIMITS = """
# as small as can be
limits: {memory: 64 MiB}
"""
CODE = """\
import urllib.request
from heimnetz_sdk.plugin import Context

EVENT = "tiny.thing.happened.v1"


def run(input, context: Context):
    urllib.request.urlopen("https://api.example.org/prices?day=" + str(input["day"]), timeout=5)
    context.storage.put("last", "1")
    context.publish(EVENT, {})
    return {"said": context.call("log-digest", {})}
"""
NEEDS = {
    "network:api.example.org:443",
    "storage:1048576",
    "publish:tiny.thing.happened.v1",
    "call:log-digest",
}
BEHAVIOUR = f"GET {SANDBOX}/plugins/tiny/behaviour"
TRIALS = f"GET {SANDBOX}/trials"


def make(folder: Path, code: str = CODE, permissions: str = "", tail: str = LIMITS) -> Path:
    project = folder / "tiny"
    project.mkdir()
    (project / "plugin.py").write_text(code)
    (project / "plugin.yaml").write_text(HEAD + permissions + tail)
    return project


def keys(answer: dict[str, Any]) -> set[str]:
    return {need["key"] for need in answer["needs"]}


def test_what_the_code_does_is_what_is_suggested(heimnetz: Heimnetz, tmp_path: Path) -> None:
    project = make(tmp_path)

    said = heimnetz("suggest", project, "--json")

    answer = json.loads(said.out)
    assert said.code == 1
    assert keys(answer) == NEEDS
    assert set(answer["added"]) == NEEDS
    assert answer["permissions"]["network"][0]["to"] == "api.example.org:443"
    assert answer["questions"] == []
    assert answer["has_observations"] is False


def test_what_is_printed_can_be_put_into_the_manifest(heimnetz: Heimnetz, tmp_path: Path) -> None:
    project = make(tmp_path)

    printed = heimnetz("suggest", project).out

    (project / "plugin.yaml").write_text(HEAD + printed)
    again = heimnetz("suggest", project)
    assert parse_manifest((HEAD + printed).encode()).permissions.keys() == NEEDS
    assert again.code == 0
    assert "exactly this" in again.err


def test_reasons_and_sizes_that_are_there_stay_and_what_nothing_needs_goes(
    heimnetz: Heimnetz, tmp_path: Path
) -> None:
    permissions = (
        "permissions:\n"
        "  network:\n"
        '    - {to: "api.example.org:443", reason: "Prices: all of them"}\n'
        '    - {to: "old.example.org:443", reason: Once}\n'
        "  storage: {size: 3 KiB, reason: Remembers}\n"
        "  secrets: [{name: token, reason: Logs in}]\n"
    )
    project = make(tmp_path, permissions=permissions)

    said = heimnetz("suggest", project, "--json")

    answer = json.loads(said.out)
    assert answer["removed"] == ["network:old.example.org:443"]
    assert answer["permissions"]["network"] == [
        {"to": "api.example.org:443", "reason": "Prices: all of them"}
    ]
    assert answer["permissions"]["storage"] == {"size": "3 KiB", "reason": "Remembers"}
    assert answer["permissions"]["secrets"] == [{"name": "token", "reason": "Logs in"}]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize(
    "before",
    [
        "",
        "permissions: {}\n",
        "permissions:\n  network:\n    # a remark\n    - {to: 'old.example.org:443', reason: Once}\n",
        "permissions: {network: [{to: 'old.example.org:443',\n    reason: Once}]}\n",
    ],
)
def test_writing_replaces_the_permissions_and_nothing_else(
    heimnetz: Heimnetz, tmp_path: Path, before: str, newline: str
) -> None:
    project = make(tmp_path, permissions=before)
    file = project / "plugin.yaml"
    file.write_bytes(file.read_bytes().replace(b"\n", newline.encode()))

    said = heimnetz("suggest", project, "--write")

    assert said.code == 0, said.err
    text = file.read_bytes().decode()
    assert parse_manifest(text.encode()).permissions.keys() == NEEDS
    rest = text.replace("\r\n", "\n")
    assert rest.startswith(HEAD)
    assert LIMITS in rest
    assert ("\r\n" in text) is (newline == "\r\n")
    assert text.count("\n") == text.count(newline)
    assert heimnetz("suggest", project).code == 0
    assert {path.name for path in project.iterdir()} == {"plugin.py", "plugin.yaml"}


def test_permissions_that_nothing_needs_any_more_are_taken_out(
    heimnetz: Heimnetz, tmp_path: Path
) -> None:
    permissions = "permissions:\n  storage: {size: 1 KiB, reason: Once}\n"
    project = make(tmp_path, "def run(input, context):\n    return {}\n", permissions)

    assert heimnetz("suggest", project, "--write").code == 0
    assert (project / "plugin.yaml").read_text() == HEAD + LIMITS


def test_a_manifest_in_which_the_place_is_not_found_is_left_as_it_is(
    heimnetz: Heimnetz, tmp_path: Path
) -> None:
    quoted = "'permissions': {storage: {size: 1 KiB, reason: Once}}\n"
    project = make(tmp_path, permissions=quoted)
    before = (project / "plugin.yaml").read_text()

    said = heimnetz("suggest", project, "--write")

    assert said.code == 6
    assert (project / "plugin.yaml").read_text() == before


def test_an_address_that_is_computed_keeps_what_the_manifest_says_of_it(
    heimnetz: Heimnetz, tmp_path: Path
) -> None:
    code = (
        "import urllib.request\n\n\ndef run(input, context):\n"
        "    urllib.request.urlopen('http://' + context.config['device'] + '/', timeout=5)\n"
        "    return {}\n"
    )
    permissions = "permissions: {network: [{to: 'lan:80', reason: Asks devices}]}\n"
    (tmp_path / "a").mkdir()

    without = heimnetz("suggest", make(tmp_path, code), "--json")
    with_one = heimnetz("suggest", make(tmp_path / "a", code, permissions), "--json")

    assert json.loads(without.out)["needs"] == []
    assert "which one, the manifest has to say" in json.loads(without.out)["questions"][0]
    assert with_one.code == 0
    assert keys(json.loads(with_one.out)) == {"network:lan:80"}


def test_a_name_that_is_computed_is_a_question_and_keeps_what_is_declared(
    heimnetz: Heimnetz, tmp_path: Path
) -> None:
    code = "def run(input, context):\n    context.publish(input['type'], {})\n    return {}\n"
    permissions = "permissions: {publish: [{event: a.b.v1, reason: Tells}]}\n"

    said = heimnetz("suggest", make(tmp_path, code, permissions), "--json")

    answer = json.loads(said.out)
    assert said.code == 0
    assert keys(answer) == {"publish:a.b.v1"}
    assert answer["questions"] == ["plugin.py:2 announces an event whose name it computes"]


def test_what_tests_of_the_plugin_do_asks_for_nothing(heimnetz: Heimnetz, tmp_path: Path) -> None:
    project = make(tmp_path, "def run(input, context):\n    return {}\n")
    (project / "tests").mkdir()
    (project / "tests" / "test_it.py").write_text(CODE)

    assert heimnetz("suggest", project).code == 0


def test_what_runs_and_trials_were_seen_doing_is_added(
    platform: Any, heimnetz: Heimnetz, tmp_path: Path
) -> None:
    seen = [
        {"kind": "connect", "target": "cdn.example.net:443", "is_granted": False},
        {"kind": "connect", "target": "api.example.org:443", "is_granted": True},
        {"kind": "open", "target": "/etc/passwd", "is_granted": False},
    ]
    touched = [
        {"kind": "publish", "target": "other.thing.v1", "is_declared": False},
        {"kind": "connect", "target": "127.0.0.1:22", "is_declared": False},
        {"kind": "publish", "target": "heimnetz.alert.raised.v1", "is_declared": False},
    ]
    seen.append({"kind": "storage", "target": "write", "is_granted": True})
    platform.on(BEHAVIOUR, {"items": seen})
    platform.on(TRIALS, {"plugin": "tiny", "version": "1.0.0", "touched": touched})

    answer = json.loads(heimnetz("suggest", make(tmp_path), "--json").out)

    assert keys(answer) == NEEDS | {"network:cdn.example.net:443", "publish:other.thing.v1"}
    sources = {need["key"]: need["sources"] for need in answer["needs"]}
    assert sources["network:cdn.example.net:443"] == ["seen"]
    assert sources["storage:1048576"] == ["code", "seen"]
    assert sources["network:api.example.org:443"] == ["code", "seen"]
    assert len(answer["questions"]) == 2
    assert answer["has_observations"] is True


def test_a_device_that_a_wider_grant_covers_is_no_permission_of_its_own(
    platform: Any, heimnetz: Heimnetz, tmp_path: Path
) -> None:
    code = (
        "import urllib.request\n\n\ndef run(input, context):\n"
        "    urllib.request.urlopen('http://' + context.config['device'] + '/', timeout=5)\n"
    )
    permissions = "permissions: {network: [{to: 'lan:80', reason: Asks devices}]}\n"
    seen = [{"kind": "connect", "target": "192.168.1.7:80", "is_granted": True}]
    platform.on(BEHAVIOUR, {"items": seen})

    said = heimnetz("suggest", make(tmp_path, code, permissions), "--json")

    assert said.code == 0
    assert keys(json.loads(said.out)) == {"network:lan:80"}


def test_a_platform_that_does_not_answer_leaves_what_the_code_shows(
    platform: Any, heimnetz: Heimnetz, tmp_path: Path
) -> None:
    platform.on(BEHAVIOUR, problem(403, "forbidden", "not for you"))

    said = heimnetz("suggest", make(tmp_path), "--json")

    assert keys(json.loads(said.out)) == NEEDS
    assert "what runs have shown is left out: not for you" in said.err


def test_offline_nobody_is_asked(platform: Any, heimnetz: Heimnetz, tmp_path: Path) -> None:
    said = heimnetz("suggest", make(tmp_path), "--offline", "--json")

    assert keys(json.loads(said.out)) == NEEDS
    assert platform.requests == []


@pytest.mark.parametrize("items", ["text", [1, None, "x"], [{"kind": 7, "target": {}}], [{}]])
def test_an_odd_answer_of_the_platform_changes_nothing(
    platform: Any, heimnetz: Heimnetz, tmp_path: Path, items: Any
) -> None:
    platform.on(BEHAVIOUR, httpx.Response(200, json={"items": items}))

    assert keys(json.loads(heimnetz("suggest", make(tmp_path), "--json").out)) == NEEDS


def test_what_was_seen_is_never_a_way_to_write_more_than_names(
    platform: Any, heimnetz: Heimnetz, tmp_path: Path
) -> None:
    evil = ["a.v1, reason: x}]\nname: evil", "a.b.v1\n  call: []", "\x1b[31m.v1", "x" * 5_000]
    kinds = ("publish", "call", "connect")
    seen = [{"kind": kind, "target": target} for kind in kinds for target in evil]
    platform.on(BEHAVIOUR, {"items": seen})
    project = make(tmp_path)

    said = heimnetz("suggest", project, "--write")

    assert said.code == 0
    assert parse_manifest((project / "plugin.yaml").read_bytes()).permissions.keys() == NEEDS
    assert "\x1b" not in said.err


def test_a_broken_manifest_is_explained_and_code_that_cannot_be_read_is_named(
    heimnetz: Heimnetz, tmp_path: Path
) -> None:
    project = make(tmp_path, "def (\n")
    unread = heimnetz("suggest", project)
    (project / "plugin.yaml").write_text(HEAD.replace("job", "jab"))
    broken = heimnetz("suggest", project)

    assert "plugin.py cannot be read as Python" in unread.err
    assert broken.code == 7
    assert "/kind" in broken.err
