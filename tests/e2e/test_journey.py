"""The main way through the house: a real plugin, from its directory to its result and its traces."""

import csv
import hashlib
import json
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import pytest

from ..conftest import PROJECT, ROOT, YEAR, Stack, eventually

pytestmark = [pytest.mark.stack, pytest.mark.timeout(1200)]


@pytest.fixture(scope="session")
def published(stack: Stack) -> dict[str, Any]:
    return stack.heimnetz("publish", ROOT / "plugins/energy-report", "--wait", "--json").json()


@pytest.fixture(scope="session")
def year_run(
    stack: Stack, published: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, Any], Path]:
    out = tmp_path_factory.mktemp("charts")
    stack.heimnetz(
        *("install", f"energy-report@{published['version']}", "--yes"),
        *("--config", "price_per_kwh=0.32", "--config", "time_zone=Europe/Berlin"),
    )
    said = stack.heimnetz("run", "energy-report", "--file", YEAR, "--out", out, "--json")
    return said.json(), out


@pytest.fixture(scope="session")
def readings() -> list[tuple[str, Decimal]]:
    with YEAR.open(newline="") as stream:
        return [
            (row["timestamp"], Decimal(row["consumption_kwh"])) for row in csv.DictReader(stream)
        ]


def test_a_first_party_plugin_is_approved_by_its_audit(published: dict[str, Any]) -> None:
    assert published["state"] == "approved"
    assert published["grade"] == "A"
    assert published["verdict"] == "approve"


@pytest.mark.usefixtures("published")
def test_a_first_party_plugin_is_signed_by_the_stack(stack: Stack) -> None:
    assert "by heimnetz, whose key is in use" in stack.heimnetz("show", "energy-report").out


def test_the_audit_offline_is_the_audit_of_the_service(
    stack: Stack, published: dict[str, Any]
) -> None:
    offline = stack.heimnetz("audit", "plugins/energy-report", "--format", "json").out

    assert offline == stack.heimnetz("report", "energy-report", "--static", "--format", "json").out


def test_what_was_published_is_what_is_served(
    http: httpx.Client, published: dict[str, Any]
) -> None:
    answer = http.get(
        f"/api/registry/v1/plugins/energy-report/versions/{published['version']}/package"
    )

    assert hashlib.sha256(answer.content).hexdigest() == published["sha256"]


def test_a_year_of_readings_ends_well(year_run: tuple[dict[str, Any], Path]) -> None:
    run, _ = year_run

    assert (run["outcome"], run["state"]) == ("ok", "finished")
    assert run["result"]["readings"] == 35_040
    assert 0 < run["peak_memory_bytes"] < 128 * 1024 * 1024


def test_the_sums_are_those_of_an_independent_computation(
    year_run: tuple[dict[str, Any], Path], readings: list[tuple[str, Decimal]]
) -> None:
    result = year_run[0]["result"]
    months: dict[str, Decimal] = defaultdict(Decimal)
    for at, kwh in readings:
        months[at[:7]] += kwh

    assert result["total_kwh"] == float(sum(months.values()))
    assert {m["month"]: m["kwh"] for m in result["months"]} == {
        month: float(kwh) for month, kwh in months.items()
    }
    assert result["cost"]["amount"] == float(round(sum(months.values()) * Decimal("0.32"), 2))


