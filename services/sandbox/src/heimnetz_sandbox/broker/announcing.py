"""Events that a plugin publishes, within what it was granted: `POST /events/TYPE` on its socket."""

from collections.abc import Callable, Container, Sequence
from urllib.parse import unquote

import orjson

from heimnetz_common import outbox, strictjson
from heimnetz_common.database import Database
from heimnetz_common.errors import HeimnetzError, InvalidInput
from heimnetz_sandbox import reacting
from heimnetz_sandbox.broker.answering import Answer
from heimnetz_sandbox.events import PluginAnnounced
from heimnetz_sandbox.model import Run, Touch

MAX_DATA_BYTES = 64 * 1024
MAX_EVENTS = 100


def touch(target: str, allowed: Container[str]) -> Touch:
    event_type = _event_type(target)
    return Touch("publish", event_type, event_type in allowed)


def _event_type(target: str) -> str:
    return unquote(target.removeprefix("/events/"))


class Announcing:
    """Of one chamber; `current` is the run that it serves."""

    def __init__(
        self, database: Database, allowed: Sequence[str], current: Callable[[], Run | None]
    ) -> None:
        self._database = database
        self._allowed = frozenset(allowed)
        self._current = current
        self._run_id = ""
        self._count = 0

    def touch(self, method: str, target: str) -> Touch:  # noqa: ARG002
        return touch(target, self._allowed)

    async def answer(self, method: str, target: str, body: bytes) -> Answer:
        event_type = _event_type(target)
        run = self._current()
        if method != "POST":
            return Answer(405, b"POST")
        if event_type not in self._allowed:
            return Answer(403, f"to publish {event_type[:160]!a} is not granted".encode())
        if run is None:
            return Answer(403, b"events are published during a run")
        if len(body) > MAX_DATA_BYTES:
            return Answer(413, f"an event has at most {MAX_DATA_BYTES:,} bytes".encode())
        if not self._may_one_more(run):
            return Answer(429, f"a run publishes at most {MAX_EVENTS} events".encode())
        try:
            data = strictjson.loads(body)
            if not isinstance(data, dict):
                return Answer(400, b"the data of an event is a JSON object")
            await self._publish(run, event_type, body)
        except InvalidInput as error:
            return Answer(400, (error.detail or error.title).encode())
        except HeimnetzError as error:
            return Answer(503, (error.detail or error.title).encode())
        return Answer(204)

    def refill(self) -> None:
        """For a run without an end: as many again."""
        self._count = 0

    def _may_one_more(self, run: Run) -> bool:
        if run.id != self._run_id:
            self._run_id, self._count = run.id, 0
        self._count += 1
        return self._count <= MAX_EVENTS

    async def _publish(self, run: Run, event_type: str, body: bytes) -> None:
        data = orjson.loads(body)
        event = PluginAnnounced(
            run_id=run.id, plugin=run.plugin, version=run.version, event=event_type, data=data
        )
        async with self._database.transaction() as connection:
            await outbox.append(connection, event, service="sandbox", subject=run.plugin)
            await reacting.react(connection, event_type, data, depth=run.depth)
