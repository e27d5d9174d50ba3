"""Lets go of what is old, so that the history does not fill the disk."""

from datetime import timedelta

from heimnetz_common.database import Database
from heimnetz_common.logs import get_logger
from heimnetz_monitor import store
from heimnetz_monitor.levels import KEPT

log = get_logger(__name__)


async def purge(database: Database, history: timedelta, samples: timedelta) -> None:
    """Totals stay: only single runs, alerts that are over, and samples go."""
    async with database.transaction() as connection:
        gone = {
            "runs": await store.purge_runs(connection, history),
            "alerts": await store.purge_alerts(connection, history),
            "threats": await store.purge_threats(connection, history),
            "remediations": await store.purge_remediations(connection, history),
            "samples": await store.purge_samples(connection, samples),
            "tallies": sum(
                [await store.purge_tallies(connection, grain, age) for grain, age in KEPT.items()]
            ),
        }
    log.info("purged", **gone)
