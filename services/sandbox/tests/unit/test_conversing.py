"""The talk with a hostile runner, over streams in memory."""

import asyncio
import base64
import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heimnetz_sandbox.conversing import Conversation, Violation, decode, encode
from heimnetz_sandbox.model import Limits, Outcome
from heimnetz_sandbox.recording import Log, Masker

LIMITS = Limits(result_bytes=1024, output_bytes=1000, output_inodes=3, log_bytes=1000)
READY = {"type": "ready"}
EXIT = {"type": "exit", "code": 0, "signal": 0}
END = {"type": "end"}
RESULT = {"type": "result", "json": "1"}


class Writer:
    def write(self, _: bytes) -> None:
        return

    async def drain(self) -> None:
        return


class Talk:
    def __init__(self) -> None:
        self.reader = asyncio.StreamReader()
        self.log = Log(LIMITS.log_bytes, Masker([]))
        self.stops: list[Outcome] = []
        self.talk = Conversation(
            self.reader,
            Writer(),  # type: ignore[arg-type]
            limits=LIMITS,
            log=self.log,
            stop=lambda outcome, _: self.stops.append(outcome),
        )

    async def hear(self, *frames: dict[str, Any] | bytes) -> "Talk":
        for frame in frames:
            self.reader.feed_data(frame if isinstance(frame, bytes) else encode(frame))
        self.reader.feed_eof()
        await self.talk.load({})
        if self.talk.is_ready:
            await self.talk.call({})
        return self


def file(name: str, data: bytes = b"x") -> tuple[dict[str, Any], dict[str, Any]]:
    return {"type": "file", "name": name}, {
        "type": "data",
        "base64": base64.b64encode(data).decode(),
    }


async def test_a_whole_talk_gives_result_and_files() -> None:
    talk = await Talk().hear(READY, RESULT, EXIT, *file("a.txt"), *file("b.txt", b"yy"), END)

    evidence = talk.talk.evidence
    assert evidence.has_ended
    assert evidence.result == "1"
    assert [(f.name, f.data) for f in evidence.files] == [("a.txt", b"x"), ("b.txt", b"yy")]


@pytest.mark.parametrize(
    "frames",
    [
        (READY, RESULT, RESULT),
        (READY, RESULT, {"type": "error", "cause": "error", "reason": "x"}),
        (READY, {"type": "error", "cause": "error", "reason": "x"}, RESULT),
        (RESULT,),
        (READY, READY),
        (READY, RESULT, EXIT, EXIT),
        (READY, RESULT, EXIT, RESULT),
        (READY, RESULT, EXIT, {"type": "log", "text": "late"}),
        (READY, RESULT, END),
        (READY, file("a")[0]),
        (READY, RESULT, EXIT, file("a")[1]),
        (READY, RESULT, EXIT, *file("../a")),
        (READY, RESULT, EXIT, *file("..")),
        (READY, RESULT, EXIT, *file("")),
        (READY, RESULT, EXIT, *file("x" * 256)),
        (READY, RESULT, EXIT, *file("a"), *file("a")),
        (READY, RESULT, EXIT, *file("a"), *file("b"), *file("c"), *file("d")),
        (READY, RESULT, EXIT, file("a")[0], {"type": "data", "base64": "!"}),
        (READY, {"type": "call"}),
        (READY, {"type": "hello", "protocol": 1}),
        (READY, {"type": "log", "stream": "sandbox", "text": "forged"}),
        (READY, {"type": "log", "text": 5}),
        (READY, {"type": "exit", "code": -1, "signal": 0}),
        (READY, {"type": "exit", "code": 1 << 70, "signal": 0}),
        (READY, {"type": "exit", "code": True, "signal": 0}),
        (READY, {"no": "type"}),
        (READY, {"type": ["list"]}),
        (READY, struct.pack(">I", 0xFFFFFFFF)),
        (READY, struct.pack(">I", 3) + b"\xff\xfe\xfd"),
        (READY, struct.pack(">I", 2) + b"[]"),
        (READY, struct.pack(">I", 0)),
        (READY, struct.pack(">I", 100_000) + b"[" * 100_000),
        (READY, struct.pack(">I", 38) + b'{"type": "log", "type": "end", "a": 1}'),
    ],
    ids=range(33),
)
async def test_a_frame_that_does_not_fit_the_moment_ends_the_run(frames: Any) -> None:
    talk = await Talk().hear(*frames)

    assert talk.talk.evidence.violation is not None


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, "9" * 5000, "NaN", '{"a": 1, "a": 2}', '"\\ud800"', '"\\u0000"', "", "1 2"],
    ids=range(8),
)
async def test_a_result_that_other_programs_could_not_read_is_an_error(text: str) -> None:
    limits = Limits(result_bytes=1 << 20)
    talk = Talk()
    talk.talk._limits = limits

    await talk.hear(READY, {"type": "result", "json": text}, EXIT, END)

    assert talk.talk.evidence.result is None
    assert talk.talk.evidence.cause == "error"
    assert "result is not accepted" in str(talk.talk.evidence.reason)


