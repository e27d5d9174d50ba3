import json
import os
import sys
import tarfile
import zipfile
from importlib import metadata
from io import BytesIO
from pathlib import Path

import jsonschema
import pytest
import yaml
from packaging.requirements import Requirement

from heimnetz_cli.commands.authoring import Template
from heimnetz_manifest import manifest_schema, pack, read_package

from .conftest import Heimnetz

COMMON = {
    *("plugin.yaml", "README.md", "CHANGELOG.md", "LICENSE", "AGENTS.md"),
    *(".editorconfig", ".gitignore", ".ci/install.sh"),
    *(".vscode/settings.json", ".vscode/extensions.json", ".vscode/manifest.schema.json"),
    *(".devcontainer/devcontainer.json", ".github/workflows/check.yml"),
}
PYTHON = {*COMMON, "plugin.py", "pyproject.toml", "tests/test_plugin.py"}
NODE = {*COMMON, "plugin.js", "package.json", "tests/plugin.test.js"}
EXPECTED = {
    **{f"{template} python": PYTHON for template in Template},
    **{f"{template} node": NODE for template in Template},
    "api python": {*PYTHON, "routing.py"},
    "api node": {*NODE, "routing.js"},
}


@pytest.fixture(params=list(EXPECTED))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def project(kind: str, heimnetz: Heimnetz, tmp_path: Path) -> Path:
    template, language = kind.split()
    chosen = ("--template", template, "--language", language)
    said = heimnetz("new", "my-plugin", *chosen, "--in", tmp_path)
    assert said.code == 0, said.err
    return tmp_path / "my-plugin"


@pytest.fixture
def basic(heimnetz: Heimnetz, tmp_path: Path) -> Path:
    assert heimnetz("new", "my-plugin", "--in", tmp_path).code == 0
    return tmp_path / "my-plugin"


def files_of(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_every_template_passes_check_audit_and_its_own_tests_at_once(
    kind: str, project: Path, heimnetz: Heimnetz, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    is_python = kind.endswith("python")
    report = (
        ("--junitxml=report.xml",)
        if is_python
        else ("--test-reporter=junit", "--test-reporter-destination=report.xml")
    )

    checked = heimnetz("check", project)
    audited = heimnetz("audit", project, "--format", "json", "--fail-on", "low")
    tested = heimnetz("test", "--project", project, *report)

    assert (checked.code, checked.out) == (0, "my-plugin 0.1.0 is in order\n")
    found = json.loads(audited.out)
    assert (found["grade"] in {"A", "B"}, found["findings"]) == (True, [])
    # 2 stands for scripts that were not looked at.
    assert audited.code in ({0} if is_python else {0, 2})
    assert tested.code == 0
    written = (project / "report.xml").read_text()
    assert written.count("<testcase ") >= 5
    assert "<failure" not in written


def test_every_template_has_all_that_an_author_needs(kind: str, project: Path) -> None:
    assert files_of(project) == EXPECTED[kind]
    manifest = (project / "plugin.yaml").read_text()
    assert manifest.startswith(
        "# yaml-language-server: $schema=.vscode/manifest.schema.json\nmanifest: 1\n"
    )
    schema = json.loads((project / ".vscode/manifest.schema.json").read_text())
    assert schema == manifest_schema()
    jsonschema.validate(yaml.safe_load(manifest), schema)
    for path in files_of(project):
        text = (project / path).read_text()
        assert "{%" not in text, path
        assert text.endswith("\n"), path
        assert not text.endswith("\n\n"), path
        if path.endswith(".json"):
            json.loads(text)
        if path.endswith((".yml", ".yaml")):
            yaml.safe_load(text)


def test_a_package_has_neither_caches_nor_environments(kind: str, project: Path) -> None:
    before = pack(project)
    for path in (
        ".venv/lib/x.py",
        "venv/bin/x",
        "tests/__pycache__/x.pyc",
        ".pytest_cache/x",
        "node_modules/x/x.js",
    ):
        (project / path).parent.mkdir(parents=True, exist_ok=True)
        (project / path).write_text("x")
    (project / "venv" / "pyvenv.cfg").write_text("")

    assert pack(project) == before
    with tarfile.open(fileobj=BytesIO(before)) as archive:
        assert set(archive.getnames()) == {
            path for path in EXPECTED[kind] if not path.startswith(".")
        }


def test_the_same_name_gives_the_same_package(heimnetz: Heimnetz, tmp_path: Path) -> None:
    for place in ("a", "b"):
        (tmp_path / place).mkdir()
        heimnetz("new", "x", "--in", tmp_path / place, "--author", "Ada")

    assert pack(tmp_path / "a" / "x") == pack(tmp_path / "b" / "x")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Bad", "lower-case"),
        ("", "lower-case"),
        ("../x", "lower-case"),
        ("a b", "lower-case"),
        ("x" * 64, "63"),
        ("registry", "reserved"),
        ("heimnetz-x", "reserved"),
    ],
)
def test_a_bad_name_is_explained_and_nothing_is_written(
    heimnetz: Heimnetz, tmp_path: Path, name: str, words: str
) -> None:
    said = heimnetz("new", name, "--in", tmp_path)

    assert said.code == 2
    assert words in said.err
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_template_or_language_names_those_that_exist(
    heimnetz: Heimnetz, tmp_path: Path
) -> None:
    for option, wrong, known in (
        ("--template", "huge", "security"),
        ("--language", "cobol", "python"),
    ):
        said = heimnetz("new", "x", option, wrong, "--in", tmp_path)

        assert said.code == 2
        assert known in said.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["directory", "file", "dangling link"])
