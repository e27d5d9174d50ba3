"""The version from before the last update takes the place of the installed one."""

from heimnetz_monitor.model import Action, Cause, Remediation
from heimnetz_monitor.remedies.remedy import Neighbours, Remedy


async def apply(neighbours: Neighbours, wanted: Remediation) -> None:
    body = {"version": wanted.version, "reason": wanted.reason}
    await neighbours.registry.post(f"/v1/installations/{wanted.plugin}/rollback", body)


REMEDY = Remedy(Action.ROLL_BACK, Cause.LEAK, needs_service=False, apply=apply)
