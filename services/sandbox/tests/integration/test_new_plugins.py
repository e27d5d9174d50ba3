"""What `heimnetz new` makes is tried out in a real container, on the examples of its manifest."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from heimnetz_manifest import pack
from heimnetz_sandbox.testing import Stand

pytestmark = pytest.mark.engine

LANGUAGES = ["python", "node"]


def try_new(stand: Stand, template: str, folder: Path, language: str = "python") -> dict[str, Any]:
    name = f"new-{template}-{language}"
    subprocess.run(
        [
            *(sys.executable, "-m", "heimnetz_cli", "new", name),
            *("--template", template, "--language", language, "--in", folder),
        ],
        check=True,
        capture_output=True,
    )
    stand.registry.packages[name, "0.1.0"] = pack(folder / name)
    answer = stand.call("POST", "/v1/trials", json={"plugin": name, "version": "0.1.0"})
    assert answer.status_code == 200, answer.text
    report: dict[str, Any] = answer.json()
    return report


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_basic_template_answers_its_example_and_reaches_nothing(
    stand: Stand, language: str, tmp_path: Path
) -> None:
    report = try_new(stand, "basic", tmp_path, language)

    (example,) = report["examples"]
    assert example["outcome"] == "ok"
    assert json.loads(example["result"]) == {"words": 9, "most_frequent": "the"}
    assert report["touched"] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_security_template_reaches_for_the_device_of_its_example_and_nothing_else(
    stand: Stand, language: str, tmp_path: Path
) -> None:
    report = try_new(stand, "security", tmp_path, language)

    (example,) = report["examples"]
    assert example["outcome"] == "ok"
    assert report["touched"] == [
        {"kind": "connect", "target": "192.168.1.1:80", "is_declared": True}
    ]
