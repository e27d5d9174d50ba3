"""What the platform calls of a plugin is where data from outside comes in."""

import pytest

from heimnetz_audit import Memory, Report, SourceTree, audit

EVIL = "def run(input, context):\n    return eval(input['code'])\n"
SAFE = "def run(input, context):\n    return len(input['code'])\n"


def tree(files: dict[str, str], entry_point: str = "plugin:run") -> SourceTree:
    manifest = f"name: p\nversion: 1.0.0\nentry_point: {entry_point}\n"
    return SourceTree(
        {name: text.encode() for name, text in files.items()} | {"plugin.yaml": manifest.encode()}
    )


def found(report: Report) -> set[tuple[str, str, int]]:
    return {(one.rule, one.file, one.line) for one in report.findings if one.rule != "deps-lock"}


@pytest.mark.parametrize(
    ("files", "entry_point", "place"),
    [
        ({"plugin.py": EVIL}, "plugin:run", ("plugin.py", 2)),
        ({"src/p/main.py": EVIL}, "p.main:run", ("src/p/main.py", 2)),
        ({"p/__init__.py": EVIL}, "p:run", ("p/__init__.py", 2)),
        (
            {
                "plugin.py": "from inner import work as run\n",
                "inner.py": EVIL.replace("run", "work"),
            },
            "plugin:run",
            ("inner.py", 2),
        ),
        (
            {"plugin.py": EVIL.replace("run", "work") + "run = work\n"},
            "plugin:run",
            ("plugin.py", 2),
        ),
        (
            {"plugin.py": f"import other\n@other.wraps\n{EVIL}"},
            "plugin:run",
            ("plugin.py", 4),
        ),
    ],
)
def test_the_input_of_the_entry_point_comes_from_outside(
    files: dict[str, str], entry_point: str, place: tuple[str, int]
) -> None:
    assert found(audit(tree(files, entry_point))) == {("code-injection", *place)}


@pytest.mark.parametrize(
    ("files", "entry_point"),
    [
        ({"plugin.py": SAFE}, "plugin:run"),
        ({"plugin.py": EVIL}, "plugin:other"),
        ({"plugin.py": EVIL}, ""),
        (
            {
                "plugin.py": "def run(input, context):\n    return eval(context.config['code'][:0])\n"
            },
            "plugin:run",
        ),
    ],
)
def test_what_is_no_entry_point_or_does_no_harm_is_silent(
    files: dict[str, str], entry_point: str
) -> None:
    assert found(audit(tree(files, entry_point))) == set()


def test_a_request_to_a_service_comes_from_outside() -> None:
    code = """
from heimnetz_sdk.serving import Request
import subprocess

def run(input, context):
    context.serve(answer)

def answer(request):
    return subprocess.run(request.path, shell=True)

def named(asked: Request):
    return eval(asked.json()["code"])
"""
    rules = {rule for rule, _, _ in found(audit(tree({"plugin.py": code})))}

    assert rules == {"command-injection", "code-injection"}


def test_another_entry_point_is_another_answer_of_a_memory() -> None:
    memory = Memory()
    files = {"plugin.py": EVIL}

    for _ in range(2):
        assert found(audit(tree(files, "plugin:other"), memory=memory)) == set()
    assert found(audit(tree(files), memory=memory)) != set()
