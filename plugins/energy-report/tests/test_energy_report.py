import contextlib
import csv
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET
from zoneinfo import ZoneInfo

import pytest
from energy_report.main import run
from energy_report.model import ReadingsError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parents[1]
YEAR = ROOT / "examples" / "year.csv"
BERLIN = ZoneInfo("Europe/Berlin")


@dataclass
class Context:
    """The runner's context over a folder; the whole contract that a plugin sees."""

    out: Path
    files: dict[str, Path]
    config: dict[str, Any] = field(default_factory=dict)
    run_id: str = "r"
    trace_id: str = "0" * 32
    lines: list[str] = field(default_factory=list)

    def log(self, message: str, /) -> None:
        self.lines.append(message)


Report = Callable[..., dict[str, Any]]


@pytest.fixture
def report(tmp_path: Path) -> Report:
    def of(
        *texts: str | bytes, given: dict[str, Any] | None = None, **config: Any
    ) -> dict[str, Any]:
        files = {}
        for number, text in enumerate(texts):
            path = tmp_path / f"{number}.csv"
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
            files[path.name] = path
        return run(given or {}, Context(tmp_path, files, {"max_bad_rows_percent": 60, **config}))

    return of


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    out = tmp_path_factory.mktemp("out")
    config = {"time_zone": "Europe/Berlin", "price_per_kwh": 0.32}
    return run({}, Context(out, {"year.csv": YEAR}, config)), out


def quarters(count: int, start: str = "2025-01-01T00:00:00+01:00", value: str = "0.25") -> str:
    first = datetime.fromisoformat(start)
    rows = [f"{(first + n * timedelta(minutes=15)).isoformat()},{value}" for n in range(count)]
    return "timestamp,kwh\n" + "\n".join(rows) + "\n"


class Independent:
    """The same numbers another way: decimal arithmetic on the text, the local date as written."""

    def __init__(self) -> None:
        self.by_month: dict[str, Decimal] = defaultdict(Decimal)
        self.by_day: dict[str, Decimal] = defaultdict(Decimal)
        self.hours: dict[tuple[bool, str], list[Decimal]] = defaultdict(list)
        self.peak = ("", Decimal(-1))
        with YEAR.open(newline="") as stream:
            for row in csv.DictReader(stream):
                at, kwh = row["timestamp"], Decimal(row["consumption_kwh"])
                self.by_month[at[:7]] += kwh
                self.by_day[at[:10]] += kwh
                is_weekend = date.fromisoformat(at[:10]).strftime("%a") in {"Sat", "Sun"}
                self.hours[is_weekend, at[11:13]].append(kwh)
                if kwh > self.peak[1]:
                    self.peak = (at, kwh)

    @staticmethod
    def rounded(value: Decimal) -> float:
        return float(value.quantize(Decimal("0.001"), ROUND_HALF_EVEN))


@pytest.fixture(scope="module")
def independent() -> Independent:
    return Independent()


def test_the_year_is_a_whole_one(year: tuple[dict[str, Any], Path]) -> None:
    found, _ = year

    assert found["readings"] == 35_040
    assert (found["missing"], found["duplicates"], found["bad_rows"]["count"]) == (0, 0, 0)
    assert found["interval_minutes"] == 15
    assert found["first"] == "2025-01-01T00:00:00+01:00"
    assert found["last"] == "2026-01-01T00:00:00+01:00"


def test_the_sums_of_the_year_are_those_of_another_computation(
    year: tuple[dict[str, Any], Path], independent: Independent
) -> None:
    found, _ = year

    assert found["total_kwh"] == independent.rounded(sum(independent.by_month.values(), Decimal()))
    assert {m["month"]: m["kwh"] for m in found["months"]} == {
        month: independent.rounded(kwh) for month, kwh in independent.by_month.items()
    }
    highest = max(independent.by_day, key=independent.by_day.__getitem__)
    assert found["highest_day"] == {
        "on": highest,
        "kwh": independent.rounded(independent.by_day[highest]),
    }


