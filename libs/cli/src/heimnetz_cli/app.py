"""The commands put together."""

from typing import Annotated

import typer

from heimnetz_cli import __version__
from heimnetz_cli.commands import (
    account,
    advising,
    assisting,
    auditing,
    authoring,
    catalogue,
    catalogues,
    declaring,
    developing,
    diagnosing,
    documenting,
    operating,
    owning,
    publishing,
    remedying,
    running,
    signing,
    suggesting,
    transferring,
    updating,
    watching,
)
from heimnetz_cli.exits import EXPLAINED
from heimnetz_cli.output import show

app = typer.Typer(
    name="heimnetz",
    help="Run other people's plugins on your home server, without trusting them.",
    epilog=EXPLAINED,
    no_args_is_help=True,
    rich_markup_mode=None,  # rich's help costs 0.1 s at every start
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(is_asked: bool) -> None:
    if is_asked:
        show(f"heimnetz {__version__}")
        raise typer.Exit


@app.callback()
def heimnetz(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    pass


for family in (
    account,
    catalogue,
    documenting,
    authoring,
    developing,
    auditing,
    advising,
    suggesting,
    publishing,
    signing,
    owning,
    updating,
    transferring,
    catalogues,
    declaring,
    running,
    watching,
    remedying,
    operating,
    diagnosing,
    assisting,
):
    family.add_to(app)
