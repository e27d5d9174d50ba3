"""Every outcome, on the real engine through the real proxy."""

import pytest

from heimnetz_sandbox.testing import Stand

pytestmark = pytest.mark.engine


def test_a_call_answers_with_its_result_files_and_log(stand: Stand) -> None:
    stand.install(
        "echo",
        """
import sys
def run(input, context):
    print("to stdout")
    print("to stderr", file=sys.stderr)
    context.log("to the log")
    (context.out / "greeting.txt").write_text("hello " + context.config["name"])
    return {"got": input, "trace": context.trace_id, "run": context.run_id}
""",
        configuration={"name": "anna"},
    )

    run = stand.run("echo", {"a": [1, 2.5, "ü"]})

    assert run["outcome"] == "ok", (run, stand.logs(run["id"]))
    assert run["result"] == {"got": {"a": [1, 2.5, "ü"]}, "trace": run["trace_id"], "run": run["id"]}
    assert [file["name"] for file in run["files"]] == ["greeting.txt"]
    file = stand.call("GET", f"/v1/runs/{run['id']}/files/greeting.txt")
    assert file.content == b"hello anna"
    lines = [line.split(" ", 1)[1] for line in stand.logs(run["id"]).splitlines()]
    assert sorted(lines) == ["log to the log", "stderr to stderr", "stdout to stdout"]
    assert 1 << 20 < run["peak_memory_bytes"] < 64 << 20
    assert 0 < run["cpu_seconds"] < 5
    assert stand.containers(run["id"]) == []
