"""The preview of a plugin's pages, asked over HTTP."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from heimnetz_cli.previewing import POLICY, Preview, draw, serving
from heimnetz_common.testing import eventually_sync

CADDYFILE = Path(__file__).parents[4] / "deploy" / "gateway" / "Caddyfile"
MANIFEST = """\
manifest: 1
name: tiny
version: 1.0.0
title: Tiny
summary: Does little.
licence: Apache-2.0
authors: [{name: A}]
kind: job
runtime: python
entry_point: plugin:run
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "plugin.yaml").write_text(MANIFEST)
    (folder / "plugin.py").write_text('def run(input, context):\n    "Runs."\n    return {}\n')
    (folder / "README.md").write_text("# Tiny\n\nThe </head> first text.\n")
    return folder


@pytest.fixture
def preview() -> Preview:
    return Preview()


@pytest.fixture
def client(preview: Preview) -> Iterator[httpx.Client]:
    with serving(preview, 0) as address, httpx.Client(base_url=address) as client:
        yield client


def test_pages_are_docs_gens_but_for_the_script_that_reloads_them(
    project: Path, preview: Preview, client: httpx.Client
) -> None:
    _, files = draw(project)
    preview.show(files)

    answers = {path: client.get(path) for path in files}

    assert {path: answer.status_code for path, answer in answers.items() if answer.is_error} == {}
    tag = b'<script src="/_preview/watch.js?1"></script>\n'
    assert {path: answer.content.replace(tag, b"") for path, answer in answers.items()} == files
    assert {path for path, answer in answers.items() if tag in answer.content} == {
        path for path in files if path.endswith(".html")
    }
    assert client.get("tiny/").content == answers["tiny/index.html"].content


def test_the_policy_is_that_of_published_pages(preview: Preview, client: httpx.Client) -> None:
    preview.show({"index.html": b"<head></head>"})

    policies = {
        client.get(path).headers["content-security-policy"]
        for path in ("", "absent.html", "_preview/watch.js")
    }

    assert policies == {POLICY}
    assert f'header Content-Security-Policy "{POLICY}"' in CADDYFILE.read_text()


def test_a_page_is_reloaded_when_it_is_not_the_newest(
    preview: Preview, client: httpx.Client
) -> None:
    preview.show({})

    before = client.get("_preview/changed.js?1").text
    preview.show({})
    after = client.get("_preview/changed.js?1").text

    assert (before, after) == ("", "location.reload();")


def test_a_mistake_takes_the_place_of_every_page_and_is_no_markup(
    project: Path, preview: Preview, client: httpx.Client
) -> None:
    preview.show(draw(project)[1])

    preview.fail("line 3: <script>alert(1)</script>")

    page = client.get("tiny/1.0.0/")
    assert page.status_code == 500
    assert "line 3: &lt;script&gt;alert(1)&lt;/script&gt;" in page.text
    assert "/_preview/watch.js?2" in page.text
    assert client.get("_static/docs.css").status_code == 200


@pytest.mark.parametrize(
    "path", ["absent.html", "..%2f..%2fetc/passwd", "//other.example/x", "%00"]
)
def test_what_is_not_there_is_answered_with_what_is(
    preview: Preview, client: httpx.Client, path: str
) -> None:
    preview.show({"tiny/index.html": b"<head></head>"})

    answer = client.get(f"{client.base_url}{path}")

    assert answer.status_code == 404
    assert "/tiny/index.html" in answer.text


def test_a_page_of_another_site_cannot_read_the_preview(client: httpx.Client) -> None:
    answer = client.get("", headers={"host": "rebound.example"})

    assert answer.status_code == 421


def test_the_command_shows_each_save_and_each_mistake_until_it_is_interrupted(
    project: Path,
) -> None:
    # A shell's background jobs ignore SIGINT, and so does whatever they start.
    listening = ["env", "--default-signal=INT", sys.executable]
    command = [*listening, "-m", "heimnetz_cli", "docs", str(project), "--serve"]
    buffered = {**os.environ, "PYTHONUNBUFFERED": ""}
    with subprocess.Popen(
        command, env=buffered, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            first = httpx.get(address).text
            (project / "README.md").write_text("# Tiny\n\nThe second text.\n")
            eventually_sync(lambda: "The second text." in httpx.get(address).text)
            (project / "plugin.yaml").write_text(MANIFEST.replace("kind: job", "kind: jib"))
            eventually_sync(lambda: "plugin.yaml:8:7: /kind" in httpx.get(address).text)
            (project / "plugin.yaml").write_text(MANIFEST)
            eventually_sync(lambda: "The second text." in httpx.get(address).text)
            process.send_signal(signal.SIGINT)
            said = process.communicate(timeout=30)[1]
        finally:
            process.kill()

    assert address.endswith("/tiny/")
    assert "first text." in first
    assert process.returncode == 0
    assert said.endswith("ended\n")
