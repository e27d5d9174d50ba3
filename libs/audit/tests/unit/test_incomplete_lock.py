"""Locks that leave something open, and locks that only look so."""

import pytest

from heimnetz_audit import Severity, SourceTree, audit
from heimnetz_audit.checks.incomplete_lock import CHECK, HITS_LIMIT, provides

HASH = f"--hash=sha256:{'1' * 64}"
MANIFEST = "name: pump\ndependencies: {lock: requirements.lock}\n"


def found(*, lock: str | None = "", manifest: str = MANIFEST, **files: str) -> list[str]:
    texts = {"plugin.yaml": manifest} | {n.replace("__", "."): t for n, t in files.items()}
    if lock is not None:
        texts["requirements.lock"] = lock
    tree = SourceTree.from_files({name: text.encode() for name, text in texts.items()})
    return [
        f"{each.file}:{each.line} {each.severity.label}"
        for each in audit(tree).findings
        if each.rule == CHECK.rule
    ]


@pytest.mark.parametrize(
    "line",
    [
        "requests>=2.32",
        "requests==2.32.0",
        f"requests>=2.32 {HASH}",
        f"requests {HASH}",
        "git+https://example.org/requests",
        "-r other.txt",
        "--index-url https://example.org",
        f"requests==2.32.0 --hash=md5:{'1' * 32}",
    ],
)
def test_a_line_that_pins_nothing_is_found(line: str) -> None:
    assert found(lock=f"six==1.0 {HASH}\n{line}\n") == ["requirements.lock:2 medium"]


@pytest.mark.parametrize(
    "lock",
    [
        f"requests==2.32.0 {HASH}\n",
        f"requests[socks]==2.32.0 \\\n    {HASH} \\\n    {HASH}\n    # via -r requirements.in\n",
        f'requests==2.32.0 ; python_version >= "3.9" {HASH}\n',
        "# nothing is needed\n",
    ],
)
def test_a_lock_that_pins_everything_is_not_found(lock: str) -> None:
    assert found(lock=lock) == []


def test_a_lock_that_is_not_there_or_too_large_is_found() -> None:
    assert found(lock=None) == ["plugin.yaml:1 medium"]
    assert found(lock="#" * 300_000) == ["plugin.yaml:1 medium"]
    assert found(lock=None, manifest="name: pump\n") == []


def test_what_is_asked_for_and_not_pinned_is_found() -> None:
    wishes = "# for the charts\npygal>=3\nSix\ncolorama; sys_platform == 'win32'\n-e .\n"

    places = found(lock=f"six==1.0 {HASH}\n", requirements__in=wishes)

    assert places == ["requirements.in:2 low"]


def test_what_a_project_declares_and_nobody_pinned_is_found() -> None:
    project = """
[project]
name = "pump"
dependencies = [
  "six",
  "Pygal[png]>=3",
  "colorama; sys_platform == 'win32'",
  "pump[fast]",
  7,
]
optional-dependencies.docs = ["sphinx"]
"""

    places = found(lock=f"six==1.0 {HASH}\n", pyproject__toml=project)

    assert places == ["pyproject.toml:6 low"]


@pytest.mark.parametrize(
    "project",
    [
        "no toml",
        "project = 3\n",
        "[project]\nname = 3\ndependencies = 'requests'\n",
        "[project]\ndependencies = " + "[" * 5_000,
        f"[project]\ndependencies = ['requests']\n# {'x' * 300_000}",
    ],
)
def test_a_project_that_cannot_be_read_declares_nothing(project: str) -> None:
    assert found(lock=f"six==1.0 {HASH}\n", pyproject__toml=project) == []


@pytest.mark.parametrize(
    ("code", "places"),
    [
        ("import requests\n", ["app.py:1 low"]),
        ("import json\nfrom requests.auth import X\n", ["app.py:2 low"]),
        ("import six\nimport json, os.path\nfrom six import moves\n", []),
        ("import helper\nfrom . import other\n", []),
        ("try:\n    import requests\nexcept ImportError:\n    requests = None\n", []),
        ("def f():\n    import requests\n", []),
        ("import heimnetz_sdk\n", []),
    ],
)
def test_an_import_that_no_line_of_the_lock_provides_is_found(code: str, places: list[str]) -> None:
    lock = f"six==1.0 {HASH}\n"

    assert found(lock=lock, app__py=code, helper__py="X = 1\n") == places


def test_what_tests_import_is_no_dependency() -> None:
    assert found(test_app__py="import pytest\n") == []


def test_code_without_a_manifest_says_nothing_of_its_dependencies() -> None:
    tree = SourceTree.from_files({"app.py": b"import requests\n"})

    assert audit(tree).findings == ()


@pytest.mark.parametrize(
    ("distribution", "module", "expected"),
    [
        ("pyyaml", "yaml", True),
        ("opencv-python-headless", "cv2", True),
        ("google-cloud-storage", "google", True),
        ("python-dateutil", "dateutil", True),
        ("pyserial", "serial", True),
        ("psycopg2-binary", "psycopg2", True),
        ("ruamel-yaml", "ruamel", True),
        ("pillow", "PIL", True),
        ("typing-extensions", "typing_extensions", True),
        ("requests", "yaml", False),
        ("six", "requests", False),
    ],
)
def test_names_of_modules_are_matched_with_names_of_distributions(
    distribution: str, module: str, expected: bool
) -> None:
    assert provides(distribution, module) is expected


def test_only_so_many_lines_are_told() -> None:
    lock = "".join(f"a{number}>=1\n" for number in range(5 * HITS_LIMIT))

    assert len(found(lock=lock)) == HITS_LIMIT
    assert Severity.MEDIUM is CHECK.severity
