"""A home server as a file says it."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from heimnetz_cli.commands.options import Json, example
from heimnetz_cli.exits import Exit, Failure
from heimnetz_cli.output import list_mistakes, note, show, show_json, visible
from heimnetz_cli.session import open_client

if TYPE_CHECKING:
    from heimnetz_cli.declaring import Change

OUTCOMES = {
    "nothing": "nothing to do",
    "possible": "not done",
    "waits": "not done, it waits for a yes (--yes)",
    "applied": "done",
}


def apply(
    file: Annotated[
        Path, typer.Option("--file", "-f", exists=True, dir_okay=False, help="What is declared.")
    ],
    is_agreed: Annotated[
        bool, typer.Option("--yes", "-y", help="Do it, without asking after the difference.")
    ] = False,
    is_dry: Annotated[bool, typer.Option("--dry-run", help="Show the difference only.")] = False,
    prunes: Annotated[
        bool, typer.Option("--prune", help="Uninstall what the file does not have.")
    ] = False,
    renews_secrets: Annotated[
        bool, typer.Option("--renew-secrets", help="Send those again that are stored already.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Bring installations, grants, configuration and tokens to what a file declares.

    The difference is shown first, and everything is checked before anything is changed. A second
    time there is nothing to do. What the file does not mention stays as it is.
    """
    from heimnetz_cli.declaring import Planner
    from heimnetz_cli.state import read_state
    from heimnetz_manifest import InvalidManifest

    try:
        state, document = read_state(file)
        with open_client() as client:
            planner = Planner(client, document, file.parent, renews_secrets=renews_secrets)
            changes = planner.plan(state, prunes=prunes)
            outcome = _decide(changes, is_dry=is_dry, is_agreed=is_agreed)
            if outcome == "applied":
                for change in changes:
                    change.make()
                    note(f"done: {change.action} {change.subject}")
    except InvalidManifest as error:
        raise Failure(list_mistakes(error, file), Exit.REFUSED_INPUT) from None
    if as_json:
        shown = [
            {"action": one.action, "subject": one.subject, "details": list(one.details)}
            for one in changes
        ]
        show_json({"changes": shown, "outcome": outcome})
    else:
        show(f"{file}: {OUTCOMES[outcome]}")
    if outcome == "waits":
        raise typer.Exit(Exit.BAD_OUTCOME)


def _decide(changes: "list[Change]", *, is_dry: bool, is_agreed: bool) -> str:
    for change in changes:
        note(visible(f"{change.action} {change.subject}"))
        for line in change.details:
            note(visible(f"  {line}"))
    if not changes:
        return "nothing"
    if is_dry:
        return "possible"
    if not is_agreed and sys.stdin.isatty():
        is_agreed = typer.confirm("do that?", default=False, err=True)
    return "applied" if is_agreed else "waits"


def add_to(app: typer.Typer) -> None:
    app.command(
        epilog=example(
            "heimnetz apply -f state.yaml --dry-run",
            "heimnetz apply -f state.yaml --yes",
        )
    )(apply)
