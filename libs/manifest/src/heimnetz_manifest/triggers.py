"""What starts a run."""

from __future__ import annotations

import re
import zoneinfo
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Literal

from annotated_types import Le
from cronsim import CronSim, CronSimError
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from heimnetz_manifest.errors import shown
from heimnetz_manifest.permissions import EventType
from heimnetz_manifest.values import Boolean, Integer, JsonObject, Seconds, refuse

# What a plugin may react to of what the platform itself announces.
PLATFORM_EVENTS = (
    "heimnetz.alert.raised.v1",
    "heimnetz.alert.resolved.v1",
    "heimnetz.leak.suspected.v1",
    "heimnetz.run.finished.v1",
)
_CRON = re.compile(r"[0-9A-Za-z*/,#-]+(?: [0-9A-Za-z*/,#-]+){4}\Z")


@lru_cache(maxsize=1)
def time_zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


def _schedule(value: str) -> str:
    # Five fields have a minute's resolution, so nothing runs more often than every 60 s.
    if not _CRON.match(value):
        raise refuse(
            "manifest-invalid-cron",
            f"{shown(value)!r} is not five fields (minute hour day month weekday)",
        )
    try:
        next(CronSim(value, datetime(2026, 1, 1)))  # noqa: DTZ001 -- only whether it ever comes
    except CronSimError as error:
        raise refuse("manifest-invalid-cron", f"{shown(value)!r}: {shown(str(error))}") from error
    except StopIteration as error:
        raise refuse("manifest-invalid-cron", f"{shown(value)!r} never comes") from error
    return value


def _time_zone(value: str) -> str:
    if value not in time_zones():
        raise refuse(
            "manifest-invalid-time-zone", f"{shown(value)!r} is not a time zone like Europe/Berlin"
        )
    return value


def _heard(value: str) -> str:
    if value.startswith("heimnetz.") and value not in PLATFORM_EVENTS:
        raise refuse(
            "manifest-invalid-event",
            f"{shown(value)!r} starts no run; of the platform's own these do: "
            + ", ".join(PLATFORM_EVENTS),
        )
    return value


class CronTrigger(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    schedule: Annotated[str, StringConstraints(max_length=100), AfterValidator(_schedule)] = Field(
        description="Five cron fields, as Debian's cron reads them"
    )
    time_zone: Annotated[str, StringConstraints(max_length=64), AfterValidator(_time_zone)] = Field(
        "UTC", description="Name of the IANA time zone in which the schedule is meant"
    )
    input: JsonObject = Field(default_factory=dict, description="Input of the runs that it starts")
    jitter: Annotated[Seconds, Le(3600)] = Field(
        0.0, description="Each run starts up to so much later, so that not all start at once"
    )
    overlap: Literal["allow", "skip"] = Field(
        "allow", description="What happens when the last run of a schedule is not over yet"
    )
    missed: Literal["run", "skip"] = Field(
        "run", description="What happens to a time at which the machine was off for a moment"
    )


class Triggers(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    http: Boolean = Field(default=True, description="Whether it can be called over HTTP")
    cron: list[CronTrigger] = Field(default_factory=list, max_length=16)
    events: list[Annotated[EventType, AfterValidator(_heard)]] = Field(
        default_factory=list, max_length=16, description="Events that start a run"
    )
    retries: Annotated[Integer, Le(5)] = Field(
        0, description="How often a run that failed is tried again, when no person asked for it"
    )
