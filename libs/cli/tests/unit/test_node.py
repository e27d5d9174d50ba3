import json
import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from heimnetz_cli.preparing_node import SDK, place_sdk, sdk_folder

from .conftest import Heimnetz


@pytest.fixture
def project(heimnetz: Heimnetz, tmp_path: Path) -> Path:
    assert heimnetz("new", "x", "--language", "node", "--in", tmp_path).code == 0
    return tmp_path / "x"


@pytest.fixture
def only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The one folder in which programs are found."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def program(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def test_setup_needs_no_npm_where_nothing_is_to_be_installed(
    heimnetz: Heimnetz, project: Path, only: Path
) -> None:
    program(only / "node", "echo v20.1.0")
    (project / SDK).mkdir(parents=True)
    (project / SDK / "old.js").write_text("")
    (project / ".vscode" / "manifest.schema.json").write_text("{}")

    said = heimnetz("setup", project, "--json")

    assert (said.code, json.loads(said.out)) == (0, {"node": str(only / "node")})
    placed = {path.relative_to(project / SDK) for path in (project / SDK).rglob("*.*")}
    assert placed == {
        path.relative_to(sdk_folder())
        for path in (sdk_folder() / "package.json", *(sdk_folder() / "src").rglob("*.*"))
    }
    assert "properties" in json.loads((project / ".vscode/manifest.schema.json").read_text())
    assert not (project / ".venv").exists()


def test_an_sdk_that_the_author_linked_stays(
    heimnetz: Heimnetz, project: Path, only: Path, tmp_path: Path
) -> None:
    program(only / "node", "echo v20.1.0")
    (tmp_path / "mine").mkdir()
    (project / SDK.parent).mkdir()
    (project / SDK).symlink_to(tmp_path / "mine")

    assert heimnetz("setup", project).code == 0

    assert (project / SDK).is_symlink()
    assert list((tmp_path / "mine").iterdir()) == []


@pytest.mark.parametrize(("lock", "how"), [(None, "install"), ("package-lock.json", "ci")])
def test_setup_installs_what_package_json_names_and_runs_no_script_of_it(
    heimnetz: Heimnetz, project: Path, only: Path, lock: str | None, how: str
) -> None:
    program(only / "node", "echo v20.1.0")
    program(only / "npm", 'echo "$PWD" "$@" > "${0%/*}/asked"')
    (project / "package.json").write_text('{"devDependencies": {"x": "1"}}')
    if lock is not None:
        (project / lock).write_text("{}")

    said = heimnetz("setup", project)

    assert said.code == 0, said.err
    where, command, *words = (only / "asked").read_text().split()
    assert (where, command) == (str(project), how)
    assert "--ignore-scripts" in words


@pytest.mark.parametrize("answer", [None, "echo v18.19.0", "echo no; exit 1", ""])
@pytest.mark.parametrize("command", [("setup",), ("test", "--project")])
def test_without_node_20_both_say_what_is_needed(
    heimnetz: Heimnetz, project: Path, only: Path, answer: str | None, command: tuple[str, ...]
) -> None:
    if answer is not None:
        program(only / "node", answer)

    said = heimnetz(*command, project)

    assert said.code == 2
    assert "20 or newer is needed" in said.err


def test_dependencies_without_npm_are_named(heimnetz: Heimnetz, project: Path, only: Path) -> None:
    program(only / "node", "echo v20.1.0")
    (project / "package.json").write_text('{"dependencies": {"x": "1"}}')

    said = heimnetz("setup", project)

    assert said.code == 2
    assert "no npm" in said.err


@pytest.mark.parametrize("text", ["{", "[]", "[" * 100_000, "\xff"])
def test_a_package_json_that_is_none_is_named(
    heimnetz: Heimnetz, project: Path, only: Path, text: str
) -> None:
    program(only / "node", "echo v20.1.0")
    (project / "package.json").write_bytes(text.encode("latin-1"))

    said = heimnetz("setup", project)

    assert said.code == 7
    assert "package.json is no JSON" in said.err


def test_a_failed_installation_says_why(heimnetz: Heimnetz, project: Path, only: Path) -> None:
    program(only / "node", "echo v20.1.0")
    program(only / "npm", "echo nothing to be had >&2; exit 1")
    (project / "package.json").write_text('{"dependencies": {"x": "1"}}')

    said = heimnetz("setup", project)

    assert said.code == 8
    assert "nothing to be had" in said.err


@pytest.mark.parametrize(
    "text",
    [
        '{"manifest": 1, "runtime": "node", "name": "x", "version": "1.0.0", "title": "X", '
        '"summary": "It is short.", "licence": "MIT", "authors": [{"name": "Ada"}], '
        '"kind": "job", "entry_point": "plugin.js:run"}',
        "name: Not A Name\nruntime: 'node'  # here\n",
        "runtime: node\nname: [\n",
    ],
)
def test_a_project_is_for_node_by_its_manifest_however_that_is_written(
    heimnetz: Heimnetz, project: Path, only: Path, text: str
) -> None:
    program(only / "node", "echo v20.1.0")
    (project / "plugin.yaml").write_text(text)

    said = heimnetz("setup", project, "--json")

    assert (said.code, json.loads(said.out)) == (0, {"node": str(only / "node")})


def test_exit_codes_tell_a_failed_test_no_tests_and_a_broken_manifest(
    heimnetz: Heimnetz, project: Path
) -> None:
    test = project / "tests" / "plugin.test.js"
    test.write_text("import { test } from 'node:test';\ntest('x', () => { throw Error(); });\n")
    failed = heimnetz("test", "--project", project, "--test-reporter", "dot")
    unknown = heimnetz("test", "--project", project, "--no-such-option")
    test.unlink()
    none = heimnetz("test", "--project", project)
    manifest = project / "plugin.yaml"
    manifest.write_text(manifest.read_text().replace("kind: job", "kind: nothing"))
    broken = heimnetz("test", "--project", project)

    assert (failed.code, unknown.code, none.code, broken.code) == (1, 2, 5, 7)
    assert "/kind" in broken.err


def test_the_tests_alone_say_how_they_are_run(project: Path) -> None:
    node = shutil.which("node")
    assert node is not None, "Node 20 is needed"
    place_sdk(project)
    environment = {key: value for key, value in os.environ.items() if key != "HEIMNETZ_MANIFEST"}
    done = subprocess.run(
        [node, "--test"],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert "run the tests with: heimnetz test" in done.stdout
