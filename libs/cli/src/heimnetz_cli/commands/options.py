"""Arguments and options that several commands share."""

from typing import Annotated

import typer

from heimnetz_cli.exits import Failure

Json = Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")]
Plugin = Annotated[str, typer.Argument(metavar="PLUGIN", help="The plugin's name.")]
PluginAtVersion = Annotated[
    str,
    typer.Argument(metavar="PLUGIN[@VERSION]", help="The plugin; without a version, the latest."),
]
Limit = Annotated[int, typer.Option(min=1, max=200, help="Show at most so many.")]


def example(*lines: str) -> str:
    r"""An epilog; `\b` keeps the help formatter from joining the lines."""
    return "\n".join(["\b", "Example:" if len(lines) == 1 else "Examples:", *lines])


def split(plugin_at_version: str) -> tuple[str, str | None]:
    plugin, at, version = plugin_at_version.partition("@")
    if not plugin or (at and not version):
        raise Failure(f"{plugin_at_version!r} is not PLUGIN or PLUGIN@VERSION")
    return plugin, version or None
