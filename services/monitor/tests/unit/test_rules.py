"""The alert rules: each is complete, has its page, its tests, and its dashboard."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

REPOSITORY = Path(__file__).parents[4]
RULES = REPOSITORY / "deploy" / "prometheus" / "rules"
RUNBOOKS = REPOSITORY / "docs" / "runbooks"
HEADINGS = ("## What it means for the house", "## Where to look", "## What to do")

Rule = dict[str, Any]


def _rules() -> list[Rule]:
    return [
        rule
        for path in sorted(RULES.glob("*.yml"))
        for group in yaml.safe_load(path.read_text("utf-8"))["groups"]
        for rule in group["rules"]
    ]


ALERTS = [pytest.param(rule, id=rule["alert"]) for rule in _rules() if "alert" in rule]
every_alert = pytest.mark.parametrize("alert", ALERTS)


def _tested() -> str:
    return "\n".join(path.read_text("utf-8") for path in (RULES / "tests").glob("*.yml"))


@every_alert
def test_an_alert_says_how_bad_it_is_and_what_happened(alert: Rule) -> None:
    assert alert["labels"]["severity"] in ("critical", "warning", "info")
    assert 0 < len(alert["annotations"]["summary"]) <= 100
    assert len(alert["annotations"]["description"]) > 40


@every_alert
def test_an_alert_has_a_runbook_with_every_part(alert: Rule) -> None:
    name = alert["alert"]

    assert alert["annotations"]["runbook_url"] == f"docs/runbooks/{name}.md"
    page = (RUNBOOKS / f"{name}.md").read_text("utf-8")
    assert page.startswith(f"# {name}\n")
    assert [heading for heading in HEADINGS if heading not in page] == []


@every_alert
def test_an_alert_leads_to_a_dashboard_that_exists(alert: Rule) -> None:
    boards = (REPOSITORY / "deploy" / "grafana" / "dashboards").glob("*.json")
    uids = {json.loads(path.read_text("utf-8"))["uid"] for path in boards}

    link = re.match(r"/grafana/d/([a-z0-9-]+)", alert["annotations"]["dashboard_url"])

    assert link is not None
    assert link[1] in uids


@every_alert
def test_an_alert_is_tested_firing(alert: Rule) -> None:
    firing = rf"alertname: {alert['alert']}\n\s+exp_alerts:\n\s+- exp_labels"

    assert re.search(firing, _tested())


@every_alert
def test_a_critical_alert_can_reach_a_receiver_within_a_minute(alert: Rule) -> None:
    if alert["labels"]["severity"] != "critical" or alert["alert"] in _SLOW:
        return
    scrape, scrape_timeout, evaluation, group_wait = 10, 5, 10, 5
    held = int(alert.get("for", "0s").removesuffix("s"))

    assert scrape + scrape_timeout + evaluation + held + group_wait <= 60


# What these tell of is an age of minutes already.
_SLOW = {"AlertsNotArriving"}


def test_no_alert_is_defined_twice() -> None:
    names = [rule["alert"] for rule in _rules() if "alert" in rule]

    assert sorted(set(names)) == sorted(names)


def test_every_runbook_belongs_to_an_alert_and_is_listed() -> None:
    alerts = {rule["alert"] for rule in _rules() if "alert" in rule}
    pages = {path.stem for path in RUNBOOKS.glob("*.md")} - {"README"}
    index = (RUNBOOKS / "README.md").read_text("utf-8")

    assert pages == alerts
    assert set(re.findall(r"\]\((\w+)\.md\)", index)) == alerts


def test_recording_rules_are_named_level_metric_operation() -> None:
    for rule in _rules():
        if "record" in rule:
            assert re.fullmatch(r"[a-z_]+:[a-z_]+:[a-z0-9_]+", rule["record"])
