"""Workers that misbehave: whatever they do, the answer is a reason, and nothing stays behind."""

import asyncio
import json
import os
import sys
from datetime import date
from pathlib import Path

import pytest

from heimnetz_auditor.auditing import announcement, compare
from heimnetz_auditor.errors import AuditFailed
from heimnetz_auditor.examining import MAX_ANSWER_BYTES, Examiner
from heimnetz_auditor.model import Answer, Request, Verdict
from heimnetz_auditor.policy import load_policy
from heimnetz_common.events import MAX_EVENT_BYTES, encode
from heimnetz_common.testing import eventually

MIB = 1024 * 1024
REQUEST = Request(
    id=1,
    plugin="adder",
    version="1.0.0",
    sha256="0" * 64,
    tries=1,
    traceparent=None,
)
GOOD = """
import json, sys
sys.stdin.buffer.read()
print(json.dumps({
    "has_no_network": True, "has_no_files": True, "score": 93,
    "grade": "A", "verdict": "approve", "reasons": ["fine"], "counts": {"high": 0},
    "undeclared": [], "unused": [], "reports": {"json": "{}"},
}))
"""


async def examine(script: str, *, package: bytes = b"x", seconds: float = 20) -> Answer:
    examiner = Examiner(seconds, 256 * MIB, (sys.executable, "-I", "-c", script))
    return await examiner.examine(package, load_policy(None), REQUEST, date(2026, 3, 1))


async def test_a_worker_that_answers_is_believed() -> None:
    answer = await examine(GOOD)

    assert answer.verdict is Verdict.APPROVE
    assert answer.score == 93


async def test_a_large_package_is_handed_over_whole() -> None:
    script = GOOD.replace("sys.stdin.buffer.read()", "n = len(sys.stdin.buffer.read())").replace(
        '"fine"', "str(n)"
    )

    answer = await examine(script, package=b"x" * 20 * MIB)

    assert int(answer.reasons[0]) > 20 * MIB


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("import time; time.sleep(100)", "longer than 0.5 s"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "killed"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "crashed (SIGSEGV)"),
        ("import sys; sys.exit(3)", "status 3"),
        ("raise ValueError('x')", "status 1"),
        ("print('hello')", "makes no sense"),
        ("", "makes no sense"),
        ("print('[' * 100000)", "makes no sense"),
        ('print(\'{"failure": "a\\\\ud800"}\')', "makes no sense"),
        (GOOD.replace("93", "101"), "makes no sense"),
        (GOOD.replace('"approve"', '"trust-me"'), "makes no sense"),
        (GOOD.replace('"grade": "A"', '"grade": "A", "extra": 1'), "makes no sense"),
        (GOOD.replace('"counts": {"high": 0}', '"counts": {"any": 0}'), "makes no sense"),
        (GOOD.replace('"unused"', '"holds_until": "2026-02-28", "unused"'), "makes no sense"),
        (GOOD.replace('"unused"', '"holds_until": "2026-02-30", "unused"'), "makes no sense"),
    ],
)
async def test_a_worker_that_misbehaves_is_a_failed_audit(script: str, reason: str) -> None:
    with pytest.raises(AuditFailed) as caught:
        await examine(script, seconds=0.5 if "sleep" in script else 20)

    assert reason in caught.value.detail


@pytest.mark.parametrize("character", ["\x01", "\U0001f600", '"'])
async def test_the_most_that_a_worker_can_say_fits_into_an_event(character: str) -> None:
    texts = f"[{character!r} * 500] * 200"
    script = GOOD.replace('["fine"]', texts).replace(
        '"undeclared": [], "unused": []', f'"undeclared": {texts}, "unused": {texts}'
    )
    rows = [{"rule": character * 500, "file": "a.py", "line": line} for line in range(100)]
    changes = compare(json.dumps({"findings": rows[:50]}), json.dumps({"findings": rows[50:]}))

    said = announcement(REQUEST, await examine(script), changes)

    _, document = encode(said, service="auditor", subject="adder/1.0.0", traceparent=None)
    assert 10_000 < len(document) < MAX_EVENT_BYTES


async def test_an_endless_answer_is_cut_off() -> None:
    script = (
        "import sys\n"
        f"for _ in range({2 * MAX_ANSWER_BYTES // MIB}):\n"
        "    sys.stdout.write('x' * (1 << 20))\n"
    )

    with pytest.raises(AuditFailed, match="larger than"):
        await examine(script)


async def test_a_worker_does_not_see_the_services_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HEIMNETZ_AUDITOR_DATABASE_URL", "postgresql://secret")
    script = GOOD.replace('"fine"', "*__import__('os').environ")

    answer = await examine(script)

    assert not any("HEIMNETZ" in name for name in answer.reasons)


async def test_what_a_worker_started_ends_with_it(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    script = (
        "import os, time\n"
        f"if os.fork() == 0:\n    open({str(note)!r}, 'w').write(str(os.getpid()))\n"
        "    time.sleep(100)\n"
        f"while not os.path.exists({str(note)!r}) or not open({str(note)!r}).read():\n    pass\n"
        "os._exit(7)\n"
    )

    with pytest.raises(AuditFailed, match=r"longer than"):
        await examine(script, seconds=2)

    child = int(note.read_text())

    async def is_gone() -> bool:
        try:
            state = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        return state == "Z"

    assert await eventually(is_gone)


async def test_a_cancelled_audit_leaves_no_process(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    script = f"import os, time\nopen({str(note)!r}, 'w').write(str(os.getpid()))\ntime.sleep(100)\n"
    working = asyncio.create_task(examine(script))

    async def has_started() -> bool:
        return note.exists() and bool(note.read_text())

    await eventually(has_started)
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)

    with pytest.raises(ProcessLookupError):
        os.kill(int(note.read_text()), 0)
