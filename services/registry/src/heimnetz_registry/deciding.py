"""A version takes another state: by a person's decision, or by what the auditor found."""

from datetime import datetime

from heimnetz_common import outbox
from heimnetz_common.database import Connection, Database
from heimnetz_common.errors import Forbidden
from heimnetz_common.logs import get_logger
from heimnetz_registry import events, policy
from heimnetz_registry.artifacts import Artifacts
from heimnetz_registry.errors import AnotherVersionInstalled, PluginNotFound, VersionInstalled
from heimnetz_registry.metrics import TRANSITIONS as COUNTED
from heimnetz_registry.model import (
    MONITOR,
    TRANSITIONS,
    Actor,
    By,
    PackageWarning,
    State,
    Version,
    check_decider,
    check_transition,
)
from heimnetz_registry.store import catalogues, installations, trail, versions

AUDITOR = Actor("service:auditor", "auditor")
ITSELF = Actor("service:registry", "registry")

log = get_logger(__name__)


class Decider:
    def __init__(self, database: Database, artifacts: Artifacts) -> None:
        self._database = database
        self._artifacts = artifacts

    async def decide(
        self, plugin: str, version: str, wanted: State, reason: str, actor: Actor
    ) -> Version:
        """A person's decision, or the monitor's.

        Raises: VersionNotFound, NotDecidable, IllegalTransition, VersionInstalled, and for the
        monitor InstallationNotFound, AnotherVersionInstalled.
        """
        check_decider(actor.role, wanted)
        async with self._database.transaction() as connection:
            current = await versions.lock_version(connection, plugin, version)
            if actor.role == "publisher" and current.publisher != actor.name:
                raise PluginNotFound(plugin)
            if actor.role == MONITOR:
                await _refuse_unless_installed(connection, current)
            check_transition(current.state, wanted, By.PERSON)
            if wanted is State.DELETED:
                await _refuse_if_installed(connection, current)
            changed = await _change(connection, current, wanted, reason, actor)
        COUNTED.labels(wanted.value).inc()
        if wanted is State.DELETED:
            # After the commit: a crash between leaves an orphan, which the sweep removes.
            await self._artifacts.remove(changed.sha256)
        return changed


async def take_audit(
    connection: Connection, audit: events.VersionAudited, audited_at: datetime
) -> State | None:
    """Record an audit and what follows from it; the state taken, if any.

    Audits may come late, twice or out of order: one of other bytes, or older than the one that
    is recorded, changes nothing.

    Raises: VersionNotFound.
    """
    current = await versions.lock_version(connection, audit.plugin, audit.version)
    if current.sha256 != audit.sha256:
        raise Forbidden(f"the audit is of {audit.sha256}, the version is {current.sha256}")
    is_stale = current.audited_at is not None and audited_at < current.audited_at
    if is_stale or current.state is State.DELETED:
        return None
    await versions.set_audit(
        connection,
        audit.plugin,
        audit.version,
        score=audit.score,
        grade=audit.grade,
        verdict=audit.verdict,
        audited_at=audited_at,
    )
    names = await versions.list_established_names(connection, current.publisher)
    lookalike = policy.lookalike_of(current.plugin, names)
    # One that was signed meanwhile is due no more.
    is_unsigned = current.is_review_due and current.signature is None
    warning = await catalogues.find_warning(connection, current.sha256)
    wanted = policy.state_after_audit(
        current.state,
        audit.verdict,
        lookalike=lookalike,
        is_review_due=is_unsigned or warning is not None,
        is_worse=policy.is_worse_audit(
            (current.verdict, current.grade), (audit.verdict, audit.grade)
        ),
    )
    if wanted is None:
        return None
    check_transition(current.state, wanted, By.AUDIT)
    is_held = wanted is State.NEEDS_REVIEW
    notes = _notes(lookalike, warning, is_unsigned=is_unsigned) if is_held else []
    reason = _reason(audit, notes)
    await _change(connection, current, wanted, reason, AUDITOR)
    return wanted


async def stop_signed(connection: Connection, key_id: str, reason: str) -> list[State]:
    """Quarantine what is installed and was signed with a revoked key; a state for each.

    Nobody puts such a version to use meanwhile: who does holds its key, and is refused once the
    key is revoked.
    """
    taken = []
    for plugin, version in await installations.list_signed(connection, key_id):
        current = await versions.lock_version(connection, plugin, version)
        # It may have been signed anew, or stopped.
        is_signed = current.signature is not None and current.signature.key_id == key_id
        if not is_signed or State.QUARANTINED not in TRANSITIONS[current.state]:
            continue
        why = f"its signing key was revoked: {reason}"[:1000]
        await _change(connection, current, State.QUARANTINED, why, ITSELF)
        taken.append(State.QUARANTINED)
    return taken


async def stop_package(connection: Connection, sha256: str, reason: str) -> list[State]:
    """Quarantine every version with this digest that may run; a state for each.

    One that waits for its audit is held for a person then.
    """
    taken = []
    for plugin, version in await versions.list_of_package(connection, sha256):
        current = await versions.lock_version(connection, plugin, version)
        if State.QUARANTINED not in TRANSITIONS[current.state]:
            continue
        await _change(connection, current, State.QUARANTINED, reason[:1000], ITSELF)
        taken.append(State.QUARANTINED)
    return taken


def _notes(
    lookalike: str | None, warning: PackageWarning | None, *, is_unsigned: bool
) -> list[str]:
    """Why a person looks at a version, whatever its audit says."""
    notes = []
    if warning is not None:
        notes.append(f"the catalogue {warning.catalogue} warns of it: {warning.reason}")
    if lookalike is not None:
        notes.append(f"the name is easily taken for {lookalike}")
    if is_unsigned:
        notes.append("the package is not signed")
    return notes


def _reason(audit: events.VersionAudited, notes: list[str]) -> str:
    said = "; ".join([*notes, *audit.reasons[:5]])
    return (said or f"audit: {audit.verdict}, score {audit.score}, grade {audit.grade}")[:1000]


async def _refuse_if_installed(connection: Connection, version: Version) -> None:
    installed = await installations.find_installation(connection, version.plugin)
    if installed is not None and installed.version == version.version:
        raise VersionInstalled(version.plugin, version.version)


async def _refuse_unless_installed(connection: Connection, version: Version) -> None:
    installed = await installations.get_installation(connection, version.plugin)
    if installed.version != version.version:
        raise AnotherVersionInstalled(version.plugin, version.version, installed.version)


async def _change(
    connection: Connection, current: Version, wanted: State, reason: str, actor: Actor
) -> Version:
    changed = await versions.set_state(connection, current.plugin, current.version, wanted, reason)
    event = events.BY_STATE[wanted]
    await trail.add_entry(
        connection,
        actor=actor.subject,
        action=f"version.{wanted.value}",
        plugin=current.plugin,
        version=current.version,
        state_before=current.state.value,
        state_after=wanted.value,
        reason=reason,
    )
    await outbox.append(
        connection,
        event(
            plugin=changed.plugin,
            version=changed.version,
            sha256=changed.sha256,
            publisher=changed.publisher,
            reason=reason,
        ),
        service=events.SERVICE,
        subject=f"{changed.plugin}/{changed.version}",
    )
    log.info(
        "version_changed",
        plugin=changed.plugin,
        version=changed.version,
        state=wanted.value,
        actor=actor.subject,
    )
    return changed
