"""Frames of docs/runner-protocol.md, in any portions. Standard library only."""

from __future__ import annotations

import json
import os
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

CHUNK_BYTES = 64 * 1024
HEADER = struct.Struct(">I")


def encode(frame: dict[str, Any]) -> bytes:
    body = json.dumps(frame, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")
    return HEADER.pack(len(body)) + body


def write(descriptor: int, frame: dict[str, Any]) -> None:
    data = memoryview(encode(frame))
    while data:
        data = data[os.write(descriptor, data) :]


class Frames:
    """Takes bytes in any portions, gives whole frames."""

    def __init__(self, max_bytes: int) -> None:
        self.buffer = bytearray()
        self.max_bytes = max_bytes

    def feed(self, data: bytes) -> list[bytes]:
        """Raises: OverflowError, for a frame that announces more than it may have."""
        self.buffer += data
        frames = []
        while len(self.buffer) >= HEADER.size:
            (length,) = HEADER.unpack_from(self.buffer)
            if length > self.max_bytes:
                raise OverflowError(length)
            if len(self.buffer) < HEADER.size + length:
                break
            frames.append(bytes(self.buffer[HEADER.size : HEADER.size + length]))
            del self.buffer[: HEADER.size + length]
        return frames


def first_frame(read: Callable[[int], bytes], frames: Frames) -> bytes:
    """Ends the process where there is none."""
    while data := read(CHUNK_BYTES):
        for frame in frames.feed(data):
            return frame
    os._exit(0)
