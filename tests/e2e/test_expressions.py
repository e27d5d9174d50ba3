"""Every expression of every panel and rule, asked of the Prometheus that scraped the stack."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import yaml

from ..conftest import ROOT, Stack, eventually

pytestmark = [pytest.mark.stack, pytest.mark.timeout(1200)]

# Not within the name of a record, which is asked for where it is defined.
METRIC = re.compile(r"(?<![\w:])((?:heimnetz|alertmanager|prometheus|process)_[a-z0-9_]+)(?![\w:])")
VARIABLES = {"$__rate_interval": "2m", "$plugin": ".+", "$service": ".+"}
NO_CONNECTION = "the plugin of this test asks for no connection"
NO_LEVEL = "the plugin of this test promises no service level"
IN_DOUBT = "nothing that is installed has lost its approval"
NO_ERROR = "a stack that is well answers nothing with 500"

#: What may have no data where all is well, and why.
EMPTY = {
    "Alerts": "nothing alerts where all is well",
    "Connections by verdict": NO_CONNECTION,
    "Connections of plugins by verdict": NO_CONNECTION,
    "Bytes over the broker": NO_CONNECTION,
    "Requests that the engine proxy refused": "nobody asked the proxy for what it refuses",
    "heimnetz_sandbox_engine_refusals": "nobody asked the proxy for what it refuses",
    "heimnetz_monitor_threat_timestamp_seconds": "no plugin was seen doing what it may not",
    "Installed and no longer approved": IN_DOUBT,
    "heimnetz_registry_installed_in_doubt": IN_DOUBT,
    "Readings of catalogues by outcome": "no catalogue was added",
    "Requests without the right": "nobody was refused within the window",
    "Log-ins by outcome": "the log-in may be older than the window",
    "Secrets masked in logs": "the plugin of this test has no secret",
    "service:heimnetz_http_errors:rate5m": NO_ERROR,
    "heimnetz_monitor_level_burn_rate": NO_LEVEL,
    "heimnetz_monitor_level_bad_runs": NO_LEVEL,
    "Budget left by plugin": NO_LEVEL,
    "Burn rate of plugins": NO_LEVEL,
    "heimnetz_monitor_leak": "it takes hours to tell a leak",
    "heimnetz_monitor_plugin_leak": "it takes hours to tell a leak",
}


def expressions() -> Iterator[tuple[str, str]]:
    """What it belongs to, and PromQL that has data where all is well.

    An alert that does not fire has none: of it, every metric is asked for.
    """
    for path in sorted((ROOT / "deploy/grafana/dashboards").glob("*.json")):
        for panel in json.loads(path.read_text("utf-8"))["panels"]:
            for target in panel.get("targets", ()):
                expr = target["expr"]
                for name, value in VARIABLES.items():
                    expr = expr.replace(name, value)
                yield panel["title"], expr
    for path in sorted((ROOT / "deploy/prometheus/rules").glob("*.yml")):
        for group in yaml.safe_load(path.read_text("utf-8"))["groups"]:
            for rule in group["rules"]:
                if "record" in rule:
                    yield rule["record"], rule["expr"]
                else:
                    yield from ((name, f"count({name})") for name in METRIC.findall(rule["expr"]))


def alerts() -> Iterator[str]:
    for path in sorted((ROOT / "deploy/prometheus/rules").glob("*.yml")):
        for group in yaml.safe_load(path.read_text("utf-8"))["groups"]:
            yield from (rule["expr"] for rule in group["rules"] if "alert" in rule)


def ask(http: httpx.Client, expr: str) -> list[Any]:
    answer = http.get("/prometheus/api/v1/query", params={"query": expr})
    assert answer.status_code == 200, f"{expr}: {answer.text}"
    result: list[Any] = answer.json()["data"]["result"]
    return result


def test_every_expression_has_data_or_a_reason_to_have_none(
    stack: Stack, http: httpx.Client, put_to_use: Callable[..., str]
) -> None:
    plugin = put_to_use("asked", "def run(input, context):\n    return {}\n")
    missing = [item for item in expressions() if item[0] not in EMPTY]

    def is_complete() -> bool:
        # A counter shows an increase from its second sample on: there are runs all the time.
        stack.heimnetz("run", plugin)
        missing[:] = [(name, expr) for name, expr in missing if not ask(http, expr)]
        return not missing

    try:
        eventually(is_complete, within_seconds=150, what="data for every expression")
    except AssertionError as error:
        raise AssertionError(f"without data: {missing}") from error


def test_what_may_be_empty_is_asked_for_and_can_be_asked(http: httpx.Client) -> None:
    known = list(expressions())

    for name, expr in known:
        if name in EMPTY:
            ask(http, expr)

    assert EMPTY.keys() <= {name for name, _ in known}


def test_prometheus_takes_the_expression_of_every_alert(http: httpx.Client) -> None:
    found = [expr for expr in alerts() if ask(http, expr) is not None]

    assert len(found) == len(list(alerts()))
