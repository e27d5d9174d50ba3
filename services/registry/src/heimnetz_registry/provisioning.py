"""The first-party plugins are in the store from the first start, signed by the stack's own key."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from heimnetz_common.errors import HeimnetzError, Unavailable
from heimnetz_common.logs import get_logger
from heimnetz_manifest import ManifestError, inspect_package, pack
from heimnetz_manifest.signing import PrivateKey, Subject, prove, read_envelope, sign
from heimnetz_registry.enrolling import Enroller, NewKey
from heimnetz_registry.model import Actor
from heimnetz_registry.publishing import Publisher
from heimnetz_registry.verifying import Offer

#: Whose plugins they are.
PUBLISHER = "heimnetz"
_ACTOR = Actor("service:registry", PUBLISHER)
_PAUSE_SECONDS = 5.0

log = get_logger(__name__)


class Provisioner:
    """Publishes each plugin of a directory, as anybody would: it is audited like any other."""

    def __init__(
        self, publisher: Publisher, enroller: Enroller, key: PrivateKey | None, directory: Path
    ) -> None:
        self._publisher = publisher
        self._enroller = enroller
        self._key = key
        self._directory = directory

    async def run(self) -> None:
        """Once at every start; what is there already stays as it is."""
        while True:
            try:
                await self.provide()
            except Unavailable as error:
                log.warning("provisioning_waits", reason=error.detail)
                await asyncio.sleep(_PAUSE_SECONDS)
            else:
                return

    async def provide(self) -> None:
        """Raises: Unavailable."""
        directories = sorted(path.parent for path in self._directory.glob("*/plugin.yaml"))
        if self._key is None or not directories:
            return
        proof = prove(self._key, PUBLISHER)
        try:
            await self._enroller.register(NewKey("stack", self._key.public, proof), _ACTOR)
        except Unavailable:
            raise
        except HeimnetzError as error:
            log.warning("provisioning_refused", kind=error.kind, reason=error.detail)
            return
        for directory in directories:
            await self._publish(directory, self._key)

    async def _publish(self, directory: Path, key: PrivateKey) -> None:
        """Raises: Unavailable."""
        try:
            data, plugin, envelope = await asyncio.to_thread(_signed_package, directory, key)
            await self._publisher.publish(
                plugin,
                _once(data),
                _ACTOR,
                allow_lower=False,
                offer=Offer(envelope, read_envelope(envelope)),
            )
        except Unavailable:
            raise
        except (HeimnetzError, ManifestError) as error:
            # Another's, deleted by the owner, or of other bytes: what people did stays.
            log.warning(
                "plugin_not_provided",
                plugin=directory.name,
                kind=error.kind,
                reason=error.detail,
            )


def _signed_package(directory: Path, key: PrivateKey) -> tuple[bytes, str, bytes]:
    """The package, the plugin's name and the envelope. Raises: ManifestError."""
    data = pack(directory)
    found = inspect_package(data)
    name, version = str(found.manifest.name), str(found.manifest.version)
    return data, name, sign(key, Subject(name, version, found.sha256))


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data
