"""The plugin gives back what it does not need, where its author foresaw that."""

from heimnetz_monitor.model import Action, Cause, Remediation
from heimnetz_monitor.remedies.remedy import Neighbours, Remedy


async def apply(neighbours: Neighbours, wanted: Remediation) -> None:
    await neighbours.sandbox.post(f"/v1/services/{wanted.plugin}/cache-drops")


REMEDY = Remedy(Action.DROP_CACHES, Cause.LEAK, needs_service=True, apply=apply)
