"""A newer version is put to use by the registry itself, where the owner said so and it is safe.

What it put to use is on trial: runs that fail bring the version before back.
"""

from typing import Any

from heimnetz_common.database import Connection, Database
from heimnetz_common.errors import Conflict, InvalidInput
from heimnetz_common.logs import get_logger
from heimnetz_common.sealing import CannotOpen
from heimnetz_manifest import Grants, Manifest
from heimnetz_manifest import Version as Number
from heimnetz_manifest.permissions import describe
from heimnetz_registry import reverting
from heimnetz_registry.errors import KeyMissing
from heimnetz_registry.installing import Installer, Wish
from heimnetz_registry.metrics import UPDATES
from heimnetz_registry.model import Actor, Installation, State, UpdatePolicy, Version
from heimnetz_registry.placing import set_update_policy
from heimnetz_registry.store import installations, trail, versions

BY_ITSELF = Actor("service:registry", "registry")
MAX_REASON = 1000  # characters of a trail entry
# Of a run, by the plugin's own doing; what the platform failed at says nothing about the version.
FAILURES = frozenset(
    {
        "error",
        "timeout",
        "cpu_limit",
        "out_of_memory",
        "pids_limit",
        "disk_limit",
        "output_limit",
    }
)

log = get_logger(__name__)


class Updater:
    """`canary_hours` is for how long what it takes is on trial."""

    def __init__(
        self,
        database: Database,
        installer: Installer,
        *,
        canary_hours: int = 24,
        canary_failures: int = 3,
    ) -> None:
        self._database = database
        self._installer = installer
        self._canary_hours = canary_hours
        self._canary_failures = canary_failures

    async def set_policy(self, plugin: str, policy: UpdatePolicy, actor: Actor) -> Installation:
        """From now on; a version that was approved before is not taken by itself.

        Raises: InstallationNotFound.
        """
        async with self._database.transaction() as connection:
            await versions.lock_plugin(connection, plugin)
            before = await installations.get_installation(connection, plugin)
            if before.update_policy is policy:
                return before
            return await set_update_policy(connection, plugin, policy, actor)

    async def take(self, connection: Connection, plugin: str, number: str) -> None:
        """What follows from a version's approval; whether it is put to use, and why not."""
        await versions.lock_plugin(connection, plugin)
        before = await installations.find_installation(connection, plugin)
        if before is None or before.update_policy is UpdatePolicy.MANUAL:
            return
        if Number(number).sort_key <= Number(before.version).sort_key:
            return
        version = await versions.lock_version(connection, plugin, number)
        # Whoever decided otherwise meanwhile said why.
        if version.state is not State.APPROVED:
            return
        if not await installations.is_policy_older(connection, plugin, number):
            return
        installed = await versions.get_version(connection, plugin, before.version)
        reasons = [
            *_left(before, number),
            *reasons_to_wait(installed, version, before.configuration, before.update_policy),
        ]
        if not reasons:
            reasons = await self._install(connection, before, version)
        UPDATES.labels("waits" if reasons else "taken").inc()
        if reasons:
            await trail.add_entry(
                connection,
                actor=BY_ITSELF.subject,
                action="update.waits",
                plugin=plugin,
                version=number,
                reason=f"{before.version} stays: {'; '.join(reasons)}"[:MAX_REASON],
            )
        log.info("update", plugin=plugin, version=number, waits_for=reasons)

    async def _install(
        self, connection: Connection, before: Installation, version: Version
    ) -> list[str]:
        """What it was refused for."""
        wish = Wish(
            version=version.version,
            grants=_granted(before, version),
            configuration=before.configuration,
        )
        note = (
            f"; by itself, since it asks for nothing more than {before.version}; "
            f"on trial for {self._canary_hours} h"
        )
        try:
            async with connection.transaction():
                await self._installer.install_within(
                    connection, before.plugin, wish, BY_ITSELF, note=note
                )
                await installations.begin_canary(connection, before.plugin, self._canary_hours)
        except InvalidInput as error:
            # Its words may quote a value; the names of the fields are enough.
            fields = ", ".join(mistake.pointer or "/" for mistake in error.mistakes[:10])
            return [f"the configuration does not fit it: {fields}"]
        except (Conflict, KeyMissing, CannotOpen) as error:
            return [error.detail]
        return []

    async def is_on_trial(self, plugin: str, version: str) -> bool:
        async with self._database.connection() as connection:
            return await installations.is_on_trial(connection, plugin, version)

    async def judge(
        self, connection: Connection, plugin: str, version: str, *, outcome: str
    ) -> None:
        """What follows from a run of a version on trial."""
        await versions.lock_plugin(connection, plugin)
        if not await installations.is_on_trial(connection, plugin, version):
            return
        if outcome == "ok":
            await installations.forget_failures(connection, plugin)
        if outcome not in FAILURES:
            return
        failures = await installations.count_failure(connection, plugin)
        if failures >= self._canary_failures:
            await _go_back(connection, plugin, version, f"{failures} runs in a row: {outcome}")


