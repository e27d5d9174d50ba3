"""The container that serves ends, and another begins; what it was answering is lost."""

from heimnetz_monitor.model import Action, Cause, Remediation
from heimnetz_monitor.remedies.remedy import Neighbours, Remedy


async def apply(neighbours: Neighbours, wanted: Remediation) -> None:
    await neighbours.sandbox.post(f"/v1/services/{wanted.plugin}/restarts")


REMEDY = Remedy(Action.RESTART, Cause.LEAK, needs_service=True, apply=apply)
