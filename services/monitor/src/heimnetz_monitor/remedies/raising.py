"""The plugin may use more memory, within the owner's bound, until its installation changes."""

from heimnetz_monitor.model import Action, Cause, Remediation
from heimnetz_monitor.remedies.remedy import Neighbours, Remedy


async def apply(neighbours: Neighbours, wanted: Remediation) -> None:
    body = {"memory_bytes": wanted.limit_bytes}
    await neighbours.sandbox.put(f"/v1/plugins/{wanted.plugin}/memory-limit", body)


REMEDY = Remedy(Action.RAISE_MEMORY, Cause.LEAK, needs_service=False, apply=apply)
