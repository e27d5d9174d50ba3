"""NATS JetStream, as one service sees it: one stream, own credentials, own consumers."""

import asyncio
import os
import ssl
from contextlib import suppress
from datetime import timedelta

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig
from nats.js.client import JetStreamContext
from nats.js.errors import NotFoundError

from heimnetz_common.errors import Unavailable
from heimnetz_common.events import CONTENT_TYPE
from heimnetz_common.logs import get_logger

STREAM = "HEIMNETZ"
SUBJECTS = "heimnetz.>"
PUBLISH_SECONDS = 5.0
HUNG_SECONDS = 15.0
MAX_AGE = timedelta(days=30)

log = get_logger(__name__)


class Bus:
    """The connection. It comes up when the server does, and the process ends when it hangs."""

    def __init__(
        self,
        url: str,
        *,
        user: str,
        password: str | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._url = url
        self._user = user
        self._password = password
        self._tls = tls
        self._client: Client | None = None
        self._stream: JetStreamContext | None = None

    async def connect(self) -> None:
        """Raises: Unavailable."""
        client = Client()
        attempt = asyncio.create_task(
            client.connect(
                self._url,
                name=f"heimnetz-{self._user}",
                user=self._user if self._password else None,
                password=self._password,
                tls=self._tls,
                inbox_prefix=f"_INBOX_{self._user}".encode(),
                connect_timeout=2,
                max_reconnect_attempts=-1,
                reconnect_time_wait=1,
                # A dead server is seen after (2 + 1) x 5 s; the defaults take up to 6 minutes.
                ping_interval=5,
                max_outstanding_pings=2,
                error_cb=_report,
            )
        )
        try:
            await _await_whole(attempt)
        except (NatsError, OSError, TimeoutError) as error:
            await _close(client)
            raise Unavailable("NATS does not answer") from error
        except asyncio.CancelledError:
            # The client leaves a half-made connection open.
            await _close(client)
            raise
        self._client = client
        self._stream = self._client.jetstream(timeout=PUBLISH_SECONDS)

    async def run(self) -> None:
        """Connect as soon as the server is there, then watch the connection until cancelled."""
        while self._client is None:
            try:
                await self.connect()
            except Unavailable as error:
                heed_cancellation()
                log.warning("bus_waits", reason=error.detail)
                await asyncio.sleep(1)
        silent = 0.0
        while True:
            await asyncio.sleep(5)
            silent = 0.0 if await self._answers() else silent + 5
            heed_cancellation()
            # nats-py 2.16.0 can lose its reader task without noticing (a subject that is not
            # UTF-8 is enough); only a new process is sure to read again.
            if silent >= HUNG_SECONDS and self._client.is_connected:
                log.error("bus_hung", remedy="the process ends and is started again")
                os._exit(70)

    async def close(self) -> None:
        if self._client is not None:
            await _close(self._client)
            self._client = None

    @property
    def stream(self) -> JetStreamContext:
        """Raises: Unavailable."""
        if self._stream is None or self._client is None or not self._client.is_connected:
            raise Unavailable("NATS is not connected")
        return self._stream

    async def publish(self, subject: str, event_id: str, document: bytes) -> None:
        """Return when the stream has stored the event; the same id twice is stored once.

        Raises: Unavailable.
        """
        try:
            await self.stream.publish(
                subject,
                document,
                stream=STREAM,
                headers={"Nats-Msg-Id": event_id, "Content-Type": CONTENT_TYPE},
            )
        except (NatsError, OSError, TimeoutError) as error:
            raise Unavailable(f"the stream did not acknowledge: {type(error).__name__}") from error

    async def count(self) -> dict[str, int]:
        """Messages in the stream by subject. Raises: Unavailable."""
        try:
            info = await self.stream.stream_info(STREAM, subjects_filter=SUBJECTS)
        except (NatsError, OSError, TimeoutError) as error:
            raise Unavailable(f"the stream did not answer: {type(error).__name__}") from error
        return info.state.subjects or {}

    async def check(self) -> None:
        """Raises: Unavailable."""
        if not await self._answers():
            raise Unavailable("NATS does not answer")

    async def _answers(self) -> bool:
        if self._client is None or not self._client.is_connected:
            return False
        try:
            await asyncio.wait_for(self._client.flush(timeout=2), 3)
        except (NatsError, OSError, TimeoutError):
            return False
        return True


async def ensure_stream(bus: Bus) -> None:
    """Create the platform's stream, or bring its configuration up to date.

    Raises: Unavailable.
    """
    config = StreamConfig(
        name=STREAM,
        subjects=[SUBJECTS],
        storage=StorageType.FILE,
        retention=RetentionPolicy.LIMITS,
        discard=DiscardPolicy.OLD,
        max_bytes=1024**3,
        max_age=MAX_AGE.total_seconds(),
        max_msg_size=256 * 1024,
        duplicate_window=600,
        deny_delete=True,
        deny_purge=True,
    )
    try:
        try:
            await bus.stream.stream_info(STREAM)
        except NotFoundError:
            await bus.stream.add_stream(config)
        else:
            await bus.stream.update_stream(config)
    except (NatsError, OSError, TimeoutError) as error:
        raise Unavailable(f"the stream could not be made: {error}") from error


async def _close(client: Client) -> None:
    with suppress(NatsError, OSError, TimeoutError, asyncio.CancelledError):
        await asyncio.wait_for(client.close(), 2)


async def _await_whole(attempt: "asyncio.Task[None]") -> None:
    """Its result. Who is cancelled cancels it until it has ended: the client may lose the first."""
    try:
        await asyncio.wait({attempt})
    finally:
        while not attempt.done():
            attempt.cancel()
            await asyncio.wait({attempt}, timeout=0.1)
    await attempt


def heed_cancellation() -> None:
    """Before Python 3.12 `wait_for` in the client loses one that comes together with its result.

    Nobody cancels a task of a group again.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def _report(error: Exception) -> None:
    log.warning("bus_error", error=repr(error)[:300])
