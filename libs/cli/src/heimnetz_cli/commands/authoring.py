"""From nothing to a plugin whose tests run."""

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from heimnetz_cli.commands.options import Json, example
from heimnetz_cli.exits import Exit, Failure
from heimnetz_cli.output import list_mistakes, note, show, show_json
from heimnetz_cli.scaffolding import Language, Template

# What pytest ends with, in our codes; see its reference, "Exit codes".
_PYTEST_CODES = {
    0: Exit.OK,
    1: Exit.BAD_OUTCOME,
    2: Exit.INTERRUPTED,
    4: Exit.USAGE,
    5: Exit.NOT_FOUND,
}
# What Node ends with; see its documentation of `process`, "Exit codes".
_NODE_CODES = {0: Exit.OK, 1: Exit.BAD_OUTCOME, 9: Exit.USAGE}
Project = Annotated[
    Path, typer.Option("--project", exists=True, file_okay=False, help="The plugin's directory.")
]


def new(
    name: Annotated[str, typer.Argument(help="The plugin's name, and the new directory's.")],
    template: Annotated[Template, typer.Option(help="What to begin with.")] = Template.BASIC,
    language: Annotated[Language, typer.Option(help="What it is written in.")] = Language.PYTHON,
    folder: Annotated[
        Path, typer.Option("--in", exists=True, file_okay=False, help="Where the directory goes.")
    ] = Path(),
    author: Annotated[str | None, typer.Option(help="Without it, the name that Git knows.")] = None,
    as_json: Json = False,
) -> None:
    """Make the directory of a new plugin, with tests that pass.

    basic: one job. advanced: a schedule, configuration, storage, the network and an event.
    security: a check of devices at home that gives findings. api: an HTTP service with typed
    routes.
    """
    from heimnetz_cli.scaffolding import find_author, scaffold

    files = scaffold(name, template, language, folder, author or find_author())
    target = folder / name
    if as_json:
        show_json(
            {"directory": str(target), "template": template, "language": language, "files": files}
        )
        return
    show(f"{target} is made, with {len(files)} files; next:")
    show(f"  cd {target}")
    show("  heimnetz setup")
    show("  heimnetz test")


def setup(
    project: Annotated[
        Path, typer.Argument(exists=True, file_okay=False, help="The plugin's directory.")
    ] = Path(),
    as_json: Json = False,
) -> None:
    """Make what the tests need, and refresh the editor's schema.

    Python: .venv in the project, with the SDK and pytest. Node: node_modules with the SDK, and by
    npm what package.json names, if it names anything. The SDK is the one that this command brings.
    Again, it brings all up to date; what else was installed stays.
    """
    from heimnetz_cli.scaffolding import SCHEMA_FILE, schema_text

    manifest = _need_manifest(project)
    made = _prepare(project, manifest)
    schema = project / SCHEMA_FILE
    if schema.is_file():
        schema.write_text(schema_text(), encoding="utf-8")
    if as_json:
        show_json(made)
    else:
        show(f"{next(iter(made.values()))} has what the tests need; next: heimnetz test")


def _prepare(project: Path, manifest: Path) -> dict[str, str]:
    """The language, and what runs it."""
    from heimnetz_cli import preparing, preparing_node

    if not preparing_node.is_for_node(manifest):
        return {"python": str(preparing.prepare(project))}
    return {"node": str(preparing_node.prepare(project))}


def run_tests(context: typer.Context, project: Project = Path()) -> None:
    """Run the project's tests: with pytest in its .venv where there is one, or with node --test.

    What is not an option of this command goes to pytest or Node. Ends with 0 when all passed, 1
    when one did not, 5 when there are none.
    """
    from heimnetz_cli.preparing_node import is_for_node

    if is_for_node(_need_manifest(project)):
        raise typer.Exit(_test_with_node(project, context.args))
    raise typer.Exit(_test_with_python(project, context.args))


def _test_with_python(project: Path, words: list[str]) -> Exit:
    from heimnetz_cli.preparing import find_missing, find_python

    python = find_python(project)
    missing = find_missing(python)
    if missing:
        raise Failure(f"{python} does not have {', '.join(missing)}; run: heimnetz setup")
    note(f"tests with {python}")
    # Absolute, since pytest begins in the project; never resolved, or a .venv would be left.
    done = subprocess.run(  # noqa: S603 - the person's own words to pytest
        [python.absolute(), "-m", "pytest", *words], cwd=project, check=False
    )
    return _PYTEST_CODES.get(done.returncode, Exit.UNEXPECTED)


def _test_with_node(project: Path, words: list[str]) -> Exit:
    from heimnetz_cli.preparing_node import (
        SDK,
        VARIABLE,
        facts_of,
        find_node,
        has_tests,
        place_sdk,
    )
    from heimnetz_manifest import InvalidManifest, parse_manifest

    try:
        manifest = parse_manifest((project / "plugin.yaml").read_bytes())
    except InvalidManifest as error:
        raise Failure(list_mistakes(error, project), Exit.REFUSED_INPUT) from None
    node = find_node()
    if not has_tests(project):
        raise Failure(f"{project.resolve()} has no tests, such as plugin.test.js", Exit.NOT_FOUND)
    if not (project / SDK).exists():
        place_sdk(project)
    note(f"tests with {node}")
    with tempfile.TemporaryDirectory(prefix="heimnetz-") as place:
        facts = Path(place) / "manifest.json"
        facts.write_text(json.dumps(facts_of(manifest)), encoding="utf-8")
        done = subprocess.run(  # noqa: S603 - the person's own words to Node
            [node, "--test", *words],
            cwd=project,
            env={**os.environ, VARIABLE: str(facts)},
            check=False,
        )
    return _NODE_CODES.get(done.returncode, Exit.UNEXPECTED)


def _need_manifest(project: Path) -> Path:
    manifest = project / "plugin.yaml"
    if not manifest.is_file():
        raise Failure(f"{project.resolve()} has no plugin.yaml; begin with: heimnetz new NAME")
    return manifest


def add_to(app: typer.Typer) -> None:
    app.command(
        epilog=example(
            "heimnetz new frost-warning --template advanced",
            "heimnetz new frost-warning --template advanced --language node",
            "heimnetz new my-plugin --in plugins --author 'Ada Lovelace'",
        )
    )(new)
    app.command(epilog=example("cd frost-warning && heimnetz setup"))(setup)
    app.command(
        "test",
        epilog=example("heimnetz test", "heimnetz test -k frost --maxfail 1"),
        context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    )(run_tests)
