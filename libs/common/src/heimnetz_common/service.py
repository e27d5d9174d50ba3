"""One way to start a service: database, bus, relay, consumers, and whether it is ready."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

from heimnetz_common.bus import Bus
from heimnetz_common.comparing import Comparison
from heimnetz_common.consuming import Consumers, Subscription
from heimnetz_common.database import Database
from heimnetz_common.errors import HeimnetzError, Unavailable
from heimnetz_common.http import ServiceClient
from heimnetz_common.logs import get_logger
from heimnetz_common.outbox import Relay
from heimnetz_common.settings import ServiceSettings
from heimnetz_common.tokens import Keys

READY_POLL_SECONDS = 2
CHECK_SECONDS = 3
STOP_SECONDS = 10

Check = Callable[[], Awaitable[None]]
Background = Callable[[], Awaitable[None]]

log = get_logger(__name__)


class NotReady(Unavailable):
    kind = "not-ready"
    title = "The service cannot serve now"

    def __init__(self, answers: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {why}" for name, why in answers.items() if why))


class Service:
    """What a service stands on. `subscriptions` and `background` may be added before it runs."""

    def __init__(
        self,
        name: str,
        *,
        keys: Keys,
        database: Database | None = None,
        bus: Bus | None = None,
        tls: ssl.SSLContext | None = None,
        ready_file: Path | None = None,
    ) -> None:
        self.name = name
        self.keys = keys
        self.database = database
        self.bus = bus
        self.subscriptions: list[Subscription] = []
        self.background: list[Background] = []
        self.checks: dict[str, Check] = {}
        # What a service goes on without, for a while.
        self.spare_checks: dict[str, Check] = {}
        self._tls = tls
        self._ready_file = ready_file
        self._clients: list[ServiceClient] = []

    @classmethod
    def from_settings(cls, settings: ServiceSettings) -> Self:
        # One context for each: httpx offers HTTP (ALPN) on the one it is given, and a context that
        # offers HTTP is refused by PostgreSQL 17.
        tls, database_tls, bus_tls = (
            client_tls(settings.secrets_dir / "ca.crt") if settings.tls else None for _ in range(3)
        )
        return cls(
            settings.service,
            keys=Keys(settings.service, settings.secrets_dir),
            database=Database(
                settings.database,
                schema=settings.role,
                password=settings.secret("postgres-password"),
                tls=database_tls,
            ),
            bus=Bus(
                settings.nats_url,
                user=settings.service,
                password=settings.secret("nats-password"),
                tls=bus_tls if settings.nats_url.startswith("tls:") else None,
            ),
            tls=tls,
            ready_file=settings.ready_file,
        )

    @property
    def opened_database(self) -> Database:
        if self.database is None:
            raise Unavailable(f"{self.name} has no database")
        return self.database

    def client(self, audience: str, base_url: str) -> ServiceClient:
        """A client for a sibling service; it is closed when this service stops."""
        client = ServiceClient(base_url, audience=audience, keys=self.keys, tls=self._tls)
        self._clients.append(client)
        return client

    def subscribe(self, *subscriptions: Subscription) -> None:
        self.subscriptions += subscriptions

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Start what the service stands on; stop it in the other order."""
        if self.database is not None:
            await self.database.open()
            self.checks.setdefault("database", self.database.check)
        if self.bus is not None:
            self.spare_checks.setdefault("bus", self.bus.check)
        tasks = [self._spawn(work, name) for name, work in self._works()]
        try:
            yield
        finally:
            await _end(tasks)
            for client in self._clients:
                await client.close()
            if self.bus is not None:
                await self.bus.close()
            if self.database is not None:
                await self.database.close()

    def _works(self) -> Sequence[tuple[str, Background]]:
        works: list[tuple[str, Background]] = [("readiness", self._keep_ready_file)]
        if self.bus is not None:
            works.append(("bus", self.bus.run))
            if self.database is not None:
                works.append(("relay", Relay(self.database, self.bus).run))
                works.append(("comparison", Comparison(self.database, self.bus).run))
                consumers = Consumers(self.database, self.bus, self.name, self.subscriptions)
                works.append(("consumers", consumers.run))
        works += [(getattr(work, "__qualname__", "background"), work) for work in self.background]
        return works

    def _spawn(self, work: Background, name: str) -> "asyncio.Task[None]":
        return asyncio.create_task(self._supervise(work, name), name=name)

    async def _supervise(self, work: Background, name: str) -> None:
        """A background task that fails is started again: a service does not limp on without it."""
        while True:
            try:
                await work()
            except Exception:
                log.exception("background_failed", work=name)
                await asyncio.sleep(1)
            else:
                return

    async def check(self) -> dict[str, str]:
        """Why the service is not ready, by check; empty text where it is."""
        return await _answers(self.checks)

    async def check_spare(self) -> dict[str, str]:
        """What is amiss though the service is ready.

        A bus that is down does not make a service unready: writes wait in the outbox.
        """
        return await _answers(self.spare_checks)

    async def _keep_ready_file(self) -> None:
        if self._ready_file is None:
            return
        while True:
            answers = await self.check()
            if not any(answers.values()):
                self._ready_file.touch()
            else:
                log.warning("not_ready", **{name: why for name, why in answers.items() if why})
            await asyncio.sleep(READY_POLL_SECONDS)


async def _end(tasks: Sequence["asyncio.Task[None]"]) -> None:
    """Cancel, and wait for what a task has to put in order.

    Before Python 3.12 `wait_for` loses a cancellation that comes together with its result; so who
    has not ended after the longest time that a task may take is told again.
    """
    waiting = set(tasks)
    while waiting:
        for task in waiting:
            task.cancel()
        _, waiting = await asyncio.wait(waiting, timeout=STOP_SECONDS)


def client_tls(ca_file: Path) -> ssl.SSLContext:
    """Trust the stack's own CA and nothing else."""
    context = ssl.create_default_context(cafile=str(ca_file))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


async def _answers(checks: Mapping[str, Check]) -> dict[str, str]:
    answers = await asyncio.gather(*(_answer(check) for check in checks.values()))
    return dict(zip(checks, answers, strict=True))


async def _answer(check: Check) -> str:
    try:
        await asyncio.wait_for(check(), CHECK_SECONDS)
    except TimeoutError:
        return f"no answer within {CHECK_SECONDS} s"
    except HeimnetzError as error:
        return error.detail or error.title
    return ""