def test_what_is_there_already_is_left_as_it_is(
    heimnetz: Heimnetz, tmp_path: Path, kind: str
) -> None:
    target = tmp_path / "x"
    if kind == "directory":
        target.mkdir()
    elif kind == "file":
        target.write_text("mine")
    else:
        target.symlink_to("nowhere")

    said = heimnetz("new", "x", "--in", tmp_path)

    assert said.code == 6
    assert "is there already" in said.err
    assert list(tmp_path.iterdir()) == [target]
    assert not target.is_dir() or not list(target.iterdir())


@pytest.mark.parametrize("author", ["a\x1bb", "x" * 121, "a\nb", " "])
def test_an_author_that_no_manifest_takes_is_refused_and_nothing_is_written(
    heimnetz: Heimnetz, tmp_path: Path, author: str
) -> None:
    said = heimnetz("new", "x", "--in", tmp_path, "--author", author)

    assert (said.code, list(tmp_path.iterdir())) == (2, [])
    assert "author" in said.err


@pytest.mark.parametrize("author", ['A "q" \\ B', "{{ 7 * 7 }}", "x: y # z", "Zoë 東"])
def test_an_author_is_written_as_given(heimnetz: Heimnetz, tmp_path: Path, author: str) -> None:
    heimnetz("new", "x", "--in", tmp_path, "--author", author)

    (found,) = read_package(pack(tmp_path / "x")).manifest.authors
    assert found.name == author


@pytest.mark.parametrize("name", ["no", "true", "1e5", "0x1", "x" * 63])
def test_a_name_that_looks_like_something_else_stays_a_name(
    heimnetz: Heimnetz, tmp_path: Path, name: str
) -> None:
    heimnetz("new", name, "--in", tmp_path)

    manifest = yaml.safe_load((tmp_path / name / "plugin.yaml").read_text())
    assert manifest["name"] == name
    assert isinstance(manifest["title"], str)


def test_where_nothing_can_be_written_it_says_so(heimnetz: Heimnetz, tmp_path: Path) -> None:
    said = heimnetz("new", "x", "--in", tmp_path / "nowhere")

    assert said.code == 2
    assert "nowhere" in said.err


def test_the_answer_as_json_names_every_file(heimnetz: Heimnetz, tmp_path: Path) -> None:
    answer = json.loads(heimnetz("new", "x", "--in", tmp_path, "--json").out)

    assert set(answer["files"]) == EXPECTED["basic python"]
    assert answer["directory"] == str(tmp_path / "x")