async def test_too_large_results_and_files_stop_the_run() -> None:
    result = await Talk().hear(READY, {"type": "result", "json": json.dumps("x" * 2000)})
    files = await Talk().hear(READY, RESULT, EXIT, *file("big", b"x" * 1001), END)

    assert result.stops == [Outcome.OUTPUT_LIMIT]
    assert files.stops == [Outcome.OUTPUT_LIMIT]


async def test_a_connection_that_ends_early_is_no_result() -> None:
    talk = await Talk().hear(READY, RESULT, EXIT)

    assert not talk.talk.evidence.has_ended
    assert talk.talk.evidence.violation is None


async def test_a_file_whose_name_cannot_be_shown_is_left_out_and_said() -> None:
    talk = await Talk().hear(READY, RESULT, EXIT, *file("a\x1b[2Jb"), END)

    assert talk.talk.evidence.files == []
    assert "cannot be shown" in talk.log.pending[-1].text


@given(st.binary())
def test_no_bytes_break_the_reading_of_frames(data: bytes) -> None:
    try:
        frame = decode(data)
    except Violation:
        return
    assert isinstance(frame["type"], str)


def seen(target: str, kind: str = "read") -> dict[str, Any]:
    return {"type": "seen", "kind": kind, "target": target}


async def test_what_a_plugin_touches_is_told_to_a_bound() -> None:
    talk, told = Talk(), []
    talk.talk.see = lambda kind, target: told.append((kind, target))

    await talk.hear(READY, *(seen(f"/etc/{number}") for number in range(500)), RESULT, EXIT, END)

    assert talk.talk.evidence.violation is None
    assert told == [("read", f"/etc/{number}") for number in range(200)]


@pytest.mark.parametrize(
    "frame", [seen("x", "dream"), {"type": "seen"}, {**seen("x"), "target": 3}]
)
async def test_what_cannot_be_seen_ends_the_run(frame: dict[str, Any]) -> None:
    talk = await Talk().hear(READY, frame)

    assert talk.talk.evidence.violation is not None


async def test_after_a_call_the_next_begins_with_nothing_of_the_last() -> None:
    talk = Talk()
    for frame in (READY, RESULT, EXIT, *file("a.txt"), END, READY, RESULT, EXIT, END):
        talk.reader.feed_data(encode(frame))
    talk.reader.feed_eof()
    await talk.talk.load({})
    await talk.talk.call({})
    first = talk.talk.evidence
    log = Log(LIMITS.log_bytes, Masker([]))

    await talk.talk.renew(log, lambda _outcome, _reason: None)
    assert talk.talk.is_waiting
    await talk.talk.call({})

    assert first.is_undisturbed
    assert [file.name for file in first.files] == ["a.txt"]
    assert talk.talk.evidence.files == []
    assert talk.talk.evidence.result == "1"


async def test_a_runner_that_goes_on_after_its_end_is_not_taken_again() -> None:
    talk = Talk()
    for frame in (READY, RESULT, EXIT, END, RESULT):
        talk.reader.feed_data(encode(frame))
    await talk.talk.load({})
    await talk.talk.call({})

    with pytest.raises(Violation):
        await talk.talk.renew(talk.log, lambda _outcome, _reason: None)
