"""What happened to events, and sending them again: the same questions to every service."""

from collections.abc import Iterator
from datetime import datetime

from heimnetz_sdk._transport import Transport
from heimnetz_sdk.errors import NotFound
from heimnetz_sdk.models import DeadLetter, Page, Trace, decode, decode_page

SERVICES = ("registry", "auditor", "sandbox", "monitor", "docs-gen")


class Operations:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def get_traces(self, key: str) -> Iterator[Trace]:
        """What each service knows of a trace, or of the trace of an event."""
        for service in SERVICES:
            try:
                answer = self._transport.request("GET", f"/api/{service}/v1/traces/{key}")
            except NotFound:
                continue
            yield decode(Trace, answer.json())

    def replay(self, service: str, since: datetime) -> int:
        """How many events the service sends again."""
        document = {"since": since.isoformat()}
        path = f"/api/{service}/v1/events/replay"
        return int(self._transport.request("POST", path, document=document).json()["events"])

    def list_dead_letters(self, service: str) -> Page[DeadLetter]:
        answer = self._transport.request("GET", f"/api/{service}/v1/dead-letters")
        return decode_page(DeadLetter, answer.json())

    def retry_dead_letter(self, service: str, letter: int) -> None:
        self._transport.request("POST", f"/api/{service}/v1/dead-letters/{letter}/retry")
