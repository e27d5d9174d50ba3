"""The committed dashboards: what a linter can see without a Grafana."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest

GRAFANA = Path(__file__).parents[4] / "deploy" / "grafana"
COMMITTED = sorted((GRAFANA / "dashboards").glob("*.json"))
BUILT_IN = {"__rate_interval", "__interval", "__range", "__url_time_range", "__all"}
VARIABLE = re.compile(r"\$\{?(\w+)")
FUNCTIONS_OVER_COUNTERS = re.compile(r"\b(rate|increase|irate|resets)\(")

Document = dict[str, Any]


def _load(path: Path) -> Document:
    document: Document = json.loads(path.read_text("utf-8"))
    return document


DASHBOARDS = [pytest.param(_load(path), id=path.stem) for path in COMMITTED]
every_dashboard = pytest.mark.parametrize("dashboard", DASHBOARDS)


def _panels(dashboard: Document) -> list[Document]:
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def _expressions(dashboard: Document) -> Iterator[tuple[str, str]]:
    for panel in _panels(dashboard):
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


def _filled(expr: str) -> str:
    return VARIABLE.sub("x", expr.replace("$__rate_interval", "1m"))


def _selectors(node: Any) -> Iterator[Any]:
    """Every vector selector below a PromQL node."""
    if isinstance(node, promql_parser.VectorSelector):
        yield node
    for name in ("expr", "lhs", "rhs", "vector_selector", "vs", "param"):
        child = getattr(node, name, None)
        if child is not None and child is not node:
            yield from _selectors(child)
    for child in getattr(node, "args", None) or ():
        yield from _selectors(child)


def test_the_committed_dashboards_are_what_the_generator_writes(tmp_path: Path) -> None:
    subprocess.run([sys.executable, GRAFANA / "generate.py", tmp_path], check=True)

    written = {path.name: path.read_text("utf-8") for path in tmp_path.iterdir()}
    assert written == {path.name: path.read_text("utf-8") for path in COMMITTED}


def test_there_is_a_dashboard_for_the_house_and_one_for_the_platform() -> None:
    assert {path.stem for path in COMMITTED} >= {"home", "platform"}


def test_identifiers_of_dashboards_are_short_and_unique() -> None:
    uids = [_load(path)["uid"] for path in COMMITTED]

    assert all(re.fullmatch(r"[a-z0-9-]{1,40}", uid) for uid in uids)
    assert len(set(uids)) == len(uids)


@every_dashboard
def test_identifiers_of_panels_and_queries_are_unique(dashboard: Document) -> None:
    identifiers = [panel["id"] for panel in dashboard["panels"]]

    assert len(set(identifiers)) == len(identifiers)
    for panel in _panels(dashboard):
        references = [target["refId"] for target in panel["targets"]]
        assert len(set(references)) == len(references), panel["title"]


@every_dashboard
def test_panels_fit_the_grid_and_do_not_overlap(dashboard: Document) -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        assert place["x"] >= 0
        assert place["x"] + place["w"] <= 24, panel["title"]
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert (x, y) not in taken, f"{panel['title']} covers {taken[x, y]}"
                taken[x, y] = panel["title"]


@every_dashboard
def test_every_expression_is_promql(dashboard: Document) -> None:
    for title, expr in _expressions(dashboard):
        try:
            promql_parser.parse(_filled(expr))
        except ValueError as error:
            pytest.fail(f"{title}: {error}")


@every_dashboard
def test_every_selector_names_its_job_or_is_a_record(dashboard: Document) -> None:
    for title, expr in _expressions(dashboard):
        for selector in _selectors(promql_parser.parse(_filled(expr))):
            labels = {matcher.name for matcher in selector.matchers.matchers}
            is_ours = selector.name == "ALERTS" or ":" in str(selector.name)
            assert "job" in labels or is_ours, f"{title}: {selector.name}"


@every_dashboard
def test_counters_are_only_shown_as_rates(dashboard: Document) -> None:
    for title, expr in _expressions(dashboard):
        for match in re.finditer(r"\w+_(?:total|bucket|count)\b", expr):
            before = expr[: match.start()]
            assert FUNCTIONS_OVER_COUNTERS.search(before), f"{title}: {match[0]}"
        for window in re.findall(r"\[([^\]]+)\]", expr):
            assert window in ("$__rate_interval", "24h"), f"{title}: [{window}]"


@every_dashboard
def test_data_comes_from_the_pinned_source(dashboard: Document) -> None:
    pinned = {"type": "prometheus", "uid": "prometheus"}

    assert all(panel["datasource"] == pinned for panel in _panels(dashboard))
    assert all(item["datasource"] == pinned for item in dashboard["templating"]["list"])


@every_dashboard
def test_every_panel_has_title_description_unit_and_query(dashboard: Document) -> None:
    for panel in _panels(dashboard):
        assert panel["title"]
        assert len(panel["description"]) > 20, panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["targets"], panel["title"]


@every_dashboard
def test_thresholds_begin_with_a_base_and_rise(dashboard: Document) -> None:
    for panel in _panels(dashboard):
        values = [step["value"] for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"]]
        assert values[0] is None, panel["title"]
        assert values[1:] == sorted(values[1:]), panel["title"]


@every_dashboard
def test_variables_are_defined_used_and_kept_current(dashboard: Document) -> None:
    variables = dashboard["templating"]["list"]
    defined = {variable["name"] for variable in variables}
    links = [
        link["url"]
        for panel in _panels(dashboard)
        for link in panel["fieldConfig"]["defaults"].get("links", ())
    ]
    texts = [expr for _, expr in _expressions(dashboard)] + links
    used = {name for text in texts for name in VARIABLE.findall(text)}

    assert used - BUILT_IN == defined
    assert all(variable["refresh"] == 2 for variable in variables)


def test_links_lead_to_dashboards_that_exist() -> None:
    uids = {_load(path)["uid"] for path in COMMITTED}
    for path in COMMITTED:
        for link in re.findall(r"/grafana/d/([a-z0-9-]+)", path.read_text("utf-8")):
            assert link in uids, f"{path.name}: {link}"


def test_one_metric_has_one_unit_everywhere() -> None:
    units: dict[str, set[str]] = {}
    for path in COMMITTED:
        for panel in _panels(_load(path)):
            for target in panel["targets"]:
                key = re.sub(r"\{[^}]*\}", "", target["expr"])
                units.setdefault(key, set()).add(panel["fieldConfig"]["defaults"]["unit"])

    assert {key: found for key, found in units.items() if len(found) > 1} == {}


@every_dashboard
def test_legends_of_series_tell_the_last_value(dashboard: Document) -> None:
    for panel in _panels(dashboard):
        if panel["type"] == "timeseries":
            assert "lastNotNull" in panel["options"]["legend"]["calcs"], panel["title"]


@every_dashboard
def test_a_dashboard_is_read_only_and_of_bounded_size(dashboard: Document) -> None:
    assert dashboard["editable"] is False
    assert dashboard["graphTooltip"] == 1
    assert dashboard["refresh"] == "30s"
    assert len(_panels(dashboard)) <= 20
