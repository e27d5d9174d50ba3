"""The plugin's entry point."""

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from energy_report.charts import draw_months, draw_profile
from energy_report.measuring import Series, Statistics, to_series
from energy_report.model import BadRows, Readings, ReadingsError
from energy_report.reading import Settings, read

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from heimnetz_sdk.plugin import Context

MONTHS_CHART = "months.svg"
PROFILE_CHART = "profile.svg"


def run(input: Mapping[str, Any], context: "Context") -> dict[str, Any]:  # noqa: A002
    """Read every file that came with the run as one series, and report on it.

    Input: `from` and `to` (dates, both included) narrow the period.
    """
    config = context.config
    settings = Settings.of(config)
    readings = Readings()
    if not context.files:
        raise ReadingsError("no file came with the run; send at least one CSV file")
    for name in sorted(context.files):
        read(context.files[name], name, settings, readings)
        context.log(f"{name}: {len(readings)} readings so far, {readings.bad_rows.count} bad rows")
    _refuse_too_bad(readings, float(config.get("max_bad_rows_percent", 10)))
    series = to_series(
        readings,
        kind=str(config.get("readings") or "auto"),
        unit=str(config.get("unit") or "auto"),
        is_marked_at_end=config.get("timestamp_marks") == "end",
    )
    series = _narrow(series, input, settings.zone)
    statistics = Statistics(series, settings.zone)
    report = statistics.report()
    _add_costs(report, config)
    report["bad_rows"] = _bad_rows(readings.bad_rows)
    draw_months(report["months"], statistics.total_kwh, context.out / MONTHS_CHART)
    draw_profile(
        statistics.profile(is_weekend=False),
        statistics.profile(is_weekend=True),
        context.out / PROFILE_CHART,
    )
    report["charts"] = [MONTHS_CHART, PROFILE_CHART]
    context.log(f"{report['total_kwh']} kWh in {report['days']} days")
    return report


def _refuse_too_bad(readings: Readings, percent: float) -> None:
    bad = readings.bad_rows
    rows = len(readings) + bad.count
    if rows == 0:
        raise ReadingsError("the files hold a header and no readings")
    if bad.count * 100 > percent * rows:
        raise ReadingsError(
            f"{bad.count} of {rows} rows cannot be used, more than {percent:g} %; the first: "
            + "; ".join(str(row) for row in bad.first[:3])
        )


def _narrow(series: Series, given: Mapping[str, Any], zone: "ZoneInfo") -> Series:
    first, last = (_day(given, key) for key in ("from", "to"))
    if first is None and last is None:
        return series
    start = -(2**62) if first is None else int(_midnight(first, zone))
    end = 2**62 if last is None else int(_midnight(last + timedelta(days=1), zone))
    kept = [i for i, second in enumerate(series.starts) if start <= second < end]
    if not kept:
        raise ReadingsError("there are no readings in the period asked for")
    low, high = kept[0], kept[-1] + 1
    narrowed = Series(
        series.starts[low:high],
        series.kwh[low:high],
        series.interval_seconds,
        series.kind,
        series.duplicates,
        0,
        [gap for gap in series.gaps if start <= gap[0] and gap[1] <= end],
    )
    covered = (narrowed.starts[-1] - narrowed.starts[0]) // series.interval_seconds + 1
    narrowed.missing = max(covered - len(narrowed), 0)
    return narrowed


def _day(given: Mapping[str, Any], key: str) -> date | None:
    value = given.get(key)
    if value is None:
        return None
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        raise ReadingsError(f"input {key!r}: {value!r} is no date such as 2025-03-31") from None


def _midnight(day: date, zone: "ZoneInfo") -> float:
    return datetime.combine(day, time(), zone).timestamp()


def _add_costs(report: dict[str, Any], config: Mapping[str, Any]) -> None:
    price = config.get("price_per_kwh")
    if price is None:
        return
    currency = str(config.get("currency") or "EUR")
    report["cost"] = {"amount": round(report["total_kwh"] * float(price), 2), "currency": currency}
    base = report["base_load_watts"] / 1000 * 24 * 365 * float(price)
    report["base_load_cost_per_year"] = {"amount": round(base, 2), "currency": currency}


def _bad_rows(bad: BadRows) -> dict[str, Any]:
    return {
        "count": bad.count,
        "first": [
            {"file": row.file, "line": row.line, "reason": row.reason, "text": row.text}
            for row in bad.first
        ],
    }
