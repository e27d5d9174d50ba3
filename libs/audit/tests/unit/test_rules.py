"""Rules that differ are told apart, whoever forgets to raise a number."""

import shutil
from pathlib import Path

import pytest

import heimnetz_audit
from heimnetz_audit import ENGINE_VERSION, Memory, SourceTree, audit, examining
from heimnetz_audit.rules import RULES_SHA256, digest

FOLDER = Path(heimnetz_audit.__file__).parent


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    return shutil.copytree(FOLDER, tmp_path / "rules", ignore=shutil.ignore_patterns("*.pyc"))


def test_the_same_rules_elsewhere_have_the_same_digest(rules: Path) -> None:
    (rules / "checks" / "__pycache__").mkdir(exist_ok=True)
    (rules / "checks" / "__pycache__" / "dropper.cpython-313.pyc").write_bytes(b"x")

    assert digest(rules) == RULES_SHA256
    assert ENGINE_VERSION.endswith(f"+{RULES_SHA256[:16]}")


@pytest.mark.parametrize(
    "file", ["checks/weak_hash.py", "tracing/knowledge.py", "judging.py", "popular.txt"]
)
def test_a_rule_that_changes_changes_the_digest(rules: Path, file: str) -> None:
    with (rules / file).open("a") as stream:
        stream.write("# changed\n")

    assert digest(rules) != RULES_SHA256


def test_a_rule_that_moves_or_comes_changes_the_digest(rules: Path) -> None:
    (rules / "checks" / "weak_hash.py").rename(rules / "checks" / "hash.py")
    moved = digest(rules)
    (rules / "checks" / "another.py").touch()

    assert len({RULES_SHA256, moved, digest(rules)}) == 3


def test_other_rules_do_not_use_what_a_memory_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    tree, memory = SourceTree.from_files({"app.py": b"eval(input())\n"}), Memory()
    audit(tree, memory=memory)
    before = set(memory.outcomes)

    monkeypatch.setattr(examining, "RULES_SHA256", "0" * 64)
    audit(tree, memory=memory)

    assert before.isdisjoint(set(memory.outcomes) - before)
    assert len(memory.outcomes) == 2