def test_peak_profile_and_cost_are_those_of_another_computation(
    year: tuple[dict[str, Any], Path], independent: Independent
) -> None:
    found, _ = year

    at, kwh = independent.peak
    assert found["peak"] == {"at": at, "kw": independent.rounded(kwh * 4)}
    for hour in range(24):
        values = independent.hours[True, f"{hour:02}"]
        mean = sum(values, Decimal()) / len(values) * 4
        assert found["mean_kw_by_hour"]["weekend"][hour] == pytest.approx(float(mean), abs=6e-4)
    assert found["cost"]["amount"] == pytest.approx(found["total_kwh"] * 0.32, abs=0.01)


def test_days_of_23_and_25_hours_are_whole_days(year: tuple[dict[str, Any], Path]) -> None:
    found, _ = year

    assert found["clock_changes"] == [
        {"on": "2025-03-30", "hours": 23, "readings": 92},
        {"on": "2025-10-26", "hours": 25, "readings": 100},
    ]


def test_local_times_without_offset_give_the_same_report(
    report: Report, year: tuple[dict[str, Any], Path]
) -> None:
    naive = re.sub(r"[+]0[12]:00,", ",", YEAR.read_text())

    found = report(naive, price_per_kwh=0.32)

    expected, _ = year
    assert found == expected


def test_utc_times_give_the_same_report(report: Report, year: tuple[dict[str, Any], Path]) -> None:
    rows = [line.split(",") for line in YEAR.read_text().splitlines()[1:]]
    utc = "\n".join(
        f"{datetime.fromisoformat(at).astimezone(UTC):%Y-%m-%dT%H:%M:%SZ},{kwh}" for at, kwh in rows
    )

    found = report("timestamp,kwh\n" + utc, price_per_kwh=0.32)

    expected, _ = year
    assert found == expected


def test_another_zone_moves_the_days_and_not_the_energy(
    report: Report, year: tuple[dict[str, Any], Path]
) -> None:
    found = report(YEAR.read_bytes(), time_zone="America/New_York")

    assert found["total_kwh"] == year[0]["total_kwh"]
    assert found["months"][0]["month"] == "2024-12"
    assert [change["on"] for change in found["clock_changes"]] == ["2025-03-09", "2025-11-02"]


def test_the_charts_are_self_contained_pictures(year: tuple[dict[str, Any], Path]) -> None:
    found, out = year

    for name in found["charts"]:
        text = (out / name).read_text()
        assert ET.fromstring(text).tag.endswith("svg")
        assert "<script" not in text
        assert not re.search(r"(href|src)\s*=\s*[\"']https?:", text)
        assert "@import" not in text


def test_the_same_readings_draw_the_same_bytes(
    tmp_path: Path, year: tuple[dict[str, Any], Path]
) -> None:
    _, out = year

    run({}, Context(tmp_path, {"year.csv": YEAR}))

    for name in ("months.svg", "profile.svg"):
        assert (tmp_path / name).read_bytes() == (out / name).read_bytes()


def test_the_year_fits_into_its_limits(tmp_path: Path) -> None:
    code = (
        "import sys, time, pathlib; sys.path.insert(0, sys.argv[1]);"
        "from energy_report.main import run\n"
        "class C: out = pathlib.Path(sys.argv[3]); files = {'year.csv': pathlib.Path(sys.argv[2])};"
        " config = {}; log = staticmethod(lambda m: None)\n"
        "run({}, C); status = pathlib.Path('/proc/self/status').read_text();"
        "print(status.split('VmHWM:')[1].split()[0], time.process_time())"
    )
    command = [sys.executable, "-c", code, str(ROOT / "src"), str(YEAR), str(tmp_path)]

    shown = subprocess.run(command, capture_output=True, check=True, text=True)

    kibibytes, cpu_seconds = shown.stdout.split()
    assert int(kibibytes) < 100 * 1024
    assert float(cpu_seconds) < 10  # of 30 s wall at one CPU


