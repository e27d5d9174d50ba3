"""Each check on the examples of its own page: what it finds, and a look-alike that it does not."""

import pytest

from heimnetz_audit import Advisories, DeclaredPermissions, SourceTree, audit
from heimnetz_audit.checks import ALL
from heimnetz_audit.explaining import Example, explain_all

# Looked for in a whole package, not in a file.
OF_PACKAGES = {"manifest-permissions", "version-drift", "deps-vulnerable"}
NOTHING_KNOWN = Advisories.build("2026-01-01T00:00:00Z", {})
EXPLANATIONS = {each.check.rule: each for each in explain_all()}
RULES = sorted(EXPLANATIONS.keys() - OF_PACKAGES)


def rules(files: dict[str, str]) -> set[str]:
    tree = SourceTree.from_files({name: text.encode() for name, text in files.items()})
    is_source_only = "requirements.lock" not in files
    report = audit(tree, source_only=is_source_only, advisories=NOTHING_KNOWN)
    assert not report.unknowns, report.unknowns
    return {finding.rule for finding in report.findings}


def files_of(example: Example) -> dict[str, str]:
    return {example.file: example.text}


def test_each_check_explains_itself() -> None:
    assert EXPLANATIONS.keys() == {check.rule for check in ALL}


@pytest.mark.parametrize("rule", RULES)
def test_a_check_finds_what_it_looks_for(rule: str) -> None:
    assert rule in rules(files_of(EXPLANATIONS[rule].found))


@pytest.mark.parametrize("rule", RULES)
def test_a_check_is_silent_on_a_look_alike(rule: str) -> None:
    assert rule not in rules(files_of(EXPLANATIONS[rule].not_found))


@pytest.mark.parametrize(
    "rule", [rule for rule in RULES if EXPLANATIONS[rule].found.file == "app.py"]
)
def test_other_names_change_nothing(rule: str) -> None:
    """The file, the handler and the application are called otherwise."""
    text = EXPLANATIONS[rule].found.text
    renamed = text.replace("def x()", "def shown_to_all()").replace("app", "web_service")

    assert rule in rules({"other/place.py": renamed})


def test_what_is_declared_is_compared_with_the_code() -> None:
    tree = SourceTree.from_files({"app.py": b"x = 1\n"})
    too_much, nothing = DeclaredPermissions(network=("*:443",)), DeclaredPermissions()

    found = {finding.rule for finding in audit(tree, declared=too_much).findings}

    assert found == {"manifest-permissions"}
    assert audit(tree, declared=nothing).findings == ()


def test_a_loop_that_breeds_processes_is_told_from_a_server_that_forks() -> None:
    bomb = "import os\nwhile True:\n    os.fork()\n"
    server = "import os\nwhile True:\n    if os.fork() == 0:\n        os._exit(0)\n    os.waitpid(-1, 0)\n"

    assert "host-access" in rules({"a.py": bomb})
    assert "host-access" not in rules({"a.py": server})
