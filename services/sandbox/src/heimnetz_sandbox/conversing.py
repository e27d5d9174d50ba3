"""The talk with a runner over its container's socket. See docs/runner-protocol.md.

Nothing that comes from there is believed: every length is checked before it is read, every frame
before it is used, and a frame that does not fit the moment ends the run.
"""

import asyncio
import base64
import binascii
import json
import struct
from collections.abc import Callable
from typing import Any

from heimnetz_common import strictjson
from heimnetz_common.errors import InvalidInput
from heimnetz_sandbox.model import Evidence, Limits, Outcome, OutputFile
from heimnetz_sandbox.recording import Log

PROTOCOL = 1
_HEADER = struct.Struct(">I")
_FRAME_SPARE = 64 * 1024
_MIN_FRAME = 512 * 1024
_MAX_NAME_BYTES = 255
_OF_WORKER = ("log", "ready", "result", "error", "seen")
_MAX_SEEN = 200
# What a runner tells that the plugin touched.
SEEN_KINDS = ("read", "write", "process", "code", "native", "connect", "resolve")


class Violation(Exception):
    """The other side does not keep to the protocol."""


def max_frame_bytes(limits: Limits) -> int:
    """A result is JSON in a JSON string, which at worst doubles it."""
    return max(_MIN_FRAME, 2 * limits.result_bytes + _FRAME_SPARE)


def encode(frame: dict[str, Any]) -> bytes:
    body = json.dumps(frame, ensure_ascii=False).encode("utf-8")
    return _HEADER.pack(len(body)) + body


def decode(body: bytes) -> dict[str, Any]:
    """Raises: Violation."""

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        document = dict(items)
        if len(document) != len(items):
            raise Violation("a frame has a key twice")
        return document

    try:
        frame = json.loads(body.decode("utf-8"), object_pairs_hook=pairs)
    except (ValueError, RecursionError) as error:
        raise Violation("a frame is not JSON") from error
    if not isinstance(frame, dict) or not isinstance(frame.get("type"), str):
        raise Violation("a frame has no type")
    return frame


