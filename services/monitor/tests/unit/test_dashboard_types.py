"""The dashboards against Grafana's own types, as `@grafana/schema` has them."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

GRAFANA = Path(__file__).parents[4] / "deploy" / "grafana"
COMMITTED = sorted((GRAFANA / "dashboards").glob("*.json"))
SCHEMAS = {
    path.stem: Draft7Validator(json.loads(path.read_text("utf-8")))
    for path in (GRAFANA / "schemas").glob("*.json")
}


def complaints(dashboard: dict[str, Any]) -> list[str]:
    found = [_worded("dashboard", error) for error in SCHEMAS["dashboard"].iter_errors(dashboard)]
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            continue
        checked = {
            "options": panel.get("options", {}),
            "custom": panel["fieldConfig"]["defaults"].get("custom", {}),
        }
        errors = SCHEMAS[panel["type"].replace("-", "")].iter_errors(checked)
        found += [_worded(panel["title"], error) for error in errors]
    return found


def _worded(where: str, error: Any) -> str:
    return f"{where}: {error.json_path}: {error.message[:200]}"


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_a_dashboard_has_the_types_that_grafana_reads(path: Path) -> None:
    assert complaints(json.loads(path.read_text("utf-8"))) == []


#: Where in a dashboard, and what is put there; `*` is the first panel of lines.
FAULTS = {
    "a misspelt option": (("*", "options", "legnd"), {}),
    "an option of another type": (("*", "options", "tooltip"), "multi"),
    "a mode that does not exist": (("*", "options", "legend", "displayMode"), "tabel"),
    "a style that does not exist": (
        ("*", "fieldConfig", "defaults", "custom", "drawStyle"),
        "dots",
    ),
    "a time that is no text": (("time", "from"), 5),
    "a cursor mode that does not exist": (("graphTooltip",), 7),
    "a key that does not exist": (("panles",), []),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_a_dashboard_is_noticed(fault: str) -> None:
    broken = json.loads((GRAFANA / "dashboards" / "platform.json").read_text("utf-8"))
    panel = next(item for item in broken["panels"] if item["type"] == "timeseries")
    (*path, last), value = FAULTS[fault]
    place = broken
    for step in path:
        place = panel if step == "*" else place.setdefault(step, {})

    place[last] = value

    assert complaints(broken)
