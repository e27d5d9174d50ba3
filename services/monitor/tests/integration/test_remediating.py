"""What is done about plugins that leak or are a threat: by policy, with limits, and judged."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from heimnetz_common.database import Database
from heimnetz_common.events import Event
from heimnetz_common.http import ServiceClient
from heimnetz_common.testing import KeyRing, fresh_database, fresh_database_url, running
from heimnetz_monitor import recording, store
from heimnetz_monitor.accounting import Accounts
from heimnetz_monitor.app import create
from heimnetz_monitor.consumers import BehaviourObserved, on_behaviour_observed
from heimnetz_monitor.model import (
    Action,
    Mode,
    Remediation,
    RemediationState,
    RemedyPolicy,
    Sample,
    SampleKind,
    StartedRun,
)
from heimnetz_monitor.remediating import JUDGED_AFTER, Remediator
from heimnetz_monitor.remedies import Neighbours
from heimnetz_monitor.settings import MonitorSettings

MIB = 1024 * 1024
NOW = datetime.now(UTC)
LATER = NOW + JUDGED_AFTER + timedelta(minutes=3)


class House:
    """A monitor without its application; what it asks its neighbours for is in `asked`."""

    def __init__(self, database: Database, keys: KeyRing) -> None:
        self.database = database
        self.asked: list[tuple[str, Any]] = []
        self.status = 202
        transport = httpx.MockTransport(self._answer)

        def client(name: str) -> ServiceClient:
            url = f"http://{name}"
            return ServiceClient(url, audience=name, keys=keys.keys("monitor"), transport=transport)

        self.accounts = Accounts(database, 30)
        neighbours = Neighbours(registry=client("registry"), sandbox=client("sandbox"))
        self.remediator = Remediator(database, self.accounts, neighbours)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        self.asked.append((f"{request.method} {request.url.host}{request.url.path}", body))
        return httpx.Response(self.status, json={"detail": "as it is"})

    async def choose(self, policy: RemedyPolicy) -> None:
        async with self.database.transaction() as connection:
            await store.put_policy(connection, policy)

    async def start(self, plugin: str, at: datetime) -> None:
        run = StartedRun(
            run_id=uuid4().hex, plugin=plugin, version="1.0.0", trigger="service", started_at=at
        )
        async with self.database.transaction() as connection:
            await recording.record_start(connection, run)

    def hold(self, plugin: str, mib: int, at: datetime) -> None:
        self.accounts.take_memory(
            [
                Sample(
                    kind=SampleKind.CONTAINER,
                    subject=plugin,
                    taken_at=at,
                    memory_bytes=mib * MIB,
                )
            ]
        )

    async def leak(self, *plugins: str) -> None:
        """Services that took 3 MiB an hour for 20 hours, and hold 80 MiB now."""
        for plugin in plugins:
            async with self.database.transaction() as connection:
                await recording.record_installation(connection, plugin, "1.0.0", 128 * MIB, 1)
                await store.add_samples(
                    connection,
                    [
                        Sample(
                            kind=SampleKind.SERVING,
                            subject=plugin,
                            taken_at=NOW - timedelta(minutes=1 + number),
                            memory_bytes=int((80 - number / 20) * MIB),
                        )
                        for number in range(20 * 60)
                    ],
                )
            await self.start(plugin, NOW - timedelta(hours=21))
            self.hold(plugin, 80, NOW)
        await self.accounts.refresh(NOW)
        assert set(self.accounts.growths) == set(plugins)

    async def threaten(self, plugin: str, *, kind: str = "connect", granted: bool = False) -> None:
        seen = BehaviourObserved(
            plugin=plugin, version="1.0.0", kind=kind, target="evil.example:443", is_granted=granted
        )
        event = Event(
            id=uuid4().hex,
            source="/heimnetz/sandbox",
            type="heimnetz.behaviour.observed.v1",
            subject=plugin,
            time=NOW,
            traceparent=None,
            data=seen,
        )
        effect = await on_behaviour_observed(event)
        async with self.database.transaction() as connection:
            await recording.record_installation(connection, plugin, "1.0.0", 128 * MIB, 1)
            if effect is not None:
                await effect(connection)

    async def done(self) -> list[Remediation]:
        async with self.database.connection() as connection:
            return await store.list_remediations(connection, 50)

    async def states(self) -> list[tuple[Action, RemediationState]]:
        return [(one.action, one.state) for one in await self.done()]

    async def told(self) -> list[tuple[str, Any]]:
        async with self.database.connection() as connection:
            rows = await connection.fetch("SELECT document FROM outbox ORDER BY id")
        documents = [json.loads(row["document"]) for row in rows]
        return [(one["type"].removeprefix("heimnetz."), one["data"]) for one in documents]


@pytest.fixture
async def house(postgres_url: str, key_ring: KeyRing) -> AsyncIterator[House]:
    async with fresh_database(postgres_url, "monitor") as database:
        yield House(database, key_ring)


async def test_a_leaking_service_is_recycled_once_told_and_judged(house: House) -> None:
    await house.leak("leaker")

    await house.remediator.refresh(NOW)
    await house.remediator.refresh(NOW + timedelta(seconds=5))

    assert house.asked == [("POST sandbox/v1/services/leaker/recycles", None)]
    [(name, data)] = await house.told()
    assert name == "remediation.applied.v1"
    assert (data["plugin"], data["action"], data["decided_by"]) == ("leaker", "recycle", "policy")

    await house.start("leaker", NOW + timedelta(minutes=1))
    await house.accounts.refresh(LATER)
    house.hold("leaker", 20, LATER)
    await house.remediator.refresh(LATER)

    [one] = await house.done()
    assert (one.state, one.has_helped) == (RemediationState.APPLIED, True)
    assert (await house.told())[-1] == (
        "remediation.judged.v1",
        {
            "remediation": one.id,
            "plugin": "leaker",
            "version": "1.0.0",
            "action": "recycle",
            "cause": "leak",
            "has_helped": True,
        },
    )


async def test_what_did_not_help_is_followed_by_a_proposal_of_the_next(house: House) -> None:
    await house.leak("leaker")
    await house.remediator.refresh(NOW)

    for _ in range(2):
        await house.remediator.refresh(LATER)

    assert await house.states() == [
        (Action.DROP_CACHES, RemediationState.PROPOSED),
        (Action.RECYCLE, RemediationState.APPLIED),
    ]
    assert (await house.done())[1].has_helped is False
    assert len(house.asked) == 1


async def test_no_more_is_done_in_an_hour_than_the_policy_lets(house: House) -> None:
    await house.choose(RemedyPolicy(most_an_hour=1))
    await house.leak("first", "second")

    await house.remediator.refresh(NOW)
    assert len(house.asked) == 1
    await house.remediator.refresh(NOW + timedelta(minutes=61))

    assert len({path for path, _ in house.asked}) == 2


async def test_never_two_at_once(house: House) -> None:
    await house.leak("leaker")
    async with house.database.transaction() as connection:
        await connection.execute(
            """
            INSERT INTO remediations (plugin, version, action, cause, reason, state, decided_at,
                                      decided_by)
            VALUES ('other', '1.0.0', 'restart', 'leak', '', 'applying', $1, 'anna')
            """,
            NOW,
        )

    await house.remediator.refresh(NOW)
    assert house.asked == []
    # The monitor that began it is gone.
    await house.remediator.refresh(NOW + timedelta(minutes=6))

    assert len(house.asked) == 1


async def test_a_dry_run_only_writes_down_what_it_would_do(house: House) -> None:
    await house.choose(RemedyPolicy(is_dry_run=True))
    await house.leak("leaker")

    for _ in range(2):
        await house.remediator.refresh(NOW)

    assert await house.states() == [(Action.RECYCLE, RemediationState.DRY_RUN)]
    assert house.asked == []
    assert await house.told() == []


async def test_what_fails_says_why_and_is_tried_again_later_and_later(house: House) -> None:
    house.status = 503
    await house.leak("leaker")

    for minutes in (0, 9, 11, 30, 32):
        await house.remediator.refresh(NOW + timedelta(minutes=minutes))

    assert len(house.asked) == 3
    assert {(one.state, one.detail) for one in await house.done()} == {
        (RemediationState.FAILED, "as it is")
    }
    assert await house.told() == []


async def test_memory_is_raised_within_the_owner_s_bound_only(house: House) -> None:
    modes = dict.fromkeys(Action, Mode.OFF)
    modes[Action.RAISE_MEMORY] = Mode.AUTOMATIC
    await house.choose(RemedyPolicy(modes=modes, most_memory_bytes=160 * MIB))
    await house.leak("leaker")

    for minutes in (0, 15, 45):
        await house.remediator.refresh(NOW + timedelta(minutes=minutes))

    body = {"memory_bytes": 160 * MIB}
    assert house.asked == [("PUT sandbox/v1/plugins/leaker/memory-limit", body)]
    [use] = await house.accounts.list_uses(NOW)
    assert use.memory_limit_bytes == 160 * MIB


async def test_what_is_refused_is_not_tried_again(house: House) -> None:
    house.status = 409
    await house.choose(RemedyPolicy(modes={Action.DROP_CACHES: Mode.AUTOMATIC}))
    await house.leak("leaker")

    for minutes in (0, 11, 41):
        await house.remediator.refresh(NOW + timedelta(minutes=minutes))

    assert [path.rpartition("/")[2] for path, _ in house.asked] == ["cache-drops", "recycles"]
    assert (await house.done())[0].state is RemediationState.PROPOSED


async def test_a_threat_is_proposed_to_be_quarantined_once(house: House) -> None:
    await house.threaten("spy")
    await house.threaten("honest", granted=True)
    await house.threaten("reader", kind="read")

    for _ in range(2):
        await house.remediator.refresh(NOW)

    [one] = await house.done()
    assert (one.plugin, one.action, one.state) == (
        "spy",
        Action.QUARANTINE,
        RemediationState.PROPOSED,
    )
    assert one.reason == "without a grant: connect evil.example:443"
    assert house.asked == []


@pytest.mark.parametrize("kind", ["connect", "secret"])
async def test_by_policy_a_threat_is_quarantined_at_once(house: House, kind: str) -> None:
    await house.choose(RemedyPolicy(modes={Action.QUARANTINE: Mode.AUTOMATIC}))
    await house.threaten("spy", kind=kind)

    await house.remediator.refresh(NOW)

    [(path, body)] = house.asked
    assert path == "POST registry/v1/plugins/spy/versions/1.0.0/state"
    assert body == {
        "state": "quarantined",
        "reason": f"without a grant: {kind} evil.example:443",
    }


async def test_a_proposal_is_applied_by_an_operator_once_and_may_be_dismissed(
    house: House,
) -> None:
    await house.threaten("spy")
    await house.remediator.refresh(NOW)
    [proposal] = await house.done()

    done = await house.remediator.apply(proposal.id, "anna")

    assert (done.state, done.decided_by) == (RemediationState.APPLIED, "anna")
    assert len(house.asked) == 1
    await house.leak("leaker")
    await house.choose(RemedyPolicy(modes={Action.RECYCLE: Mode.PROPOSED}))
    await house.remediator.refresh(NOW)
    await house.remediator.dismiss((await house.done())[0].id, "anna")
    await house.remediator.refresh(NOW + timedelta(hours=2))
    assert {one.state for one in await house.done()} == {
        RemediationState.APPLIED,
        RemediationState.DISMISSED,
    }
    assert len(house.asked) == 1


async def test_the_owner_chooses_the_policy_and_everybody_sees_it(
    postgres_url: str, key_ring: KeyRing, tmp_path: Path
) -> None:
    secrets = key_ring.secrets_dir("monitor")
    (secrets / "alertmanager-webhook-token").write_text("t" * 43)
    async with fresh_database_url(postgres_url, "monitor") as url:
        settings = MonitorSettings(
            database_url=url,
            nats_url="nats://127.0.0.1:1",
            secrets_dir=secrets,
            tls=False,
            services={"registry": "http://127.0.0.1:1"},
            ready_file=tmp_path / "ready",
        )
        wanted = {"modes": {"quarantine": "automatic"}, "most_an_hour": 2, "is_dry_run": True}
        async with running(create(settings)) as client:
            owner, viewer = (key_ring.user("monitor", role) for role in ("owner", "viewer"))
            before = (await client.get("/v1/remedies", headers=viewer)).json()
            refused = await client.put("/v1/remedies/policy", json=wanted, headers=viewer)
            chosen = await client.put("/v1/remedies/policy", json=wanted, headers=owner)
            wrong = await client.put(
                "/v1/remedies/policy", json={**wanted, "most_an_hour": 101}, headers=owner
            )
            after = (await client.get("/v1/remedies", headers=viewer)).json()
            nothing = await client.post("/v1/remedies/7/application", headers=owner)

    assert before["policy"]["modes"] == {
        "drop_caches": "proposed",
        "recycle": "automatic",
        "raise_memory": "proposed",
        "restart": "proposed",
        "roll_back": "proposed",
        "quarantine": "proposed",
    }
    assert (refused.status_code, chosen.status_code, wrong.status_code) == (403, 200, 422)
    assert after["policy"]["modes"]["quarantine"] == "automatic"
    assert (after["policy"]["most_an_hour"], after["policy"]["is_dry_run"]) == (2, True)
    assert nothing.status_code == 404
