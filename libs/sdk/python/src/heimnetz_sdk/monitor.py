"""Is it healthy?"""

from collections.abc import Mapping
from typing import Any

from heimnetz_sdk._transport import Transport
from heimnetz_sdk.models import (
    Alert,
    ChannelTest,
    Leaks,
    Page,
    Remedies,
    ServiceLevels,
    Status,
    Top,
    decode,
    decode_page,
)

BASE = "/api/monitor/v1"
#: The monitor waits for a channel for at most a minute.
CHANNEL_TEST_SECONDS = 90.0


class Monitor:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def get_status(self) -> Status:
        return decode(Status, self._transport.request("GET", f"{BASE}/status").json())

    def get_top(self) -> Top:
        return decode(Top, self._transport.request("GET", f"{BASE}/top").json())

    def list_leaks(self) -> tuple[Mapping[str, Any], ...]:
        """Services and plugins whose memory grows and is not given back, with the evidence."""
        return decode(Leaks, self._transport.request("GET", f"{BASE}/leaks").json()).items

    def list_remedies(self, *, limit: int = 50) -> Remedies:
        """What was done about plugins, what waits for a decision, and by what policy."""
        answer = self._transport.request("GET", f"{BASE}/remedies", query={"limit": limit})
        return decode(Remedies, answer.json())

    def put_remedy_policy(self, policy: Mapping[str, Any]) -> Mapping[str, Any]:
        path = f"{BASE}/remedies/policy"
        document: Mapping[str, Any] = self._transport.request(
            "PUT", path, document=dict(policy)
        ).json()
        return document

    def apply_remedy(self, number: int) -> Mapping[str, Any]:
        return self._decide(number, "application")

    def dismiss_remedy(self, number: int) -> Mapping[str, Any]:
        return self._decide(number, "dismissal")

    def _decide(self, number: int, what: str) -> Mapping[str, Any]:
        document: Mapping[str, Any] = self._transport.request(
            "POST", f"{BASE}/remedies/{number}/{what}"
        ).json()
        return document

    def get_service_levels(self) -> ServiceLevels:
        answer = self._transport.request("GET", f"{BASE}/service-levels")
        return decode(ServiceLevels, answer.json())

    def test_channels(self) -> ChannelTest:
        """A test message to every channel; not repeated, since each would tell people again."""
        answer = self._transport.request(
            "POST", f"{BASE}/channels/test", timeout_seconds=CHANNEL_TEST_SECONDS
        )
        return decode(ChannelTest, answer.json())

    def list_alerts(self, state: str | None = None, *, limit: int = 50) -> Page[Alert]:
        query = {"state": state, "limit": limit}
        return decode_page(
            Alert, self._transport.request("GET", f"{BASE}/alerts", query=query).json()
        )
