"""The version is put into quarantine: its runs are stopped, and new ones are refused."""

from heimnetz_monitor.model import Action, Cause, Remediation
from heimnetz_monitor.remedies.remedy import Neighbours, Remedy


async def apply(neighbours: Neighbours, wanted: Remediation) -> None:
    body = {"state": "quarantined", "reason": wanted.reason}
    path = f"/v1/plugins/{wanted.plugin}/versions/{wanted.version}/state"
    await neighbours.registry.post(path, body)


REMEDY = Remedy(Action.QUARANTINE, Cause.THREAT, needs_service=False, apply=apply)
