"""Who rules the database cannot change what was decided without being found out."""

from pathlib import Path

import pytest

from ..conftest import Stack, eventually

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]


def test_an_entry_that_was_changed_in_the_database_is_named(stack: Stack) -> None:
    def query(statement: str) -> str:
        return stack.call(
            *("docker", "compose", "exec", "-T", "postgres", "psql", "-U", "postgres"),
            *("-d", "heimnetz", "-Atc", statement),
        ).out.strip()

    entry, actor = query("SELECT id, actor FROM registry.trail ORDER BY id LIMIT 1").split("|")
    eventually(
        lambda: stack.heimnetz("trail", "verify", check=False).code == 0,
        within_seconds=20,
        what="every entry linked",
    )

    query(f"UPDATE registry.trail SET actor = 'nobody' WHERE id = {entry}")
    try:
        said = stack.heimnetz("trail", "verify", check=False)
    finally:
        query(f"UPDATE registry.trail SET actor = '{actor}' WHERE id = {entry}")

    assert said.code == 1
    assert f"entry {entry} was altered" in said.out
    assert stack.heimnetz("trail", "verify").out.startswith(
        query("SELECT count(*) FROM registry.trail")
    )


def test_an_export_is_verified_with_a_checkpoint_that_was_kept_elsewhere(
    stack: Stack, tmp_path: Path
) -> None:
    noted, export = tmp_path / "checkpoint.json", tmp_path / "trail.jsonl"
    noted.write_text(stack.heimnetz("trail", "checkpoint").out)
    export.write_text(stack.heimnetz("trail", "export").out)

    whole = stack.heimnetz("trail", "verify", str(export), "--checkpoint", str(noted))
    lines = export.read_text().splitlines(keepends=True)
    export.write_text("".join(line for line in lines if '"signature"' in line))
    cut = stack.heimnetz("trail", "verify", str(export), "--checkpoint", str(noted), check=False)

    assert "all as they were written" in whole.out
    assert cut.code == 1
    assert "were removed" in cut.out
