"""The shape of a remedy."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from heimnetz_common.http import ServiceClient
from heimnetz_monitor.model import Action, Cause, Remediation, Trouble


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Who carries it out."""

    registry: ServiceClient
    sandbox: ServiceClient


@dataclass(frozen=True, slots=True)
class Remedy:
    """`apply` raises what the neighbour answered, a HeimnetzError."""

    action: Action
    cause: Cause
    needs_service: bool
    apply: Callable[[Neighbours, Remediation], Awaitable[None]]

    def fits(self, trouble: Trouble) -> bool:
        return trouble.cause is self.cause and (trouble.is_service or not self.needs_service)
