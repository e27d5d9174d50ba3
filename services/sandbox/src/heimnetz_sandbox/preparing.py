"""Makes an installation ready to run: code, dependencies, configuration. Nothing of it is run."""

import asyncio
import hashlib
import json
import secrets
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

from heimnetz_common import strictjson
from heimnetz_common.database import Database
from heimnetz_common.errors import Forbidden, InvalidInput, NotFound
from heimnetz_common.http import ServiceClient
from heimnetz_common.logs import get_logger
from heimnetz_common.sealing import Sealer
from heimnetz_manifest import Grants, Manifest, ManifestError, Package, read_package
from heimnetz_sandbox import containers, folders, locks, metrics, runtimes
from heimnetz_sandbox.broker.holding import Given, give
from heimnetz_sandbox.broker.indexes import Index, IndexRules, Refusals
from heimnetz_sandbox.broker.rules import read_near
from heimnetz_sandbox.broker.serving import Attempt, Broker, Caps
from heimnetz_sandbox.engine import Engine
from heimnetz_sandbox.errors import CannotPrepare, EngineDown
from heimnetz_sandbox.folders import Folders
from heimnetz_sandbox.model import (
    MAX_PACKAGE_BYTES,
    PLUGIN_UIDS,
    Health,
    Installation,
    Limits,
    Program,
)
from heimnetz_sandbox.store import installations

# The broker's metrics have these where a plugin's name stands, which has no parentheses.
BUILDER = "(builder)"
DRAFT = "(draft)"
# For an index without TLS each file is a connection, and the pages of an index are fetched as well.
BUILD_CAPS = Caps(attempts=10_000, byte_count=1 << 30)
_BUILD_POLL_SECONDS = 0.5

log = get_logger(__name__)