def test_the_example_is_what_its_script_writes(tmp_path: Path) -> None:
    script = tmp_path / "make_year.py"
    script.write_bytes((ROOT / "examples" / "make_year.py").read_bytes())

    subprocess.run([sys.executable, str(script)], check=True)

    assert (tmp_path / "year.csv").read_bytes() == YEAR.read_bytes()


@pytest.mark.parametrize(
    "text",
    [
        "Datum;Uhrzeit;Verbrauch (kWh);Status\n01.03.2025;00:00;0,250;W\n01.03.2025;00:15;0,250;W\n",
        "Zeitstempel;Verbrauch in kWh\n01.03.2025 00:00;0,25\n01.03.2025 00:15;0,25\n",
        "\ufeffTimestamp\tEnergy [Wh]\n2025-03-01 00:00\t250\n2025-03-01 00:15\t250\n",
        "Kunde;4711\nZähler;1EMH00\n\nVon;Bis;Leistung kW\n"
        "2025-03-01 00:00;2025-03-01 00:15;1\n2025-03-01 00:15;2025-03-01 00:30;1\n",
        "1740783600,0.25\n1740784500,0.25\n",
        '"time","value"\n"2025-03-01T00:00+01:00","0.25"\n"2025-03-01T00:15+01:00","0.25"\n',
        "2025/3/1 00:00|0.25\n2025/3/1 00:15|0.25\n",
        "01.03.25 00:00;0,25\r\n01.03.25 00:15;0,25\r\n",
        'timestamp,W\n2025-03-01 00:00,"1,000"\n2025-03-01 00:15,1000.0\n',
    ],
)
def test_the_usual_forms_are_recognised(report: Report, text: str) -> None:
    found = report(text)

    assert found["total_kwh"] == 0.5
    assert found["first"] == "2025-03-01T00:00:00+01:00"
    assert found["interval_minutes"] == 15


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_the_usual_encodings_are_recognised(report: Report, encoding: str) -> None:
    text = "Zähler;x\nZeitpunkt;Zählerstand kWh\n01.03.2025 00:00;1\n01.03.2025 00:15;1\n"

    assert report(text.encode(encoding))["readings"] == 2


def test_counter_readings_become_differences(report: Report) -> None:
    rows = "\n".join(f"2025-01-01 {n:02}:00;{1000 + n * 0.5:.1f}" for n in range(24))

    found = report("Zeitpunkt;Zählerstand kWh\n" + rows)

    assert found["readings_are"] == "counter"
    assert (found["readings"], found["total_kwh"]) == (23, 11.5)


def test_a_replaced_meter_is_noted_with_its_line(report: Report) -> None:
    rows = [f"2025-01-01 {n:02}:00;{1000 + n if n < 20 else n}" for n in range(24)]

    found = report("Zeitpunkt;kWh\n" + "\n".join(rows), readings="counter")

    (row,) = found["bad_rows"]["first"]
    assert (row["line"], row["reason"]) == (22, "the counter went back")
    assert found["total_kwh"] == 22


