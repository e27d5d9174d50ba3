"""The owner's channels: does a message arrive?"""

from fastapi import APIRouter, Depends

from heimnetz_common.auth import Rule, require
from heimnetz_common.routing import router
from heimnetz_monitor.api.schemas import ChannelTest, DeliveryShown
from heimnetz_monitor.notifying import Notifier

TESTERS: Rule = require("operator")


def routes(notifier: Notifier) -> APIRouter:
    edge = router(prefix="/v1", tags=["alerts"])

    @edge.post("/channels/test", dependencies=[Depends(TESTERS)])
    async def test_channels() -> ChannelTest:
        """Send a test message to every channel, and wait until each has taken or refused it."""
        found = await notifier.test()
        return ChannelTest(
            items=[DeliveryShown(channel=item.channel, state=item.state) for item in found]
        )

    return edge
