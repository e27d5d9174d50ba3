from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from heimnetz_docs import Audit, Care, Finding, Known, Reach, Subject
from heimnetz_manifest import Package, pack, read_package

MANIFEST = """\
manifest: 1
name: lamp-report
version: {version}
title: {title}
summary: {summary}
licence: Apache-2.0
authors: [{{name: Anna}}]
kind: job
runtime: python
entry_point: lamp_report.main:run
triggers: {{http: true, cron: [{{schedule: "0 6 * * *", time_zone: Europe/Berlin}}]}}
permissions:
{permissions}
limits: {{memory: 256 MiB}}
configuration:
  type: object
  required: [room]
  properties:
    room: {{type: string, description: Which room, maxLength: 30}}
    token: {{type: string, secret: true}}
    nested: {{type: object, properties: {{depth: {{type: integer, minimum: 1, default: 2}}}}}}
examples:
  - name: a-day
    summary: One day of readings
    input: {{day: 2026-11-25}}
    files: [examples/day.csv]
    configuration: {{room: hall}}
    output: {{lamps: 3}}
"""
NETWORK = '  network: [{to: "lamps.example.org:443", reason: Reads the lamps}]'
FILES = {
    "README.md": "# Lamp report\n\nCounts **lamps**.\n\n![plan](plan.png)\n\nSee [changes](CHANGELOG.md).\n",
    "CHANGELOG.md": "# Changelog\n\n## 1.0.0\n\n- First.\n",
    "plan.png": b"\x89PNG\r\n\x1a\n" + b"\0" * 20,
    "examples/day.csv": "time,lamp\n1,2\n",
    "src/lamp_report/__init__.py": '"""Lamps."""\n',
    "src/lamp_report/main.py": (
        '"""Entry."""\nfrom typing import Any\n\ndef run(input: dict[str, Any], context: object) -> dict[str, int]:\n'
        '    """Count the lamps.\n\n    Args:\n        input: the day\n    """\n    return {"lamps": 3}\n'
    ),
}

MakePackage = Callable[..., Package]
MakeSubject = Callable[..., Subject]


@pytest.fixture
def make_package(tmp_path_factory: pytest.TempPathFactory) -> MakePackage:
    def make(
        changes: dict[str, str | bytes | None] | None = None,
        *,
        version: str = "1.0.0",
        title: str = "Lamp report",
        summary: str = "Counts lamps",
        permissions: str = NETWORK,
    ) -> Package:
        folder: Path = tmp_path_factory.mktemp("package")
        manifest = MANIFEST.format(
            version=version, title=title, summary=summary, permissions=permissions
        )
        for path, content in {"plugin.yaml": manifest, **FILES, **(changes or {})}.items():
            if content is None:
                continue
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_package(pack(folder))

    return make


@pytest.fixture
def known() -> Known:
    return Known(
        state="approved",
        publisher="anna",
        published_at=datetime(2026, 11, 25, 5, 0, tzinfo=UTC),
        audit=Audit(
            score=92,
            grade="A",
            verdict="approve",
            counts={"medium": 1},
            reasons=("grade A, nothing that the policy objects to",),
            findings=(
                Finding(
                    "py-open", "medium", "Opens a file for writing", "src/lamp_report/main.py", 3
                ),
            ),
            reaches=(
                Reach(
                    "network", "lamps.example.org:443", declared=True, inferred=True, observed=None
                ),
            ),
        ),
    )


@pytest.fixture
def make_subject(make_package: MakePackage, known: Known) -> MakeSubject:
    def make(
        changes: dict[str, str | bytes | None] | None = None,
        *,
        care: Care = Care.FULL,
        **options: str,
    ) -> Subject:
        return Subject(make_package(changes, **options), known, care)

    return make
