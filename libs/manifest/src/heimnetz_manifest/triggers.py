"""What starts a run."""

from __future__ import annotations

import re
import zoneinfo
from datetime import datetime
from functools import lru_cache
from typing import Annotated

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from heimnetz_manifest.errors import shown
from heimnetz_manifest.permissions import EventType
from heimnetz_manifest.values import Boolean, JsonObject, refuse

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


class CronTrigger(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    schedule: Annotated[str, StringConstraints(max_length=100), AfterValidator(_schedule)] = Field(
        description="Five cron fields, as Debian's cron reads them"
    )
    time_zone: Annotated[str, StringConstraints(max_length=64), AfterValidator(_time_zone)] = Field(
        "UTC", description="Name of the IANA time zone in which the schedule is meant"
    )
    input: JsonObject = Field(default_factory=dict, description="Input of the runs that it starts")


class Triggers(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    http: Boolean = Field(default=True, description="Whether it can be called over HTTP")
    cron: list[CronTrigger] = Field(default_factory=list, max_length=16)
    events: list[EventType] = Field(
        default_factory=list, max_length=16, description="Events that start a run"
    )
