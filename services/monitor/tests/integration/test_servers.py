"""Rules and routes, checked by the servers that will run them."""

import subprocess
from pathlib import Path

import pytest

from heimnetz_common.testing import image_of

DEPLOY = Path(__file__).parents[4] / "deploy"

pytestmark = pytest.mark.engine


def run_in(image: str, folder: Path, script: str) -> subprocess.CompletedProcess[str]:
    command = ["docker", "run", "--rm", "--network=none", "--user=65534:65534", "--entrypoint=sh"]
    command += ["--volume", f"{folder}:/checked:ro", "--workdir=/checked", image, "-c", script]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)


def prometheus(script: str) -> subprocess.CompletedProcess[str]:
    image = image_of("PROMETHEUS_IMAGE", "prom/prometheus:v3.5.3")
    return run_in(image, DEPLOY / "prometheus", script)


def alertmanager(script: str) -> subprocess.CompletedProcess[str]:
    image = image_of("ALERTMANAGER_IMAGE", "prom/alertmanager:v0.28.1")
    return run_in(image, DEPLOY / "alertmanager", script)


def test_prometheus_accepts_the_rules() -> None:
    result = prometheus("promtool check rules rules/*.yml")

    assert result.returncode == 0, result.stdout + result.stderr


def test_the_rules_do_what_their_tests_say() -> None:
    result = prometheus("promtool test rules rules/tests/*.yml")

    assert result.returncode == 0, result.stdout + result.stderr


def test_a_wrong_expectation_is_noticed(tmp_path: Path) -> None:
    """Guards against tests of rules that pass whatever the rules say."""
    rules = tmp_path / "rules"
    (rules / "tests").mkdir(parents=True)
    for path in (DEPLOY / "prometheus" / "rules").rglob("*.yml"):
        text = path.read_text("utf-8").replace("consecutive_failures{job=", "other{job=")
        target = rules / path.relative_to(DEPLOY / "prometheus" / "rules")
        target.write_text(text if "tests" not in path.parts else path.read_text("utf-8"))
    tmp_path.chmod(0o755)

    result = run_in(
        image_of("PROMETHEUS_IMAGE", "prom/prometheus:v3.5.3"),
        tmp_path,
        "promtool test rules rules/tests/plugins_test.yml",
    )

    assert result.returncode != 0
    assert "alertname: PluginRunFailing" in result.stdout + result.stderr


def test_alertmanager_accepts_its_configuration() -> None:
    result = alertmanager("amtool check-config alertmanager.yml")

    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    "labels",
    [
        "alertname=ServiceDown severity=critical service=registry",
        "alertname=PluginOutOfMemory severity=warning plugin=energy-report",
        "alertname=Watchdog severity=info",
    ],
)
def test_every_alert_reaches_the_monitor(labels: str) -> None:
    result = alertmanager(f"amtool config routes test --config.file=alertmanager.yml {labels}")

    assert result.stdout.strip() == "monitor", result.stdout + result.stderr
