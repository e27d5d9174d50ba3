"""From nothing to a plugin whose tests run."""

import subprocess
from pathlib import Path
from typing import Annotated

import typer

from heimnetz_cli.commands.options import Json, example
from heimnetz_cli.exits import Exit, Failure
from heimnetz_cli.output import note, show, show_json
from heimnetz_cli.scaffolding import Language, Template

# What pytest ends with, in our codes; see its reference, "Exit codes".
_PYTEST_CODES = {
    0: Exit.OK,
    1: Exit.BAD_OUTCOME,
    2: Exit.INTERRUPTED,
    4: Exit.USAGE,
    5: Exit.NOT_FOUND,
}
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
    routes, in Python only; the others are there for Node too.
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
    """Make the project's .venv with the SDK and pytest, and refresh the editor's schema.

    Again, it brings both up to date; what else was installed there stays.
    """
    from heimnetz_cli.preparing import prepare
    from heimnetz_cli.scaffolding import SCHEMA_FILE, schema_text

    _need_manifest(project)
    python = prepare(project)
    schema = project / SCHEMA_FILE
    if schema.is_file():
        schema.write_text(schema_text(), encoding="utf-8")
    if as_json:
        show_json({"python": str(python)})
    else:
        show(f"{python} has what the tests need; next: heimnetz test")


def run_tests(context: typer.Context, project: Project = Path()) -> None:
    """Run the project's tests with pytest, in its .venv where there is one.

    What is not an option of this command goes to pytest. Ends with 0 when all passed, 1 when one
    did not, 5 when there are none.
    """
    from heimnetz_cli.preparing import find_missing, find_python

    _need_manifest(project)
    python = find_python(project)
    missing = find_missing(python)
    if missing:
        raise Failure(f"{python} does not have {', '.join(missing)}; run: heimnetz setup")
    note(f"tests with {python}")
    # Absolute, since pytest begins in the project; never resolved, or a .venv would be left.
    done = subprocess.run(  # noqa: S603 - the person's own words to pytest
        [python.absolute(), "-m", "pytest", *context.args], cwd=project, check=False
    )
    raise typer.Exit(_PYTEST_CODES.get(done.returncode, Exit.UNEXPECTED))


def _need_manifest(project: Path) -> None:
    if not (project / "plugin.yaml").is_file():
        raise Failure(f"{project.resolve()} has no plugin.yaml; begin with: heimnetz new NAME")


def add_to(app: typer.Typer) -> None:
    app.command(
        epilog=example(
            "heimnetz new frost-warning --template advanced",
            "heimnetz new my-plugin --in plugins --author 'Ada Lovelace'",
        )
    )(new)
    app.command(epilog=example("cd frost-warning && heimnetz setup"))(setup)
    app.command(
        "test",
        epilog=example("heimnetz test", "heimnetz test -k frost --maxfail 1"),
        context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    )(run_tests)