class Conversation:
    """One run's talk; what was learnt is in `evidence`, what was written in `log`."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        limits: Limits,
        log: Log,
        stop: Callable[[Outcome, str], None],
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._limits = limits
        self._max_frame = max_frame_bytes(limits)
        # Kind and target of what the plugin touched.
        self.see: Callable[[str, str], None] = lambda _kind, _target: None
        self.is_ready = False
        self._begin(log, stop)

    def _begin(self, log: Log, stop: Callable[[Outcome, str], None]) -> None:
        self.log = log
        self.stop = stop
        self._output_room = self._limits.output_bytes
        self._seen = 0
        self._is_called = False
        self._has_exited = False
        self._open: tuple[str, bytearray] | None = None
        self.evidence = Evidence()

    async def hear_hello(self) -> None:
        """Raises: Violation, EOFError."""
        frame = await self._receive()
        if frame["type"] != "hello" or frame.get("protocol") != PROTOCOL:
            raise Violation("the runner speaks another protocol")

    @property
    def is_waiting(self) -> bool:
        """Loaded, not called, and the other side is still there."""
        is_whole = self.evidence.violation is None and not self.evidence.has_ended
        return self.is_ready and not self._is_called and is_whole and not self._reader.at_eof()

    async def load(self, load: dict[str, Any]) -> None:
        """Until the plugin waits for its call, or has ended; what went wrong is evidence too."""
        frame = {"type": "load", **load, "max_frame_bytes": self._max_frame}
        await self._converse(frame, lambda: self.is_ready)

    async def call(self, call: dict[str, Any]) -> None:
        """Until the runner has ended, or the connection has. What went wrong is evidence too."""
        self._is_called = True
        await self._converse({"type": "call", **call}, lambda: False)

    async def renew(self, log: Log, stop: Callable[[Outcome, str], None]) -> None:
        """After a call: until the plugin waits for the next one. Raises: Violation, EOFError."""
        frame = await self._receive()
        if frame["type"] != "ready":
            raise Violation("the runner went on after the end")
        self._begin(log, stop)

    async def _converse(self, frame: dict[str, Any], is_enough: Callable[[], bool]) -> None:
        try:
            await self._send(frame)
            while not (self.evidence.has_ended or is_enough()):
                frame = await self._receive()
                if frame["type"] == "ready" and not self.is_ready:
                    self.is_ready = True
                else:
                    self._take(frame)
        except Violation as violation:
            self.evidence.violation = f"the runner broke the protocol: {violation}"
        except (EOFError, ConnectionError):
            return

    def _take(self, frame: dict[str, Any]) -> None:
        kind = frame["type"]
        is_early = kind in _OF_WORKER
        if is_early == self._has_exited and kind != "exit":
            raise Violation(f"a frame of type {kind[:20]!r} does not belong here")
        match kind:
            case "log":
                self.log.write(self._stream(frame), _text(frame, "text"))
            case "seen":
                self._take_seen(_text(frame, "kind"), _text(frame, "target"))
            case "result":
                self._take_result(_text(frame, "json"))
            case "error":
                self._take_error(_text(frame, "cause"), _text(frame, "reason"))
            case "exit" if not self._has_exited:
                self._has_exited = True
                self.evidence.exit_code = _number(frame, "code")
                self.evidence.exit_signal = _number(frame, "signal")
            case "file":
                self._take_file(_text(frame, "name"))
            case "data":
                self._take_data(_text(frame, "base64"))
            case "end":
                self._close_file()
                self.evidence.has_ended = True
            case _:
                raise Violation(f"a frame of type {kind[:20]!r} does not belong here")

    def _stream(self, frame: dict[str, Any]) -> str:
        stream = frame.get("stream", "log")
        if stream not in ("stdout", "stderr", "log"):
            raise Violation("a log has no such stream")
        return str(stream)

    def _take_seen(self, kind: str, target: str) -> None:
        self._seen += 1
        if kind not in SEEN_KINDS:
            raise Violation("nothing of that kind can be seen")
        if self._seen <= _MAX_SEEN:
            self.see(kind, target)

    def _take_result(self, text: str) -> None:
        if self.evidence.result is not None or self.evidence.cause is not None:
            raise Violation("a second result came")
        if not self._is_called:
            raise Violation("a result came before the call")
        if len(text.encode("utf-8", "replace")) > self._limits.result_bytes:
            self.stop(Outcome.OUTPUT_LIMIT, "the result is larger than its limit")
            return
        try:
            strictjson.loads(text)
        except InvalidInput as error:
            self.evidence.cause = "error"
            self.evidence.reason = f"the result is not accepted: {error.detail}"
            return
        self.evidence.result = text

    def _take_error(self, cause: str, reason: str) -> None:
        if self.evidence.result is not None or self.evidence.cause is not None:
            raise Violation("a second result came")
        self.evidence.cause = cause
        self.evidence.reason = reason

    def _take_file(self, name: str) -> None:
        self._close_file()
        taken = {file.name for file in self.evidence.files}
        size = len(name.encode("utf-8", "replace"))
        if not 0 < size <= _MAX_NAME_BYTES or "/" in name or name in (".", "..") or name in taken:
            raise Violation("a file has a name that cannot be kept")
        if len(taken) >= self._limits.output_inodes:
            raise Violation("more files came than there can be")
        # What cannot be shown in a URL or stored as text is not kept.
        self._open = (name, bytearray())

    def _take_data(self, text: str) -> None:
        if self._open is None:
            raise Violation("data came without a file")
        try:
            data = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError) as error:
            raise Violation("data is not base64") from error
        self._output_room -= len(data)
        if self._output_room < 0:
            self.stop(Outcome.OUTPUT_LIMIT, "the files are larger than their limit")
            self._output_room = 0
            return
        self._open[1].extend(data)

    def _close_file(self) -> None:
        if self._open is None:
            return
        name, data = self._open
        self._open = None
        if name.isprintable() and name.encode("utf-8", "replace").decode() == name:
            self.evidence.files.append(OutputFile(name, bytes(data)))
        else:
            self.log.say(f"a file was not kept, its name cannot be shown: {name!a:.200}")

    async def _receive(self) -> dict[str, Any]:
        try:
            (length,) = _HEADER.unpack(await self._reader.readexactly(_HEADER.size))
            if length > self._max_frame:
                raise Violation("a frame is larger than any may be")
            return decode(await self._reader.readexactly(length))
        except asyncio.IncompleteReadError as error:
            raise EOFError from error

    async def _send(self, frame: dict[str, Any]) -> None:
        self._writer.write(encode(frame))
        await self._writer.drain()


def _text(frame: dict[str, Any], key: str) -> str:
    value = frame.get(key)
    if not isinstance(value, str):
        raise Violation(f"{key} is not text")
    return value


def _number(frame: dict[str, Any], key: str) -> int:
    value = frame.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 255:
        raise Violation(f"{key} is not a number from 0 to 255")
    return value
