"""What is asked of the broker itself, by the first part of the path."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from heimnetz_sandbox.model import Touch

MAX_BODY_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes = b""


class Answering(Protocol):
    def touch(self, method: str, target: str) -> Touch:
        """What is reached for by asking so, whatever the answer."""
        ...

    async def answer(self, method: str, target: str, body: bytes) -> Answer: ...


def find(parts: Mapping[str, Answering], target: str) -> Answering | None:
    is_path, first = target[:1] == "/", target[1:].partition("?")[0].partition("/")[0]
    return parts.get(first) if is_path else None
