"""Writes year.csv: a three-person home in Berlin, 2025, every quarter of an hour.

The same seed gives the same bytes on every Python: only `Random.random` is used, whose sequence
the language guarantees.
"""

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

YEAR = 2025
ZONE = ZoneInfo("Europe/Berlin")
STEP = timedelta(minutes=15)


def main() -> None:
    random = Random(20251026)  # noqa: S311 - an example, no secret
    lines = ["timestamp,consumption_kwh"]
    moment = datetime(YEAR, 1, 1, tzinfo=ZONE).astimezone(UTC)
    end = datetime(YEAR + 1, 1, 1, tzinfo=ZONE).astimezone(UTC)
    washing = 0
    while moment < end:
        local = moment.astimezone(ZONE)
        if washing == 0 and 8 <= local.hour < 20 and random.random() < 0.012:
            washing = 6
        kilowatts = power(local, random) + (1.1 if washing > 3 else 0.3 if washing else 0.0)
        washing = max(washing - 1, 0)
        lines.append(f"{local.isoformat()},{kilowatts / 4:.3f}")
        moment += STEP
    Path(__file__).with_name("year.csv").write_text("\n".join(lines) + "\n", encoding="ascii")


def power(local: datetime, random: Random) -> float:
    """Kilowatts: stand-by, fridge, mornings, evenings and weekends, light in winter, a holiday."""
    hour = local.hour + local.minute / 60
    winter = math.cos(2 * math.pi * (local.timetuple().tm_yday - 15) / 365)
    base = 0.11 + (0.09 if random.random() < 0.35 else 0.0)
    if datetime(YEAR, 7, 19).date() <= local.date() <= datetime(YEAR, 8, 2).date():  # noqa: DTZ001
        return base
    morning = 0.45 * math.exp(-((hour - 7.2) ** 2) / 0.8)
    noon = (0.55 if local.weekday() >= 5 else 0.12) * math.exp(-((hour - 12.5) ** 2) / 2.0)
    evening = (0.75 + 0.3 * winter) * math.exp(-((hour - 19.3) ** 2) / 3.5)
    return base + (morning + noon + evening) * (0.6 + 0.8 * random.random())


if __name__ == "__main__":
    main()
