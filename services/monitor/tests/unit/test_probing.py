"""Probes of services over the wire, with the network replaced."""

import asyncio

import httpx
from prometheus_client import REGISTRY

from heimnetz_common.http import ServiceClient
from heimnetz_common.testing import KeyRing
from heimnetz_monitor.probing import Prober


def client(key_ring: KeyRing, handler: httpx.AsyncBaseTransport) -> ServiceClient:
    return ServiceClient(
        "http://service", audience="registry", keys=key_ring.keys("monitor"), transport=handler
    )


class Hanging(httpx.AsyncBaseTransport):
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError(request.url)


def answering(status: int, detail: str = "") -> httpx.MockTransport:
    return httpx.MockTransport(lambda _: httpx.Response(status, json={"detail": detail}))


async def test_a_ready_and_an_unready_service_are_told_apart(key_ring: KeyRing) -> None:
    prober = Prober(
        {
            "alpha": client(key_ring, answering(200)),
            "beta": client(key_ring, answering(503, "database: the database does not answer")),
        },
        deadline_seconds=1,
    )

    await prober.probe()

    assert prober.health["alpha"].is_up is True
    assert prober.health["beta"].is_up is False
    assert prober.health["beta"].last is not None
    assert prober.health["beta"].last.reason == "database: the database does not answer"
    assert REGISTRY.get_sample_value("heimnetz_monitor_service_up", {"service": "alpha"}) == 1
    assert REGISTRY.get_sample_value("heimnetz_monitor_service_up", {"service": "beta"}) == 0


async def test_a_service_that_hangs_is_given_up_at_the_deadline(key_ring: KeyRing) -> None:
    prober = Prober(
        {"gamma": client(key_ring, Hanging()), "delta": client(key_ring, answering(200))},
        deadline_seconds=0.1,
    )

    await prober.probe()

    assert prober.health["gamma"].last is not None
    assert prober.health["gamma"].last.reason == "no answer within 0.1 s"
    assert prober.health["delta"].is_up is True


async def test_a_service_is_unknown_before_its_first_answer(key_ring: KeyRing) -> None:
    prober = Prober({"epsilon": client(key_ring, answering(200))}, deadline_seconds=1)

    assert prober.health["epsilon"].is_up is None
