"""What `heimnetz new` makes, published as it is, installed and put to use."""

import hashlib
import uuid
from pathlib import Path
from typing import Any

import pytest

from heimnetz_cli.scaffolding import Language, Template

from ..conftest import Stack, eventually

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

SETTINGS = {
    Template.ADVANCED: ("--config", "latitude=53.55", "--config", "longitude=9.99"),
    Template.SECURITY: ("--config", 'devices=["192.168.1.1"]'),
}
# A machine without the internet has no forecast, and the run says so.
OUTCOMES = {
    Template.BASIC: {"ok"},
    Template.ADVANCED: {"ok", "error"},
    Template.SECURITY: {"ok"},
}


@pytest.mark.parametrize("template", list(Template))
@pytest.mark.parametrize("language", list(Language))
def test_a_new_plugin_is_checked_published_installed_and_runs(
    stack: Stack, tmp_path: Path, template: Template, language: Language
) -> None:
    name = f"new-{template}-{language}-{uuid.uuid4().hex[:6]}"
    stack.heimnetz("new", name, "--template", template, "--language", language, "--in", tmp_path)
    project = tmp_path / name

    stack.heimnetz("check", project)
    packages = [tmp_path / "a.tar.gz", tmp_path / "b.tar.gz"]
    for package in packages:
        stack.heimnetz("pack", project, "--out", package)
    published = stack.heimnetz("publish", project, "--wait", "--json", check=False).json()
    if published["state"] == "needs_review":
        stack.heimnetz("decide", f"{name}@0.1.0", "approved", "--reason", "its scripts were read")
    stack.heimnetz("install", name, "--yes", *SETTINGS.get(template, ()))

    digests = {hashlib.sha256(package.read_bytes()).hexdigest() for package in packages}
    assert digests == {published["sha256"]}
    if template is Template.API:
        milk = eventually(lambda: put(stack, name, "milk"), within_seconds=60, what="an answer")
        assert milk == {"id": milk["id"], "name": "milk", "amount": 1, "is_bought": False}
    else:
        run = stack.heimnetz("run", name, "--json", check=False).json()
        assert run["outcome"] in OUTCOMES[template], run
    stack.heimnetz("uninstall", name)


def put(stack: Stack, plugin: str, item: str) -> Any:
    """The item on the list; None while nobody answers."""
    port = stack.environment["HEIMNETZ_PLUGIN_PORT"]
    with stack.http() as pages:
        answer = pages.post(f"https://localhost:{port}/{plugin}/items", json={"name": item})
    return answer.json() if answer.status_code == 201 else None
