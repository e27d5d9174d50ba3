"""Who rules the database cannot change what was decided without being found out."""

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
