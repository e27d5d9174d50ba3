"""Every metric that a rule or a panel names is one that somebody exports."""

import importlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from prometheus_client import Counter, Gauge, Histogram, Summary
from prometheus_client.metrics import MetricWrapperBase

ROOT = Path(__file__).parents[2]
MODULES = (
    "heimnetz_common.telemetry",
    "heimnetz_registry.metrics",
    "heimnetz_auditor.metrics",
    "heimnetz_sandbox.metrics",
    "heimnetz_monitor.metrics",
    "heimnetz_docs_gen.metrics",
)
SUFFIXES = {
    Counter: ("_total",),
    Gauge: ("",),
    Histogram: ("_bucket", "_count", "_sum"),
    Summary: ("_count", "_sum"),
}
METRIC = re.compile(r"\b((?:heimnetz|alertmanager|prometheus|process)_[a-z0-9_]+)\b")
#: Of other people's programs; the unit tests of the rules and the stack's own tests use them.
FOREIGN = {
    "alertmanager_notifications_failed_total",
    "prometheus_rule_evaluation_failures_total",
    "process_resident_memory_bytes",
    "process_cpu_seconds_total",
}


_COMPUTING = ("measuring.py", "leveling.py")
RECORD = re.compile(r"\b[a-z]+:[a-z0-9_:]+")


def _declared() -> Iterator[str]:
    for module in MODULES:
        for value in vars(importlib.import_module(module)).values():
            if isinstance(value, MetricWrapperBase):
                name = value._name
                yield from (name + suffix for suffix in SUFFIXES[type(value)])


def _computed() -> Iterator[str]:
    """The families that the monitor computes from its database are only in its source."""
    monitor = ROOT / "services/monitor/src/heimnetz_monitor"
    source = "".join((monitor / name).read_text("utf-8") for name in _COMPUTING)
    for kind, name in re.findall(r'(\w+)MetricFamily\(\s*"(heimnetz_\w+)"', source):
        suffixes = {"Counter": ("_total",), "Gauge": ("",)}.get(kind, ("_bucket", "_count", "_sum"))
        yield from (name + suffix for suffix in suffixes)


def _named() -> Iterator[tuple[str, str]]:
    for path in sorted((ROOT / "deploy/prometheus/rules").glob("*.yml")):
        for group in yaml.safe_load(path.read_text("utf-8"))["groups"]:
            for rule in group["rules"]:
                expr = RECORD.sub("", rule["expr"])
                yield from ((path.name, name) for name in METRIC.findall(expr))
    for path in sorted((ROOT / "deploy/grafana/dashboards").glob("*.json")):
        for panel in json.loads(path.read_text("utf-8"))["panels"]:
            for target in panel.get("targets", ()):
                yield from (
                    (path.name, name) for name in METRIC.findall(RECORD.sub("", target["expr"]))
                )


@pytest.mark.parametrize(("where", "name"), sorted(set(_named())))
def test_a_metric_that_is_asked_for_is_exported(where: str, name: str) -> None:
    assert name in {*_declared(), *_computed(), *FOREIGN}, where


def test_metrics_of_ours_are_named_by_the_rules_of_prometheus() -> None:
    units = ("_seconds", "_bytes", "_total", "_points")
    for name in {*_declared(), *_computed()}:
        assert re.fullmatch(r"heimnetz_[a-z0-9_]+", name)
        assert not re.search(r"_(ms|millis|kib|mb)(_|$)", name), f"base units only: {units}"