async def _go_back(connection: Connection, plugin: str, version: str, reason: str) -> None:
    try:
        async with connection.transaction():
            await reverting.roll_back_within(
                connection, plugin, BY_ITSELF, version=version, reason=reason
            )
    except Conflict as error:
        # It is not tried again at every failure; a person has to look.
        await installations.end_canary(connection, plugin)
        await trail.add_entry(
            connection,
            actor=BY_ITSELF.subject,
            action="update.stays",
            plugin=plugin,
            version=version,
            reason=f"{reason}; no way back: {error.detail}"[:MAX_REASON],
        )
        log.warning("no_way_back", plugin=plugin, version=version, reason=error.detail)
    else:
        reverting.count(BY_ITSELF)
        log.warning("rolled_back", plugin=plugin, version=version, reason=reason)


def _left(before: Installation, number: str) -> list[str]:
    left = before.went_back_from
    if left is None or Number(number).sort_key > Number(left).sort_key:
        return []
    return [f"somebody went back from {'it' if left == number else left}"]


def _granted(before: Installation, version: Version) -> list[str]:
    """What was refused before stays refused."""
    granted = Grants(before.grants)
    asked = Manifest.model_validate(version.manifest).permissions.keys()
    return sorted(key for key in asked if granted.covers(key))


def reasons_to_wait(
    installed: Version,
    candidate: Version,
    configuration: dict[str, Any],
    policy: UpdatePolicy = UpdatePolicy.SAFE,
) -> list[str]:
    """Why a person has to look at the candidate first; nothing when it is safe to take."""
    had, wants = (Manifest.model_validate(one.manifest) for one in (installed, candidate))
    reasons = []
    if Number(candidate.version).is_prerelease and not Number(installed.version).is_prerelease:
        reasons.append("it is a pre-release")
    if policy is UpdatePolicy.SAFE:
        reasons += [*_worse_grade(installed, candidate), *_more_work(had, wants)]
    known = Grants.all_of(had.permissions)
    more = [key for key, _ in wants.permissions.asked() if not known.covers(key)]
    if more:
        reasons.append("it asks to " + ", ".join(describe(key) for key in more))
    if wants.kind != had.kind:
        reasons.append(f"it is a {wants.kind}, and was a {had.kind}")
    if (had.fresh, wants.fresh) == ("container", "process"):
        reasons.append("its calls would share a container")
    seen = (_held(had) - _held(wants)) & _secrets(wants, configuration)
    if seen:
        reasons.append("it would see the secret: " + ", ".join(sorted(seen)))
    shown = _secrets(had, configuration) - _secrets(wants, configuration)
    if shown:
        reasons.append("it keeps no secret: " + ", ".join(sorted(shown)))
    return reasons


def _worse_grade(installed: Version, candidate: Version) -> list[str]:
    """Grades are letters, and A is the best."""
    if installed.grade is None or candidate.grade is None:
        return ["there are no two grades to compare"]
    if candidate.grade > installed.grade:
        return [f"its grade is {candidate.grade}, that of {installed.version} is {installed.grade}"]
    return []


def _more_work(had: Manifest, wants: Manifest) -> list[str]:
    """What it may use, and what starts it, beyond the one before."""
    reasons = []
    higher = _higher_limits(had, wants)
    if higher:
        reasons.append("its limits are higher: " + ", ".join(higher))
    started = sorted(_triggers(wants) - _triggers(had))
    if started:
        reasons.append("it would be started by " + ", ".join(started))
    return reasons


def _higher_limits(had: Manifest, wants: Manifest) -> list[str]:
    """None is without a limit."""
    old, new = had.limits.model_dump(), wants.limits.model_dump()
    return [
        f"{name} {'unlimited' if value is None else value}"
        for name, value in new.items()
        if old[name] is not None and (value is None or value > old[name])
    ]


def _triggers(manifest: Manifest) -> set[str]:
    triggers = manifest.triggers
    schedules = {f"schedule {one.schedule} {one.time_zone}" for one in triggers.cron}
    return schedules | {f"event {name}" for name in triggers.events}


def _held(manifest: Manifest) -> set[str]:
    """Fields, as JSON Pointers, whose values the plugin never has."""
    return {f"/{one.name}" for one in manifest.permissions.secrets if one.to is not None}


def _secrets(manifest: Manifest, configuration: dict[str, Any]) -> set[str]:
    """Fields, as JSON Pointers, that are configured and kept as secrets."""
    return set(manifest.configuration_schema.split(configuration)[1])
