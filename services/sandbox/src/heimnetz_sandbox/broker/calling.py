"""Calls of other plugins, within what was granted: `POST /plugins/NAME/runs` on its socket."""

import re
from collections.abc import Awaitable, Callable, Container, Sequence

import orjson

from heimnetz_common import strictjson
from heimnetz_common.errors import HeimnetzError, InvalidInput, NotFound
from heimnetz_sandbox.broker.answering import Answer
from heimnetz_sandbox.errors import QueueFull
from heimnetz_sandbox.model import MAX_INPUT_BYTES, Request, Run, Touch, Trigger
from heimnetz_sandbox.watching import Look

MAX_DEPTH = 4
_PATH = re.compile(r"/plugins/([a-z0-9-]{1,63})/runs")

# Queues the run and waits for its end.
Call = Callable[[Request], Awaitable[Look]]


def touch(target: str, allowed: Container[str]) -> Touch:
    match = _PATH.fullmatch(target)
    name = target if match is None else match[1]
    return Touch("call", name, name in allowed)


class Calling:
    """Of one chamber; `current` is the run that it serves."""

    def __init__(
        self, call: Call, allowed: Sequence[str], current: Callable[[], Run | None]
    ) -> None:
        self._call = call
        self._allowed = frozenset(allowed)
        self._current = current

    def touch(self, method: str, target: str) -> Touch:  # noqa: ARG002
        return touch(target, self._allowed)

    async def answer(self, method: str, target: str, body: bytes) -> Answer:
        match = _PATH.fullmatch(target)
        run = self._current()
        if match is None or method != "POST":
            return Answer(405, b"POST /plugins/NAME/runs")
        name = match[1]
        if name not in self._allowed:
            return Answer(403, f"to call {name} is not granted".encode())
        if run is None:
            return Answer(403, b"other plugins are called during a run")
        if run.depth >= MAX_DEPTH or name == run.plugin:
            return Answer(422, b"plugins call each other too deep, or themselves")
        if len(body) > MAX_INPUT_BYTES:
            return Answer(413, f"an input has at most {MAX_INPUT_BYTES:,} bytes".encode())
        try:
            if not isinstance(strictjson.loads(body), dict):
                return Answer(400, b"the input is a JSON object")
            look = await self._call(
                Request(
                    plugin=name,
                    trigger=Trigger.PLUGIN,
                    input=body,
                    requested_by=f"plugin:{run.plugin}",
                    depth=run.depth + 1,
                )
            )
        except InvalidInput as error:
            return Answer(400, (error.detail or error.title).encode())
        except NotFound as error:
            return Answer(422, (error.detail or error.title).encode())
        except QueueFull as error:
            return Answer(429, (error.detail or error.title).encode())
        except HeimnetzError as error:
            return Answer(503, (error.detail or error.title).encode())
        return Answer(200, _told(look))


def _told(look: Look) -> bytes:
    run = look.run
    return orjson.dumps(
        {
            "run_id": run.id,
            "outcome": str(run.outcome or "timeout"),
            "reason": run.reason or "",
            "result": None if look.result is None else strictjson.loads(look.result),
        }
    )
