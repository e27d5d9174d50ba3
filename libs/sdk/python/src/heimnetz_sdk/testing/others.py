"""Other plugins, as a plugin under test meets them: who hears its events, and who answers."""

import errno
import json
from collections.abc import Mapping
from typing import Any

from heimnetz_manifest import Grants

MAX_EVENT_BYTES, MAX_EVENTS = 64 * 1024, 100


class Others:
    """`events` is what was published, in order; what a call gets is said with `answer`."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.used: set[str] = set()
        self.refused: list[str] = []
        self._answers: dict[str, Any] = {}
        self._grants = Grants()

    def answer(self, plugin: str, result: Any) -> None:
        """An exception as the result is raised."""
        self._answers[plugin] = result

    def begin(self, grants: Grants) -> None:
        """A new run, with what it was granted."""
        self._grants = grants
        self.events, self.used, self.refused = [], set(), []

    def publish(self, event: str, data: Mapping[str, Any]) -> None:
        self._ask(f"publish:{event}")
        text = json.dumps(dict(data), allow_nan=False)
        if len(text.encode()) > MAX_EVENT_BYTES:
            raise ValueError(f"an event has at most {MAX_EVENT_BYTES:,} bytes")
        if len(self.events) >= MAX_EVENTS:
            raise ConnectionError(f"a run publishes at most {MAX_EVENTS} events")
        self.events.append((event, json.loads(text)))

    def call(self, plugin: str, input: Mapping[str, Any] | None = None) -> Any:  # noqa: A002
        self._ask(f"call:{plugin}")
        json.dumps(dict(input or {}), allow_nan=False)
        if plugin not in self._answers:
            raise AssertionError(f"the test gives no answer of {plugin}: plugin.others.answer")
        result = self._answers[plugin]
        if isinstance(result, BaseException):
            raise result
        return result

    def _ask(self, key: str) -> None:
        if key not in self._grants:
            self.refused.append(key)
            raise PermissionError(errno.EACCES, f"{key} is not granted")
        self.used.add(key)
