"""Wiring: settings in, application out."""

import binascii
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

from fastapi import FastAPI

from heimnetz_common.logs import get_logger
from heimnetz_common.sealing import Sealer
from heimnetz_common.service import Service
from heimnetz_common.web import create_app
from heimnetz_manifest.signing import PrivateKey
from heimnetz_manifest.streams import PACKAGE_BYTES
from heimnetz_registry.admitting import Doorkeeper
from heimnetz_registry.api import (
    access,
    catalogues,
    grants,
    installations,
    keys,
    plugins,
    publications,
    trail,
    transfers,
    updates,
)
from heimnetz_registry.api.dependencies import Rooms
from heimnetz_registry.artifacts import Artifacts
from heimnetz_registry.cataloguing import Cataloguer
from heimnetz_registry.chaining import Chain
from heimnetz_registry.consumers import subscriptions
from heimnetz_registry.deciding import Decider
from heimnetz_registry.doubting import Doubts
from heimnetz_registry.enrolling import Enroller
from heimnetz_registry.fetching import Fetcher
from heimnetz_registry.installing import Installer
from heimnetz_registry.mirroring import Mirrorer
from heimnetz_registry.offering import Offerer
from heimnetz_registry.provisioning import Provisioner
from heimnetz_registry.publishing import Publisher
from heimnetz_registry.reverting import Reverter
from heimnetz_registry.searching import Searcher
from heimnetz_registry.settings import RegistrySettings
from heimnetz_registry.transferring import Transferrer
from heimnetz_registry.updating import Updater

SERVICES = ("registry", "auditor", "sandbox", "monitor", "docs-gen")
# Above the packages' own cap, so that what is a little too large gets the clearer answer.
_MAX_BODY_BYTES = PACKAGE_BYTES + 1024 * 1024

log = get_logger(__name__)


def create(settings: RegistrySettings, reached: Callable[[str], None] | None = None) -> FastAPI:
    """`reached` is told each step of a publication; only tests pass one."""
    service = Service.from_settings(settings)
    database = service.opened_database
    artifacts = Artifacts(settings.artifacts_dir)
    publisher = (
        Publisher(database, artifacts, reached, unsigned=settings.unsigned)
        if reached is not None
        else Publisher(database, artifacts, unsigned=settings.unsigned)
    )
    sealer = _sealer(settings)
    installer = Installer(database, sealer)
    updater = Updater(
        database,
        installer,
        canary_hours=settings.canary_hours,
        canary_failures=settings.canary_failures,
    )
    service.subscribe(*subscriptions(updater))
    chain = Chain(database, settings.artifacts_dir, _private_key(settings, "trail.key"))
    enroller = Enroller(database)
    fetcher = Fetcher()
    pause = timedelta(minutes=settings.catalogue_minutes)
    cataloguer = Cataloguer(database, fetcher, sealer, pause)
    provisioner = Provisioner(
        publisher, enroller, _private_key(settings, "publisher.key"), settings.plugins_dir
    )
    rooms = Rooms(
        database=database,
        artifacts=artifacts,
        publisher=publisher,
        decider=Decider(database, artifacts),
        installer=installer,
        reverter=Reverter(database),
        updater=updater,
        transferrer=Transferrer(database, installer),
        doorkeeper=Doorkeeper(
            database,
            setup_token=settings.secret("setup-token"),
            session_hours=settings.session_hours,
            guesses_per_minute=settings.guesses_per_minute,
        ),
        chain=chain,
        enroller=enroller,
        searcher=Searcher(database),
        cataloguer=cataloguer,
        mirrorer=Mirrorer(database, cataloguer, fetcher, publisher, enroller),
        offerer=Offerer(database, _private_key(settings, "catalogue.key")),
        services=SERVICES,
    )
    service.checks["artifacts"] = artifacts.check
    service.background += [publisher.sweep, installer.check_key, chain.run]
    service.background += [provisioner.run, cataloguer.run, Doubts(database).run]

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        artifacts.prepare()
        yield

    return create_app(
        service,
        [
            module.routes(rooms)
            for module in (
                access,
                catalogues,
                plugins,
                publications,
                installations,
                updates,
                transfers,
                grants,
                keys,
                trail,
            )
        ],
        title="Heimnetz registry",
        max_body_bytes=_MAX_BODY_BYTES,
        lifespan=lifespan,
    )


def _sealer(settings: RegistrySettings) -> Sealer | None:
    """Without its key the registry runs on, but for plugins that have secrets."""
    text = settings.secret("encryption.key")
    if text is None:
        return None
    try:
        return Sealer.from_text(text)
    except (ValueError, binascii.Error):
        log.exception("encryption_key_broken", remedy="restore encryption.key from a backup")
        return None


def _private_key(settings: RegistrySettings, name: str) -> PrivateKey | None:
    """Without it the registry runs on, but for what it would sign with it."""
    text = settings.secret(name)
    if text is None:
        return None
    try:
        return PrivateKey.from_pem(text.encode())
    except ValueError:
        log.exception("private_key_broken", file=name, remedy=f"restore {name} from a backup")
        return None