class Preparer:
    """`ensure` is cheap once everything is there, and does each thing once at a time."""

    def __init__(
        self,
        *,
        database: Database,
        registry: ServiceClient,
        engine: Engine,
        folders: Folders,
        sealer: Sealer,
        builder_image: str,
        index: Index,
        dependencies_bytes: int,
        build_seconds: float,
        stack: str,
        instance: str,
        user: tuple[int, int],
    ) -> None:
        self._database = database
        self._registry = registry
        self._engine = engine
        self._folders = folders
        self._sealer = sealer
        self._builder_image = builder_image
        self._index = index
        self._dependencies_bytes = dependencies_bytes
        self._build_seconds = build_seconds
        self._stack = stack
        self._instance = instance
        self._user = user
        self._locks: dict[str, asyncio.Lock] = {}
        # Digests of code folders, valid while no file in them has changed.
        self._checked: dict[str, tuple[Any, str]] = {}

    async def ensure(self, installation: Installation) -> Installation:
        """The installation with program and configuration; what is new is stored.

        Raises: CannotPrepare, EngineDown, Unavailable.
        """
        async with self._locks.setdefault(installation.plugin, asyncio.Lock()):
            if installation.failure is not None:
                raise CannotPrepare(installation.failure)
            try:
                ready = await self._prepared(installation)
            except CannotPrepare as error:
                await self._keep(replace(installation, program=None, failure=error.detail))
                raise
            if ready is not installation:
                await self._keep(ready)
            return ready

    async def prepare_version(
        self, plugin: str, version: str, sha256: str
    ) -> tuple[Installation, Package]:
        """For a trial: as if it were installed, with all that it asks for granted.

        Raises: CannotPrepare, EngineDown, Unavailable.
        """
        installation = Installation(plugin, version, sha256, PLUGIN_UIDS - 1, triggers={})
        package = await self._fetch(installation)
        await self._store(package)
        grants = Grants.all_of(package.manifest.permissions)
        return await self._complete(replace(installation, grants=grants), package), package

    async def prepare_draft(self, package: Package, grants: Grants) -> Installation:
        """Of a working copy, in a folder of its own that `forget_draft` takes away.

        Its name is no plugin's, so that nothing counts as an installed one's.

        Raises: CannotPrepare, EngineDown.
        """
        version, folder = str(package.manifest.version), secrets.token_hex(32)
        installation = Installation(
            DRAFT, version, folder, PLUGIN_UIDS - 1, triggers={}, grants=grants
        )
        try:
            await asyncio.to_thread(self._folders.store_code, folder, package.files)
            return await self._complete(installation, package)
        except BaseException:
            await self.forget_draft(installation)
            raise

    async def forget_draft(self, installation: Installation) -> None:
        await asyncio.to_thread(self._folders.remove_code, installation.sha256)

    async def _complete(self, installation: Installation, package: Package) -> Installation:
        """With its program, and dependencies that are there."""
        ready = replace(installation, program=_program(package, _lock(package)))
        assert ready.program is not None
        key = ready.program.dependencies
        if key is not None and not self._folders.has_dependencies(key):
            # A new lock on every save would fill the disk.
            taken = await asyncio.to_thread(self._folders.measure_dependencies)
            if taken > self._dependencies_bytes:
                raise CannotPrepare(
                    "there is no room for dependencies of what is not installed: unused ones are"
                    " removed within two hours"
                )
            await self._build(ready, package)
        return ready

    async def _keep(self, installation: Installation) -> None:
        async with self._database.transaction() as connection:
            await installations.set_prepared(connection, installation)

    async def _prepared(self, installation: Installation) -> Installation:
        ready = installation
        if ready.program is None or not await self._has_whole_code(ready):
            package = await self._fetch(installation)
            lock = await self._store(package)
            ready = replace(installation, program=_program(package, lock))
        assert ready.program is not None
        key = ready.program.dependencies
        if key is not None and not self._folders.has_dependencies(key):
            package = await self._fetch(installation)
            await self._build(ready, package)
        if ready.configuration is None:
            ready = replace(ready, configuration=await self._fetch_configuration(ready.plugin))
        return ready

    async def _has_whole_code(self, installation: Installation) -> bool:
        """The digest is compared before every start, and computed when anything has changed."""
        assert installation.program is not None
        folder = self._folders.code(installation.sha256)

        def check() -> str:
            now = folders.signature(folder)
            known = self._checked.get(installation.sha256)
            if known is not None and known[0] == now:
                return known[1]
            digest = folders.tree_digest(folders.read_tree(folder))
            self._checked[installation.sha256] = (now, digest)
            return digest

        try:
            digest = await asyncio.to_thread(check)
        except OSError:
            return False
        is_whole = digest == installation.program.tree_sha256
        if not is_whole:
            log.warning("code_altered", plugin=installation.plugin, sha256=installation.sha256)
        return is_whole

    async def _fetch(self, installation: Installation) -> Package:
        path = f"/v1/plugins/{installation.plugin}/versions/{installation.version}/package"
        try:
            data = await self._registry.get_bytes(path, max_bytes=MAX_PACKAGE_BYTES)
        except NotFound as error:
            raise CannotPrepare(f"the registry has no such package: {error.detail}") from error
        if hashlib.sha256(data).hexdigest() != installation.sha256:
            raise CannotPrepare("the registry's package has another digest than what was installed")
        try:
            package = await asyncio.to_thread(read_package, data)
        except ManifestError as error:
            raise CannotPrepare(f"the package is not accepted: {error.detail}") from error
        manifest = package.manifest
        if (str(manifest.name), str(manifest.version)) != (
            installation.plugin,
            installation.version,
        ):
            raise CannotPrepare("the package is of another plugin or version than its name says")
        if manifest.runtime not in runtimes.BY_NAME:
            raise CannotPrepare(f"there is no runtime {manifest.runtime}")
        return package

    async def _store(self, package: Package) -> bytes | None:
        await asyncio.to_thread(self._folders.store_code, package.sha256, package.files)
        self._checked.pop(package.sha256, None)
        return _lock(package)

    async def _fetch_configuration(self, plugin: str) -> bytes:
        try:
            answer = await self._registry.get(f"/v1/installations/{plugin}/configuration")
        except (NotFound, Forbidden) as error:
            raise CannotPrepare(f"there is no configuration: {error.detail}") from error
        values = answer.get("configuration", {})
        return self._sealer.seal(json.dumps(values).encode(), _context(plugin))

    def open(self, installation: Installation) -> Given:
        """Raises: CannotOpen."""
        assert installation.configuration is not None
        assert installation.program is not None
        text = self._sealer.open(installation.configuration, _context(installation.plugin))
        return give(installation.program, json.loads(text), installation.grants)

    async def _build(self, installation: Installation, package: Package) -> None:
        """Dependencies by a builder container, into a folder shared by all with the same lock."""
        assert installation.program is not None
        key = installation.program.dependencies
        lock = _lock(package)
        assert key is not None
        assert lock is not None
        locks.check(lock)
        build = str(uuid.uuid4())
        folder = await asyncio.to_thread(self._folders.make_build, build, lock, self._user)
        try:
            reason = await self._run_builder(installation, build, folder)
            metrics.BUILDS.labels("failed" if reason else "ok").inc()
            if reason is not None:
                raise CannotPrepare(f"the dependencies could not be fetched: {reason}")
            try:
                self._folders.store_dependencies(key, folder / "out" / "site")
            except (FileNotFoundError, NotADirectoryError) as error:
                raise CannotPrepare("the builder left no folder of dependencies") from error
        finally:
            await asyncio.to_thread(self._folders.remove_build, build)

    async def _run_builder(
        self, installation: Installation, build: str, folder: Path
    ) -> str | None:
        assert installation.program is not None
        identity = containers.Identity(
            self._stack, self._instance, build, installation.plugin, "build"
        )
        runtime = runtimes.BY_NAME[installation.program.runtime]
        config = containers.builder(
            identity,
            image=self._builder_image,
            command=runtime.build_command,
            user=self._user,
            lock=folder / "in",
            out=folder / "out",
            socket=folder / "socket",
            index_url=self._index.url,
        )
        refusals = Refusals()
        broker = Broker(
            BUILDER,
            IndexRules(self._index.hosts, read_near()),
            say=refusals.hear,
            tell=_ignore,
            caps=BUILD_CAPS,
        )
        await broker.open(folder / "socket" / "broker.sock")
        try:
            container = await self._engine.create(identity.name, config)
            try:
                await self._engine.start(container)
                reason = await self._await_builder(container, build)
            finally:
                await asyncio.shield(self._engine.remove(container))
        finally:
            broker.close()
        return None if reason is None else "\n".join((reason, *refusals.found))

    async def _await_builder(self, container: str, build: str) -> str | None:
        """Why there are no dependencies, or None."""
        try:
            async with asyncio.timeout(self._build_seconds):
                while (ending := await self._engine.inspect(container)).is_running:
                    await asyncio.sleep(_BUILD_POLL_SECONDS)
        except TimeoutError:
            return f"the builder took longer than {self._build_seconds:g} s"
        if ending.is_oom_killed:
            return "they need more memory or room than a builder has"
        try:
            outcome = strictjson.loads(self._folders.read_outcome(build))
        except (OSError, InvalidInput) as error:
            raise EngineDown(f"the builder ended with status {ending.exit_code}") from error
        said = outcome if isinstance(outcome, dict) else {}
        return None if said.get("ok") is True else str(said.get("reason"))[:4000]


def _ignore(_attempt: Attempt) -> None:
    """What a build tries is not the plugin's doing."""


def _program(package: Package, lock: bytes | None) -> Program:
    manifest = package.manifest
    runtime = runtimes.BY_NAME[manifest.runtime]
    key = None
    if lock is not None:
        key = hashlib.sha256(runtime.abi.encode() + b"\0" + lock).hexdigest()
    return Program(
        runtime=manifest.runtime,
        entry_point=manifest.entry_point,
        limits=Limits(**manifest.limits.model_dump()),
        tree_sha256=folders.tree_digest(package.files),
        secret_pointers=manifest.configuration_schema.secrets,
        dependencies=key,
        fresh=manifest.fresh,
        kind=manifest.kind,
        health=_health(manifest),
        held=tuple(one.name for one in manifest.permissions.secrets if one.to is not None),
    )


def _health(manifest: Manifest) -> Health:
    health = manifest.health
    if health is None:
        return Health()
    return Health(health.path, health.interval_seconds, is_declared=True)


def _lock(package: Package) -> bytes | None:
    dependencies = package.manifest.dependencies
    return None if dependencies is None else package.files[dependencies.lock]


def _context(plugin: str) -> str:
    return f"configuration:{plugin}"
