"""Does something about plugins that leak or are a threat: by policy, with limits, and judged.

A remedy is automatic, proposed or off. What is done by itself is done at most so often in an hour,
never two at once, and the same plugin is left alone for longer and longer in between.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from heimnetz_common import outbox
from heimnetz_common.database import Database
from heimnetz_common.errors import HeimnetzError, Unavailable
from heimnetz_common.logs import get_logger
from heimnetz_monitor import metrics, store
from heimnetz_monitor.accounting import Accounts
from heimnetz_monitor.events import RemediationApplied, RemediationJudged
from heimnetz_monitor.model import (
    Action,
    Cause,
    Growth,
    Mode,
    PluginUse,
    Remediation,
    RemediationState,
    RemedyPolicy,
    Threat,
    Trouble,
)
from heimnetz_monitor.remedies import ALL, BY_ACTION, Neighbours, Remedy

SERVICE = "monitor"
#: How far back the decisions look.
MEMORY = timedelta(days=1)
#: When it is looked at whether a remedy helped.
JUDGED_AFTER = timedelta(minutes=10)
#: A plugin is left alone after the first remedy, and twice as long after each further one.
FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=10), timedelta(hours=8)
#: Longer than a neighbour is waited for.
ABANDONED_AFTER = timedelta(minutes=5)
#: What a leak gave back, as a share of what was held.
RELIEF = 0.9
HOUR = timedelta(hours=1)
MANY, MAX_DETAIL = 500, 500
_FAILED = RemediationState.FAILED
_DONE = {RemediationState.APPLIED, _FAILED, RemediationState.APPLYING}
_TRIED = {*_DONE, RemediationState.DRY_RUN}

log = get_logger(__name__)


def next_remedy(
    trouble: Trouble, past: Sequence[Remediation], policy: RemedyPolicy, now: datetime
) -> Remedy | None:
    """The first that fits and is not known to help nothing; None while nothing is to be done.

    What is done by itself comes before what has to be proposed. `past` is what was decided within
    a day, in any order.
    """
    own = [one for one in past if one.plugin == trouble.plugin and one.cause is trouble.cause]
    if now < _rests_until(own):
        return None
    useless = {
        one.action for one in own if one.has_helped is False and one.version == trouble.version
    }
    modes = (Mode.AUTOMATIC,) if _is_answered(trouble, own) else (Mode.AUTOMATIC, Mode.PROPOSED)
    if trouble.cause is Cause.THREAT and len(modes) == 1:
        return None
    if policy.raised(trouble.limit_bytes) is None:
        useless.add(Action.RAISE_MEMORY)
    fitting = [one for one in ALL if one.fits(trouble) and one.action not in useless]
    return next(
        (one for mode in modes for one in fitting if policy.mode_of(one.action) is mode), None
    )


def _is_answered(trouble: Trouble, own: Sequence[Remediation]) -> bool:
    """A proposal waits, or a person has decided; a threat is answered until the next one."""
    if trouble.cause is Cause.THREAT:
        return any(
            one.decided_at >= trouble.since and one.state is not RemediationState.FAILED
            for one in own
        )
    return any(one.state in (RemediationState.PROPOSED, RemediationState.DISMISSED) for one in own)


def _rests_until(own: Sequence[Remediation]) -> datetime:
    tried = [one for one in own if one.state in _TRIED]
    if not tried or all(one.cause is Cause.THREAT and one.state is not _FAILED for one in tried):
        return datetime.min.replace(tzinfo=UTC)
    pause = min(FIRST_PAUSE * 2.0 ** min(len(tried) - 1, 10), LONGEST_PAUSE)
    return max(one.decided_at for one in tried) + pause


def state_of_new(
    policy: RemedyPolicy, remedy: Remedy, past: Sequence[Remediation], now: datetime
) -> RemediationState | None:
    """None where as many as may be were done within the hour.

    Leaks and threats are counted apart: whoever leaks on purpose holds up no quarantine.
    """
    if policy.mode_of(remedy.action) is not Mode.AUTOMATIC:
        return RemediationState.PROPOSED
    if policy.is_dry_run:
        return RemediationState.DRY_RUN
    since = now - HOUR
    alike = [one for one in past if one.cause is remedy.cause and one.state in _DONE]
    recent = [one for one in alike if one.decided_at > since]
    return RemediationState.APPLYING if len(recent) < policy.most_an_hour else None


class Remediator:
    def __init__(self, database: Database, accounts: Accounts, neighbours: Neighbours) -> None:
        self._database = database
        self._accounts = accounts
        self._neighbours = neighbours

    async def refresh(self, now: datetime | None = None) -> None:
        """See what is wrong, do what is to be done about it, judge what was done."""
        now = now or datetime.now(UTC)
        async with self._database.transaction() as connection:
            await store.fail_abandoned(connection, now - ABANDONED_AFTER)
            policy = await store.get_policy(connection)
            threats = await store.list_threats(connection, now - MEMORY)
            services = await store.list_services(connection)
            past = await store.list_remediations(connection, MANY, since=now - MEMORY)
        _show(threats)
        uses = {use.plugin: use for use in await self._accounts.list_uses(now)}
        leaks = _leaks(self._accounts.growths, uses, services)
        for one in past:
            if one.state is RemediationState.APPLIED and one.judged_at is None:
                await self._judge(one, threats, uses, now)
        for trouble in [*_dangers(threats, services), *leaks]:
            await self._treat(trouble, policy, now)

    async def _treat(self, trouble: Trouble, policy: RemedyPolicy, now: datetime) -> None:
        async with self._database.transaction() as connection:
            past = await store.list_remediations(connection, MANY, since=now - MEMORY)
            remedy = next_remedy(trouble, past, policy, now)
            state = None if remedy is None else state_of_new(policy, remedy, past, now)
            if remedy is None or state is None:
                return
            is_raise = remedy.action is Action.RAISE_MEMORY
            number = await store.add_remediation(
                connection,
                trouble,
                remedy.action,
                state,
                now,
                policy.raised(trouble.limit_bytes) if is_raise else None,
            )
        if number is None:
            return
        log.warning("remedy", plugin=trouble.plugin, action=remedy.action, state=state)
        if state is RemediationState.APPLYING:
            await self._carry_out(number, now)
        else:
            metrics.REMEDIATIONS.labels(remedy.action, state).inc()

    async def apply(self, number: int, by: str) -> Remediation:
        """Do what was proposed. Raises: RemediationNotOpen, RemediationUnderWay."""
        now = datetime.now(UTC)
        async with self._database.transaction() as connection:
            await store.decide(connection, number, RemediationState.APPLYING, by, now)
        return await self._carry_out(number, now)

    async def dismiss(self, number: int, by: str) -> Remediation:
        """Leave it at that for a day. Raises: RemediationNotOpen."""
        async with self._database.transaction() as connection:
            return await store.decide(
                connection, number, RemediationState.DISMISSED, by, datetime.now(UTC)
            )

    async def _carry_out(self, number: int, at: datetime) -> Remediation:
        async with self._database.connection() as connection:
            wanted = await store.get_remediation(connection, number)
        state, detail, can_help = RemediationState.APPLIED, "", True
        try:
            await BY_ACTION[wanted.action].apply(self._neighbours, wanted)
        except HeimnetzError as error:
            state, detail = RemediationState.FAILED, error.detail[:MAX_DETAIL]
            can_help = isinstance(error, Unavailable)
            log.warning("remedy_failed", plugin=wanted.plugin, reason=detail)
        async with self._database.transaction() as connection:
            await store.finish(connection, number, state, at, detail)
            if not can_help:
                await store.judge(connection, number, at, has_helped=False)
            if state is RemediationState.APPLIED:
                if wanted.limit_bytes is not None:
                    await store.raise_limit(connection, wanted.plugin, wanted.limit_bytes)
                event = RemediationApplied(
                    remediation=number,
                    plugin=wanted.plugin,
                    version=wanted.version,
                    action=wanted.action,
                    cause=wanted.cause,
                    reason=wanted.reason,
                    decided_by=wanted.decided_by,
                    applied_at=at,
                )
                await outbox.append(connection, event, service=SERVICE, subject=wanted.plugin)
            done = await store.get_remediation(connection, number)
        metrics.REMEDIATIONS.labels(wanted.action, state).inc()
        return done

    async def _judge(
        self,
        one: Remediation,
        threats: Sequence[Threat],
        uses: Mapping[str, PluginUse],
        now: datetime,
    ) -> None:
        assert one.applied_at is not None
        if now < one.applied_at + JUDGED_AFTER:
            return
        if one.cause is Cause.THREAT:
            later = (
                threat.plugin == one.plugin and threat.seen_at > one.applied_at
                for threat in threats
            )
            has_helped = not any(later)
        else:
            has_helped = _is_relieved(one, uses.get(one.plugin))
        event = RemediationJudged(
            remediation=one.id,
            plugin=one.plugin,
            version=one.version,
            action=one.action,
            cause=one.cause,
            has_helped=has_helped,
        )
        async with self._database.transaction() as connection:
            await store.judge(connection, one.id, now, has_helped=has_helped)
            await outbox.append(connection, event, service=SERVICE, subject=one.plugin)
        outcome = "helped" if has_helped else "helped_not"
        metrics.REMEDIATIONS.labels(one.action, outcome).inc()


def _leaks(
    growths: Mapping[str, Growth], uses: Mapping[str, PluginUse], services: set[str]
) -> list[Trouble]:
    return [
        Trouble(
            plugin=plugin,
            version=uses[plugin].version or "",
            cause=Cause.LEAK,
            reason=f"its memory grows ({growth.kind}) and is not given back",
            since=growth.since,
            is_service=plugin in services,
            held_bytes=uses[plugin].memory_bytes,
            limit_bytes=uses[plugin].memory_limit_bytes,
        )
        for plugin, growth in growths.items()
        if plugin in uses
    ]


def _dangers(threats: Sequence[Threat], services: set[str]) -> list[Trouble]:
    """Of each plugin the latest."""
    latest = {threat.plugin: threat for threat in threats}
    return [
        Trouble(
            plugin=threat.plugin,
            version=threat.version,
            cause=Cause.THREAT,
            reason=f"without a grant: {threat.kind} {threat.target}",
            since=threat.seen_at,
            is_service=threat.plugin in services,
        )
        for threat in latest.values()
    ]


def _is_relieved(one: Remediation, use: PluginUse | None) -> bool:
    if use is None:
        return True
    if use.growth is not None:
        return False
    if use.memory_bytes is None or one.held_bytes is None:
        return True
    return use.memory_bytes < RELIEF * one.held_bytes


def _show(threats: Sequence[Threat]) -> None:
    metrics.THREAT.clear()
    for threat in threats:
        metrics.THREAT.labels(threat.plugin, threat.kind).set(threat.seen_at.timestamp())
