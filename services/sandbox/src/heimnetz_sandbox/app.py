"""Wiring of the sandbox: settings in, application out."""

import asyncio
import os
import re
import ssl
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from fastapi import FastAPI

from heimnetz_common.errors import HeimnetzError, Unavailable
from heimnetz_common.logs import get_logger
from heimnetz_common.sealing import Sealer
from heimnetz_common.service import Service
from heimnetz_common.web import create_app, keep_renewed
from heimnetz_sandbox import metrics, projecting, runtimes
from heimnetz_sandbox.api import drafts as drafts_api
from heimnetz_sandbox.api import logs as logs_api
from heimnetz_sandbox.api import runs as runs_api
from heimnetz_sandbox.api import services as services_api
from heimnetz_sandbox.api import trials as trials_api
from heimnetz_sandbox.asking import Direct, Queue
from heimnetz_sandbox.broker.indexes import Index, read_index
from heimnetz_sandbox.chambers import Place
from heimnetz_sandbox.consumers import subscriptions
from heimnetz_sandbox.dispatching import Dispatcher
from heimnetz_sandbox.drafting import Drafts
from heimnetz_sandbox.engine import Engine
from heimnetz_sandbox.errors import EngineDown
from heimnetz_sandbox.folders import Folders
from heimnetz_sandbox.keeping import Keeper
from heimnetz_sandbox.model import MAX_FILES_BYTES, MAX_INPUT_BYTES, Installation, Outcome, Request
from heimnetz_sandbox.observing import Observing
from heimnetz_sandbox.pages import Pages
from heimnetz_sandbox.pooling import Pool
from heimnetz_sandbox.preparing import Preparer
from heimnetz_sandbox.probing import choose_runtime
from heimnetz_sandbox.projecting import Cancelling
from heimnetz_sandbox.reaping import Reaper
from heimnetz_sandbox.scheduling import Scheduler
from heimnetz_sandbox.settings import SandboxSettings
from heimnetz_sandbox.store import installations
from heimnetz_sandbox.trialing import Trials
from heimnetz_sandbox.watching import Look, Watch

log = get_logger(__name__)

PROXY_SECONDS = 10.0
# What waits longer than the longest run may last waits in vain.
CALL_SECONDS = 3600.0
# Of the sandbox in the compose file; a sandbox that runs as root must not build as root.
BUILDER_UID = 10_003
_REFUSAL = re.compile(
    r'^heimnetz_engine_proxy_refusals_total\{rule="([a-z-]+)"\} (\d+)$', re.MULTILINE
)


def create(settings: SandboxSettings) -> FastAPI:
    """Raises: SystemExit, when the encryption key is missing or the index is none."""
    key = settings.secret("encryption.key")
    if not key:
        raise SystemExit(
            f"{settings.secrets_dir}/encryption.key is missing or empty: "
            "run the init container again, it makes what is missing"
        )
    try:
        index = read_index(settings.package_index_url, settings.package_index_hosts)
    except ValueError as error:
        raise SystemExit(f"HEIMNETZ_SANDBOX_PACKAGE_INDEX_URL or _HOSTS: {error}") from error
    sandbox = Sandbox(settings, Sealer.from_text(key), index)
    return sandbox.app()