def test_exit_codes_tell_a_failed_test_from_none_at_all(
    basic: Path, heimnetz: Heimnetz, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    (basic / "tests" / "test_plugin.py").write_text("def test_it(plugin):\n    assert False\n")

    failed = heimnetz("test", "--project", basic, "-q")
    none = heimnetz("test", "--project", basic, "-k", "nothing")

    assert (failed.code, none.code) == (1, 5)


@pytest.mark.parametrize("command", [("setup",), ("test", "--project")])
def test_outside_of_a_project_setup_and_test_say_how_to_begin(
    heimnetz: Heimnetz, tmp_path: Path, command: tuple[str, ...]
) -> None:
    said = heimnetz(*command, tmp_path)

    assert said.code == 2
    assert "heimnetz new" in said.err
    assert list(tmp_path.iterdir()) == []


def test_setup_makes_an_environment_with_the_sdk_and_again_without_harm(
    basic: Path, heimnetz: Heimnetz, index: Path
) -> None:
    first = heimnetz("setup", basic, "--json")
    assert first.code == 0, first.err
    python = Path(json.loads(first.out)["python"])
    site = next((basic / ".venv" / "lib").glob("python*/site-packages"))
    (site / "mine.py").write_text("")
    (basic / ".vscode" / "manifest.schema.json").write_text("{}")

    again = heimnetz("setup", basic)
    tested = heimnetz("test", "--project", basic, "-q")

    assert again.code == 0, again.err
    assert python == basic / ".venv" / "bin" / "python"
    assert (site / "mine.py").exists()
    assert (site / "heimnetz_sdk" / "testing" / "__init__.py").exists()
    assert json.loads((basic / ".vscode/manifest.schema.json").read_text()) == manifest_schema()
    assert tested.code == 0
    assert str(python) in tested.err


def test_setup_tells_what_cannot_be_had_and_works_the_next_time(
    basic: Path, heimnetz: Heimnetz, index: Path
) -> None:
    wheel = next(index.glob("pytest-*"))
    wheel.rename(index / "away")

    said = heimnetz("setup", basic)
    tested = heimnetz("test", "--project", basic)

    assert said.code == 8
    assert "what the tests need cannot be installed" in said.err
    assert "pytest" in said.err
    assert tested.code == 2
    assert "run: heimnetz setup" in tested.err


def test_a_folder_of_that_name_that_is_no_environment_is_left_alone(
    basic: Path, heimnetz: Heimnetz
) -> None:
    (basic / ".venv").mkdir()
    (basic / ".venv" / "mine").write_text("")

    said = heimnetz("setup", basic)

    assert said.code == 6
    assert (basic / ".venv" / "mine").exists()


@pytest.fixture
def index(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package index without a network: wheels of what is installed here."""
    folder = tmp_path_factory.mktemp("index")
    waiting, seen = ["heimnetz-sdk[testing]", "heimnetz-manifest"], set[str]()
    while waiting:
        wanted = Requirement(waiting.pop())
        if wanted.name in seen:
            continue
        seen.add(wanted.name)
        found = metadata.distribution(wanted.name)
        extras = wanted.extras or {""}
        for line in found.requires or ():
            inner = Requirement(line)
            if inner.marker is None or any(inner.marker.evaluate({"extra": e}) for e in extras):
                waiting.append(line)
        if not wanted.name.startswith("heimnetz-"):
            write_wheel(found, folder)
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_FIND_LINKS", str(folder))
    monkeypatch.setenv("UV_CACHE_DIR", str(folder / "cache"))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), "/usr/bin"]))
    return folder


def write_wheel(found: metadata.Distribution, folder: Path) -> None:
    tags = [
        line.removeprefix("Tag: ").split("-", 1)
        for line in (found.read_text("WHEEL") or "").splitlines()
        if line.startswith("Tag: ")
    ]
    tag = f"{'.'.join(dict.fromkeys(python for python, _ in tags))}-{tags[0][1]}"
    name = found.metadata["Name"].replace("-", "_").replace(".", "_")
    with zipfile.ZipFile(folder / f"{name}-{found.version}-{tag}.whl", "w") as archive:
        for file in found.files or ():
            if ".." not in file.parts and file.suffix != ".pyc" and file.name != "RECORD":
                archive.write(str(file.locate()), str(file))
        facts = next(file.parent for file in found.files or () if file.name == "METADATA")
        archive.writestr(f"{facts}/RECORD", "")
