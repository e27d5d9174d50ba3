"""An author's loop: a working copy in the stack's sandbox, before anything is published."""

import json
import subprocess
from pathlib import Path

import pytest

from ..conftest import Stack

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

CURIOUS = """\
import urllib.request


def run(input, context):
    print("asking")
    try:
        urllib.request.urlopen("http://unasked.example.org/", timeout=5)
    except OSError:
        pass
    return {"is_done": True}
"""


@pytest.fixture
def project(stack: Stack, tmp_path: Path) -> Path:
    stack.heimnetz("new", "e2e-draft", "--in", tmp_path)
    return tmp_path / "e2e-draft"


def test_a_new_plugin_runs_in_the_sandbox_without_being_published(
    stack: Stack, project: Path
) -> None:
    report = stack.heimnetz("dev", project, "--once", "--json").json()

    assert (report["outcome"], report["example"]) == ("ok", "a-sentence")
    assert report["result"]["words"] == 9
    assert 0 < report["peak_memory_bytes"] < 64 << 20
    assert report["permissions_to_add"] == {}
    assert stack.heimnetz("show", "e2e-draft", check=False).code == 5


def test_what_a_working_copy_may_not_reach_is_told_with_the_lines_to_add(
    stack: Stack, project: Path
) -> None:
    (project / "plugin.py").write_text(CURIOUS)

    report = stack.heimnetz("dev", project, "--once", "--json").json()

    assert report["result"] == {"is_done": True}
    assert ("stdout", "asking") in {(line["stream"], line["text"]) for line in report["log"]}
    (asked,) = report["permissions_to_add"]["network"]
    assert asked["to"] == "unasked.example.org:80"


def test_an_assistant_runs_a_working_copy(stack: Stack, project: Path) -> None:
    call = {"name": "run", "arguments": {"path": project.name}}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}

    with subprocess.Popen(
        ["heimnetz", "mcp", project.parent],
        env=stack.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(message) + "\n")
        process.stdin.flush()
        result = json.loads(process.stdout.readline())["result"]
        process.stdin.close()

    assert result["isError"] is False
    assert '"outcome": "ok"' in result["content"][0]["text"]
    assert process.returncode == 0
