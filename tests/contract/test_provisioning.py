"""The configuration of the third-party servers agrees with the stack that they run in."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
GRAFANA = COMPOSE["services"]["grafana"]
DASHBOARDS = sorted((DEPLOY / "grafana/dashboards").glob("*.json"))


def read(path: str) -> Any:
    return yaml.safe_load((DEPLOY / path).read_text())


def datasources() -> list[dict[str, Any]]:
    return read("grafana/provisioning/datasources/heimnetz.yml")["datasources"]


def mounted(service: dict[str, Any], path: str) -> Path:
    """The file of the checkout that a container sees at `path`."""
    for volume in service["volumes"]:
        source, target, *_ = volume.split(":")
        if source.startswith("./") and path.startswith(target):
            return ROOT / source / path.removeprefix(target).lstrip("/")
    raise AssertionError(f"nothing is mounted at {path}")


@pytest.mark.parametrize("source", datasources(), ids=lambda source: source["uid"])
def test_a_datasource_asks_a_server_of_the_stack_where_it_listens(source):
    host, path = re.fullmatch(r"https://([a-z]+):\d+(/[a-z]+)", source["url"]).groups()

    command = " ".join(COMPOSE["services"][host]["command"])
    external = re.search(r"--web\.external-url=\S*?(/[a-z]+)/(?:\s|$)", command)[1]
    assert path == external
    assert source["editable"] is False


def test_datasources_have_the_uids_that_dashboards_ask():
    known = {source["uid"] for source in datasources()} | {"-- Grafana --"}
    # A variable stands for a datasource that the reader picks among the known ones.
    asked = {
        uid
        for path in DASHBOARDS
        for uid in re.findall(r'"datasource":\s*\{[^{}]*"uid":\s*"([^"$]+)"', path.read_text())
    }

    assert asked <= known


def test_the_time_interval_is_the_scrape_interval():
    prometheus = next(item for item in datasources() if item["uid"] == "prometheus")

    interval = read("prometheus/prometheus.yml")["global"]["scrape_interval"]
    assert prometheus["jsonData"]["timeInterval"] == interval


def test_the_dashboards_folder_is_the_one_that_is_mounted():
    (provider,) = read("grafana/provisioning/dashboards/heimnetz.yml")["providers"]

    assert mounted(GRAFANA, provider["options"]["path"]) == DEPLOY / "grafana/dashboards"
    assert provider["allowUiUpdates"] is False


def test_the_home_dashboard_exists():
    path = GRAFANA["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]

    assert json.loads(mounted(GRAFANA, path).read_text())["title"]


def test_every_service_that_listens_is_scraped():
    jobs = read("prometheus/prometheus.yml")["scrape_configs"]
    scraped = {item["labels"]["service"] for job in jobs for item in job["static_configs"]}

    services = {
        name
        for name, service in COMPOSE["services"].items()
        if service.get("command", [""])[0].startswith("heimnetz_")
    }
    assert scraped >= services - {"init", "certs", "migrate"}


def test_everything_asks_over_tls():
    for job in read("prometheus/prometheus.yml")["scrape_configs"]:
        assert job["scheme"] == "https"
        assert job["tls_config"] == {"ca_file": "/run/heimnetz/secrets/ca.crt"}
