"""What plugins did or tried for the first time: kept, and announced once."""

import asyncio
from collections import OrderedDict

from heimnetz_common import outbox
from heimnetz_common.database import Database
from heimnetz_common.errors import HeimnetzError
from heimnetz_common.logs import get_logger
from heimnetz_sandbox.events import BehaviourObserved
from heimnetz_sandbox.model import Touch
from heimnetz_sandbox.store import observed

MAX_TARGET_CHARACTERS = 300
# A plugin that tries more has been told of often enough.
MAX_PER_PLUGIN = 500
_MAX_REMEMBERED = 4096

log = get_logger(__name__)


class Observing:
    def __init__(self, database: Database) -> None:
        self._database = database
        # A plugin that touches much at once must not take every connection to the database.
        self._turn = asyncio.Lock()
        # Spares the database what it knows.
        self._known: OrderedDict[tuple[str, str, str, bool], None] = OrderedDict()

    async def saw(self, plugin: str, version: str, touch: Touch) -> None:
        target = touch.target[:MAX_TARGET_CHARACTERS].replace("\0", "")
        key = (plugin, touch.kind, target, touch.is_granted)
        if key in self._known:
            return
        event = BehaviourObserved(
            plugin=plugin,
            version=version,
            kind=touch.kind,
            target=target,
            is_granted=touch.is_granted,
        )
        try:
            async with self._turn, self._database.transaction() as connection:
                if await observed.add(connection, event, most=MAX_PER_PLUGIN):
                    await outbox.append(connection, event, service="sandbox", subject=plugin)
        except HeimnetzError as error:
            log.warning("observation_lost", plugin=plugin, reason=error.detail)
            return
        self._known[key] = None
        if len(self._known) > _MAX_REMEMBERED:
            self._known.popitem(last=False)