def test_timestamps_that_mark_the_end_are_moved(report: Report) -> None:
    text = "timestamp;kwh\n01.01.2025 00:15;1\n01.01.2025 24:00;1\n02.01.2025 00:15;1\n"

    found = report(text, timestamp_marks="end")

    assert found["first"] == "2025-01-01T00:00:00+01:00"
    assert found["days"] == 2


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("2025-01-01T03:00:00+01:00,", "missing"),
        ("2025-01-01T03:00:00+01:00,abc", "not a number"),
        ("2025-01-01T03:00:00+01:00,nan", "not a number"),
        ("2025-01-01T03:00:00+01:00,inf", "not a number"),
        ("2025-01-01T03:00:00+01:00,-1", "negative"),
        ("2025-01-01T03:00:00+01:00", "too few"),
        ("2025-13-45,1", "not understood"),
        (",1", "missing"),
        ("0001-01-01T00:00,1", "cannot be right"),
        ("2025-03-30T02:30:00,1", "skipped"),
        ("\x00\x01,1", "not understood"),
        ('"2025-01-01,1', "not understood"),
    ],
)
def test_a_bad_row_is_named_with_its_line_and_the_rest_counts(
    report: Report, row: str, reason: str
) -> None:
    lines = quarters(8).splitlines()
    lines.insert(5, row)

    found = report("\n".join(lines))

    (bad,) = found["bad_rows"]["first"]
    assert (bad["line"], bad["file"]) == (6, "0.csv")
    assert reason in bad["reason"] or reason == "not understood"
    assert found["readings"] == 8


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("\n \n", "is empty"),
        ("timestamp,kwh\n", "no readings"),
        ("just words\nand more\n", "no columns"),
        ("a,b\n1,2\n", "recognised"),
        (b"\x89PNG\r\n\x1a\n" + b"\x00" * 100, "no text file"),
        ("timestamp,kwh\n2025-01-01,1\n", "at least two"),
        ("timestamp,kwh\nx,1\ny,2\n", "cannot be used"),
        ("timestamp,kwh\n2025-01-01,1\n2025-02-01,1\n", "apart"),
    ],
)
def test_a_file_that_makes_no_sense_ends_the_run_with_the_reason(
    report: Report, text: str | bytes, message: str
) -> None:
    with pytest.raises(ReadingsError, match=message):
        report(text)


def test_no_file_ends_the_run_with_the_reason(report: Report) -> None:
    with pytest.raises(ReadingsError, match="no file"):
        report()


def test_an_unknown_zone_ends_the_run_with_the_reason(report: Report) -> None:
    with pytest.raises(ReadingsError, match="Mars"):
        report(quarters(4), time_zone="Mars/Olympus")


def test_too_many_bad_rows_end_the_run(report: Report) -> None:
    with pytest.raises(ReadingsError, match="line 10"):
        report(quarters(8) + "x,y\nz\n", max_bad_rows_percent=10)


def test_gaps_and_repetitions_are_counted(report: Report) -> None:
    lines = quarters(20).splitlines()
    del lines[5:8]

    found = report("\n".join([*lines, lines[-1]]))

    assert (found["readings"], found["missing"], found["duplicates"]) == (17, 3, 1)
    assert found["gaps"] == [
        {"from": "2025-01-01T01:00:00+01:00", "to": "2025-01-01T01:45:00+01:00"}
    ]


def test_several_files_are_one_series_whatever_their_order(report: Report) -> None:
    found = report(
        quarters(96, "2025-01-02T00:00:00+01:00"), quarters(96, "2025-01-01T00:00:00+01:00")
    )

    assert (found["days"], found["missing"], found["total_kwh"]) == (2, 0, 48.0)


def test_a_period_is_narrowed_to_local_days(report: Report) -> None:
    found = report(YEAR.read_bytes(), given={"from": "2025-03-30", "to": "2025-03-30"})

    assert (found["readings"], found["days"]) == (92, 1)


def test_a_bad_period_is_named(report: Report) -> None:
    with pytest.raises(ReadingsError, match="from"):
        report(quarters(4), given={"from": "yesterday"})


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.one_of(st.binary(max_size=400), st.text(max_size=400).map(str.encode)))
def test_no_bytes_make_it_fail_without_a_reason(report: Report, data: bytes) -> None:
    with contextlib.suppress(ReadingsError):
        assert report(data)["readings"] > 0


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.text(alphabet="0123456789-:T,.;+ x\n", max_size=40), max_size=12))
def test_no_rows_make_it_fail_without_a_reason(report: Report, rows: list[str]) -> None:
    with contextlib.suppress(ReadingsError):
        assert (
            report("timestamp;kwh\n2025-01-01T00:00;1\n2025-01-01T01:00;1\n" + "\n".join(rows))[
                "readings"
            ]
            > 0
        )
