"""A new container takes the place of the one that serves, without a request that fails."""

from heimnetz_monitor.model import Action, Cause, Remediation
from heimnetz_monitor.remedies.remedy import Neighbours, Remedy


async def apply(neighbours: Neighbours, wanted: Remediation) -> None:
    await neighbours.sandbox.post(f"/v1/services/{wanted.plugin}/recycles")


REMEDY = Remedy(Action.RECYCLE, Cause.LEAK, needs_service=True, apply=apply)
