"""What can be done about a plugin: each remedy says for what, and does it.

The order is that in which they are tried for one cause.
"""

from heimnetz_monitor.remedies import (
    dropping,
    quarantining,
    raising,
    recycling,
    restarting,
    rolling_back,
)
from heimnetz_monitor.remedies.remedy import Neighbours, Remedy

ALL: tuple[Remedy, ...] = (
    dropping.REMEDY,
    recycling.REMEDY,
    raising.REMEDY,
    restarting.REMEDY,
    rolling_back.REMEDY,
    quarantining.REMEDY,
)
BY_ACTION = {remedy.action: remedy for remedy in ALL}

__all__ = ["ALL", "BY_ACTION", "Neighbours", "Remedy"]