class Sandbox:
    """Holds the parts together. The stack's identity comes from the database, hence in `run`."""

    def __init__(self, settings: SandboxSettings, sealer: Sealer, index: Index) -> None:
        self._settings = settings
        self._service = Service.from_settings(settings)
        self._database = self._service.opened_database
        self._engine = Engine(settings.engine_socket, threads=settings.concurrency + 4)
        self._has_runtime = False
        self._folders = Folders(settings.run_dir)
        self._instance = uuid.uuid4().hex
        self._lease = timedelta(seconds=settings.lease_seconds)
        self._wake_preparer = asyncio.Event()
        self._watch = Watch(self._database)
        self._place = Place(
            engine=self._engine,
            folders=self._folders,
            cgroup_root=settings.cgroup_root,
            images={
                "python": settings.runtime_python_image,
                "node": settings.runtime_node_image,
            },
            oci_runtime=settings.oci_runtime,
            stack="",
            instance=self._instance,
            start_seconds=settings.start_seconds,
            observing=Observing(self._database),
            database=self._database,
            call=self._call,
            tls=_trust(settings.ca_file),
        )
        assert set(self._place.images) == set(runtimes.BY_NAME)
        self._sealer = sealer
        self._index = index
        self._registry = self._service.client("registry", settings.registry_url)
        self._dispatcher: Dispatcher | None = None
        self._trials: Trials | None = None
        self._drafts: Drafts | None = None
        self._keeper: Keeper | None = None
        self._in_use: Counter[Path] = Counter()
        self._queue = Queue(
            self._database,
            limit=settings.queue_limit,
            plugin_limit=settings.plugin_queue_limit,
            wake=self._wake,
            is_installed=self._is_installed,
            reserve=self._reserve,
        )

    def app(self) -> FastAPI:
        service = self._service
        service.subscribe(*subscriptions(self._wake_preparer.set))
        service.checks["engine"] = self._check_engine
        service.checks["start"] = self._check_start
        service.background += [
            self._work,
            Scheduler(self._database, self._queue).run,
            self._read_proxy,
            self._serve_pages,
        ]
        cancelling = Cancelling(self._database, self._stop, self._watch.finished)
        return create_app(
            service,
            [
                runs_api.routes(self._database, self._queue, self._watch, cancelling),
                logs_api.routes(self._database),
                trials_api.routes(self._database, lambda: self._trials),
                drafts_api.routes(lambda: self._drafts),
                services_api.routes(self._database, cancelling, self._find_service),
                services_api.memory_routes(self._database),
            ],
            title="Heimnetz sandbox",
            max_body_bytes=MAX_FILES_BYTES + MAX_INPUT_BYTES + 64 * 1024,
            lifespan=self._lifespan,
        )

    def _is_busy(self) -> bool:
        return self._dispatcher is not None and self._dispatcher.is_busy

    def _wake(self) -> None:
        if self._dispatcher is not None:
            self._dispatcher.wake()

    def _reserve(self, installation: Installation, running: int) -> Direct | None:
        if self._dispatcher is None:
            return None
        return self._dispatcher.reserve(installation, running)

    async def _call(self, request: Request) -> Look:
        """Raises: HeimnetzError."""
        assert self._dispatcher is not None
        with self._dispatcher.lending():
            asked = await self._queue.ask(request)
            return await self._watch.wait(asked.run_id, CALL_SECONDS, is_under_way=asked.is_direct)

    def _stop(self, run_id: str, outcome: Outcome) -> None:
        if self._dispatcher is not None:
            self._dispatcher.stop(run_id, outcome)

    @asynccontextmanager
    async def _lifespan(self) -> AsyncIterator[None]:
        try:
            yield
        finally:
            self._engine.close()

    async def _work(self) -> None:
        """What takes runs, keeps leases and reaps; begins when the database answers."""
        self._folders.prepare()
        while True:
            try:
                async with self._database.transaction() as connection:
                    stack = await installations.get_stack(connection)
                    # Before the reaper first looks, or what we have just begun were an orphan.
                    await installations.show_life(connection, self._instance)
                break
            except Unavailable:
                await asyncio.sleep(1)
        place = replace(self._place, stack=stack)
        preparer = self._preparer(stack)
        place = replace(place, oci_runtime=await choose_runtime(place, preparer))
        settings = self._settings
        pool = Pool(
            self._database,
            place,
            per_plugin=settings.warm_per_plugin,
            budget_bytes=settings.warm_memory_bytes,
            idle=timedelta(seconds=settings.warm_idle_seconds),
            is_busy=self._is_busy,
            prepare=preparer.ensure,
        )
        self._dispatcher = Dispatcher(
            self._database,
            preparer,
            place,
            pool,
            concurrency=settings.concurrency,
            plugin_concurrency=settings.plugin_concurrency,
            lease=self._lease,
            finished=self._watch.finished,
        )
        self._trials = Trials(self._database, self._registry, preparer, place)
        self._drafts = Drafts(preparer, place)
        reaper = Reaper(
            self._database,
            self._engine,
            self._folders,
            stack=stack,
            lease=self._lease,
            history=timedelta(days=settings.history_days),
            dependencies_bytes=settings.dependencies_bytes,
        )
        self._keeper = Keeper(
            self._database,
            self._queue,
            self._folders,
            self._instance,
            self._dispatcher.stop,
            self._in_use,
        )
        prepare = self._dispatcher.prepare
        works: dict[str, Callable[[], Awaitable[None]]] = {
            "leases": self._dispatcher.keep_leases,
            "dispatcher": self._dispatcher.run,
            "pool": pool.run,
            "reaper": reaper.run,
            "services": self._keeper.run,
            "preparer": lambda: projecting.prepare_all(
                self._database, prepare, self._wake_preparer
            ),
        }
        # Ends when the last has ended: the dispatcher has runs to end.
        async with asyncio.TaskGroup() as group:
            for name, work in works.items():
                group.create_task(_supervise(name, work), name=name)

    def _preparer(self, stack: str) -> Preparer:
        settings = self._settings
        return Preparer(
            database=self._database,
            registry=self._registry,
            engine=self._engine,
            folders=self._folders,
            sealer=self._sealer,
            builder_image=settings.builder_image,
            index=self._index,
            dependencies_bytes=settings.dependencies_bytes,
            build_seconds=settings.build_seconds,
            stack=stack,
            instance=self._instance,
            # The builder writes as we do, so that we may rename and remove what it wrote.
            user=(os.getuid(), os.getgid()) if os.getuid() else (BUILDER_UID, BUILDER_UID),
        )

    async def _serve_pages(self) -> None:
        settings = self._settings
        tls = None
        certificate, key = settings.secrets_dir / "tls.crt", settings.secrets_dir / "tls.key"
        if settings.tls:
            tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            tls.load_cert_chain(certificate, key)
        pages = Pages(
            self._find_service,
            self._in_use,
            bind=settings.bind,
            port=settings.pages_port,
            tls=tls,
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(pages.run())
            if tls is not None:
                group.create_task(keep_renewed(tls, certificate, key))

    def _find_service(self, plugin: str) -> Path | None:
        return None if self._keeper is None else self._keeper.find(plugin)

    async def _is_installed(self, plugin: str) -> bool:
        """As far as the registry can be asked."""
        try:
            await self._registry.get(f"/v1/installations/{plugin}")
        except HeimnetzError:
            return False
        return True

    async def _check_start(self) -> None:
        """Raises: Unavailable."""
        if self._drafts is None:
            raise Unavailable("the sandbox is starting")

    async def _check_engine(self) -> None:
        """Raises: EngineDown."""
        try:
            await self._engine.ping()
            if not self._has_runtime:
                await self._engine.check_runtime(self._settings.oci_runtime)
                self._has_runtime = True
        except EngineDown:
            metrics.ENGINE_UP.set(0)
            raise
        metrics.ENGINE_UP.set(1)

    async def _read_proxy(self) -> None:
        """The proxy has no network; its refusals are shown as ours."""
        while True:
            try:
                page = await self._engine.read_page("/metrics")
                for rule, count in _REFUSAL.findall(page):
                    metrics.PROXY_REFUSALS.labels(rule).set(int(count))
            except EngineDown:
                metrics.ENGINE_UP.set(0)
            await asyncio.sleep(PROXY_SECONDS)


async def _supervise(name: str, work: Callable[[], Awaitable[None]]) -> None:
    """One that fails is started again, and the others do not notice."""
    while True:
        try:
            await work()
        except Exception:
            log.exception("background_failed", work=name)
            await asyncio.sleep(1)


def _trust(ca_file: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    return context
