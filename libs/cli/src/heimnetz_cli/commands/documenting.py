"""Where a plugin's documentation is, and what it will look like."""

import sys
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from heimnetz_cli.commands.options import example, split
from heimnetz_cli.exits import Exit, Failure
from heimnetz_cli.output import list_mistakes, note, show
from heimnetz_cli.session import load


def docs(
    plugin: Annotated[
        str | None,
        typer.Argument(
            metavar="[PLUGIN[@VERSION]|DIRECTORY]",
            help="With --serve, the plugin's directory; without one, this.",
        ),
    ] = None,
    is_served: Annotated[
        bool, typer.Option("--serve", help="Show the directory's pages, anew on every save.")
    ] = False,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Where --serve listens; 0 is any free port.")
    ] = 0,
    is_opened: Annotated[bool, typer.Option("--open", help="Open it in a browser.")] = False,
) -> None:
    """Print the address of the documentation, or preview a directory's.

    The preview is made offline and served on this machine only, with the policy of published pages;
    what is known only to the stack, such as the audit, is not on them. Ctrl-C ends it.
    """
    if is_served:
        try:
            _preview(Path(plugin or "."), port, is_opened)
        except KeyboardInterrupt:
            note("ended")
        return
    base = f"{load().url.rstrip('/')}/docs/"
    if plugin is not None:
        name, version = split(plugin)
        base += f"{quote(name, safe='')}/" + (f"{quote(version, safe='')}/" if version else "")
    show(base)
    if is_opened:
        typer.launch(base)


def _preview(project: Path, port: int, is_opened: bool) -> None:
    from heimnetz_cli.previewing import Preview, draw, serving
    from heimnetz_cli.reloading import saves
    from heimnetz_manifest import ManifestError

    if not project.is_dir():
        raise Failure(f"{project} is no directory; --serve shows one", Exit.NOT_FOUND)
    preview, told = Preview(), False
    with serving(preview, port) as address:
        for _ in saves(project):
            here = address
            try:
                name, files = draw(project)
            except (ManifestError, OSError) as error:
                why = list_mistakes(error, project) if isinstance(error, ManifestError) else error
                note(f"heimnetz: {why}")
                preview.fail(str(why))
            else:
                preview.show(files)
                here = f"{address}{name}/"
                note(f"pages of {name} are made")
            if not told:
                show(here)
                sys.stdout.flush()  # what follows a pipe waits for it
                note("waiting for a save; Ctrl-C ends")
                if is_opened:
                    typer.launch(here)
                told = True


def add_to(app: typer.Typer) -> None:
    app.command(
        epilog=example(
            "heimnetz docs energy-report --open", "heimnetz docs plugins/energy-report --serve"
        )
    )(docs)