def test_peak_and_base_load_are_those_of_an_independent_computation(
    year_run: tuple[dict[str, Any], Path], readings: list[tuple[str, Decimal]]
) -> None:
    result = year_run[0]["result"]
    at, most = max(readings, key=lambda reading: reading[1])
    ranked = sorted(kwh for _, kwh in readings)

    assert result["peak"] == {"at": at, "kw": float(most * 4)}
    assert result["base_load_watts"] == float(ranked[35_040 // 20 - 1] * 4000)


def test_the_days_that_clocks_change_have_23_and_25_hours(
    year_run: tuple[dict[str, Any], Path], readings: list[tuple[str, Decimal]]
) -> None:
    result = year_run[0]["result"]
    days: dict[str, int] = defaultdict(int)
    for at, _ in readings:
        days[at[:10]] += 1
    odd = {day: count for day, count in days.items() if count != 96}

    assert odd == {"2025-03-30": 92, "2025-10-26": 100}
    assert {c["on"]: c["readings"] for c in result["clock_changes"]} == odd
    assert result["missing"] == 0


def test_the_charts_are_kept_and_saved(year_run: tuple[dict[str, Any], Path]) -> None:
    run, out = year_run

    assert sorted(file.name for file in out.iterdir()) == ["months.svg", "profile.svg"]
    for file in run["files"]:
        content = (out / file["name"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == file["sha256"]
        assert ET.fromstring(content).tag.endswith("svg")


def test_its_documentation_is_served_to_everybody(
    stack: Stack, year_run: tuple[dict[str, Any], Path], published: dict[str, Any]
) -> None:
    base = f"/docs/energy-report/{published['version']}/"
    with stack.http() as anybody:
        page = eventually(
            lambda: (a := anybody.get(f"{base}index.html")).is_success and a,
            within_seconds=60,
            what="the page",
        )
        document = anybody.get(f"{base}index.json").json()
        markdown = anybody.get(f"{base}index.md").text
        interface = anybody.get(f"{base}api.html")
        guides = anybody.get("/docs/platform/index.html")

    assert "base load" in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "energy-report" in json.dumps(document)
    assert "price_per_kwh" in markdown
    assert "POST /api/sandbox/v1/plugins/energy-report/runs" in interface.text
    assert guides.is_success


def test_the_run_is_found_in_prometheus(
    http: httpx.Client, year_run: tuple[dict[str, Any], Path]
) -> None:
    query = 'sum(heimnetz_sandbox_runs_total{plugin="energy-report",outcome="ok"})'

    def find() -> list[Any]:
        answer = http.get("/prometheus/api/v1/query", params={"query": query})
        return answer.raise_for_status().json()["data"]["result"]

    found = eventually(find, within_seconds=60, what=query)

    assert float(found[0]["value"][1]) >= 1


def test_the_log_of_the_run_is_read_by_api(
    stack: Stack, http: httpx.Client, year_run: tuple[dict[str, Any], Path]
) -> None:
    run, _ = year_run
    text = http.get(f"/api/sandbox/v1/runs/{run['id']}/logs").text

    assert "35040 readings" in text
    assert stack.heimnetz("logs", run["id"]).out == text
    assert stack.heimnetz("logs", "-f", run["id"]).out == text


def test_one_trace_runs_from_the_gateway_to_the_run_and_its_log(
    stack: Stack, http: httpx.Client, put_to_use: Callable[..., str]
) -> None:
    plugin = put_to_use(
        "traced",
        "def run(input, context):\n    context.log('trace ' + context.trace_id)\n    return {}\n",
    )
    trace = "7" * 31 + "a"

    run = http.post(
        f"/api/sandbox/v1/plugins/{plugin}/runs",
        json={"input": {}},
        headers={"traceparent": f"00-{trace}-{'1' * 16}-01", "Prefer": "wait=30"},
    ).json()

    assert run["outcome"] == "ok"
    assert run["trace_id"] == trace
    assert f"trace {trace}" in http.get(f"/api/sandbox/v1/runs/{run['id']}/logs").text
    assert any(line.get("trace_id") == trace for line in stack.logs("sandbox"))


def test_the_trace_of_publishing_reaches_the_audit_by_event(
    stack: Stack, put_to_use: Callable[..., str]
) -> None:
    plugin = put_to_use("followed", "def run(input, context):\n    return {}\n")

    (audited,) = [
        line
        for line in stack.logs("auditor")
        if line.get("plugin") == plugin and line["event"] == "audited"
    ]

    assert len(audited["trace_id"]) == 32


def test_a_gateway_without_a_trace_makes_one(http: httpx.Client) -> None:
    answer = http.get("/api/registry/v1/me")

    assert len(answer.headers["traceparent"].split("-")[1]) == 32


def test_log_digest_goes_the_same_way(stack: Stack) -> None:
    stack.heimnetz("publish", ROOT / "plugins/log-digest", "--wait")
    stack.heimnetz("install", "log-digest", "--yes")
    log = ROOT / "plugins/log-digest/examples/access.log"

    run = stack.heimnetz("run", "log-digest", "--file", log, "--json").json()

    assert run["outcome"] == "ok"
    assert run["result"]["lines"] == len(log.read_text().splitlines())
    assert [file["name"] for file in run["files"]] == ["digest.md"]


def test_a_mistake_in_the_readings_ends_the_run_with_its_reason(
    stack: Stack, year_run: tuple[dict[str, Any], Path], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.csv"
    broken.write_text("timestamp;kwh\nyesterday;much\n")

    said = stack.heimnetz("run", "energy-report", "--file", broken, check=False)

    assert said.code == 1
    assert "error" in said.err
    assert "line 2" in said.err


def test_status_names_every_service_and_finds_all_well(stack: Stack) -> None:
    def well() -> dict[str, Any] | None:
        said = stack.heimnetz("status", "--json", check=False)
        return said.json() if said.code == 0 else None

    document = eventually(well, within_seconds=60, what="every service up")

    assert {service["service"] for service in document["services"]} >= {
        "registry",
        "auditor",
        "sandbox",
        "monitor",
        "docs-gen",
    }


def test_the_owner_account_is_made_once_and_opens_the_graphs(stack: Stack, tmp_path: Path) -> None:
    secret = stack.call(
        *("docker", "compose", "exec", "-T", "registry"),
        *("cat", "/run/heimnetz/secrets/setup-token"),
    ).out.strip()
    body = {"setup_token": secret, "name": "owner", "password": "correct horse battery"}
    with stack.http() as anybody:
        wrong = anybody.post("/api/registry/v1/setup", json={**body, "setup_token": "guess"})
        first = anybody.post("/api/registry/v1/setup", json=body)
        again = anybody.post("/api/registry/v1/setup", json=body)
        graphs = anybody.get(
            "/prometheus/api/v1/query?query=up", auth=("owner", "correct horse battery")
        )

    # A stack that was kept has its owner already.
    assert first.status_code in (201, 409)
    assert again.status_code == 409
    assert wrong.status_code in (401, 403, 409)
    assert graphs.status_code == 200


def test_only_the_gateway_publishes_ports(stack: Stack) -> None:
    shown = stack.call(
        *("docker", "ps", "--filter", f"label=com.docker.compose.project={PROJECT}"),
        *("--format", '{{.Label "com.docker.compose.service"}}\t{{.Ports}}'),
    ).out
    ports = dict(line.split("\t") for line in shown.splitlines())

    assert {service for service, ports in ports.items() if "->" in ports} == {"gateway"}
    assert len(ports) > 10


def test_a_second_start_changes_nothing_and_takes_seconds(stack: Stack) -> None:
    before = datetime.now().astimezone()

    stack.call("docker", "compose", "up", "--detach", "--wait")

    assert (datetime.now().astimezone() - before).total_seconds() < 60
    assert stack.heimnetz("whoami").code == 0
