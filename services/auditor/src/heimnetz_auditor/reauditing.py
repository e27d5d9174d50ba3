"""Finds versions whose audit holds no more, and asks for another one behind all that is new.

An audit holds as long as engine, policy and advisories are those that made it, and no waiver that
it rests on has ended. What is stale is read from the audits alone, so that nothing is lost with a
process and nothing is done twice.
"""

import asyncio
from dataclasses import dataclass
from datetime import UTC, date, datetime

from heimnetz_audit import ENGINE_VERSION
from heimnetz_auditor import metrics, store
from heimnetz_auditor.policy import OwnersPolicy
from heimnetz_common.database import Database
from heimnetz_common.errors import HeimnetzError
from heimnetz_common.http import ServiceClient
from heimnetz_common.logs import get_logger

#: So many are asked for at a time; the next ones when these are done.
BATCH = 100
BUSY_SECONDS = 5.0
IDLE_SECONDS = 60.0

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Reauditing:
    database: Database
    registry: ServiceClient
    policy: OwnersPolicy

    async def run(self) -> None:
        """Ask until cancelled."""
        known = 0
        while True:
            try:
                stale = await self.ask(datetime.now(UTC).date())
            except HeimnetzError as error:
                log.warning("reauditing_waits", reason=error.detail)
                stale = known
            if stale and not known:
                log.info("audits_are_stale", versions=stale, engine_version=ENGINE_VERSION)
            known = stale
            await asyncio.sleep(BUSY_SECONDS if stale else IDLE_SECONDS)

    async def ask(self, today: date, batch: int = BATCH) -> int:
        """Ask for the next audits; how many versions are stale, those asked for included.

        Raises: Unavailable and its siblings, while the registry does not say what is installed.
        """
        installed = await self._list_installed()
        async with self.database.transaction() as connection:
            stale = await store.add_stale(
                connection,
                engine_version=ENGINE_VERSION,
                policy_sha256=self.policy.sha256,
                today=today,
                installed=installed,
                limit=batch,
            )
        metrics.STALE.set(stale)
        return stale

    async def _list_installed(self) -> dict[str, str]:
        """The version of each plugin that is in use."""
        found: dict[str, str] = {}
        params: dict[str, str | int] = {"limit": 200}
        while True:
            page = await self.registry.get("/v1/installations", **params)
            found |= {item["plugin"]: item["version"] for item in page["items"]}
            if page["next_cursor"] is None:
                return found
            params["cursor"] = page["next_cursor"]
