"""What is done about plugins that leak or are a threat."""

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from heimnetz_cli.commands.options import Json, Limit, example
from heimnetz_cli.exits import Exit, Failure
from heimnetz_cli.output import note, show, show_json, show_table, size, when
from heimnetz_cli.session import open_client

if TYPE_CHECKING:
    from collections.abc import Mapping

Number = Annotated[int, typer.Argument(min=1, metavar="NUMBER", help="Of the proposal.")]

remedies = typer.Typer(
    invoke_without_command=True,
    help="What is done about plugins that leak or are a threat.",
    epilog=example("heimnetz remedies", "heimnetz remedies policy --set quarantine=automatic"),
)


class Mode(StrEnum):
    AUTOMATIC = "automatic"
    PROPOSED = "proposed"
    OFF = "off"


@remedies.callback()
def list_remedies(context: typer.Context, limit: Limit = 50, as_json: Json = False) -> None:
    """Show what was done about plugins, and what waits for a decision."""
    if context.invoked_subcommand is not None:
        return
    with open_client() as client:
        found = client.monitor.list_remedies(limit=limit)
    if as_json:
        show_json(found.document)
        return
    if not found.items:
        show("nothing was done or proposed")
        return
    show_table(
        ["number", "plugin", "version", "remedy", "state", "since", "helped", "decided by", "why"],
        [_row(entry) for entry in found.items],
    )


def _row(entry: "Mapping[str, Any]") -> list[object]:
    helped = {True: "yes", False: "no"}.get(entry.get("has_helped"), "")  # type: ignore[arg-type]
    return [
        *(entry.get(key) for key in ("id", "plugin", "version", "action", "state")),
        _moment(entry.get("applied_at") or entry.get("decided_at")),
        helped,
        entry.get("decided_by"),
        entry.get("detail") or entry.get("reason"),
    ]


def _moment(value: object) -> str:
    try:
        return when(datetime.fromisoformat(str(value)))
    except ValueError:
        return ""


@remedies.command(epilog=example("heimnetz remedies apply 12"))
def apply(number: Number, as_json: Json = False) -> None:
    """Do what is proposed; exit code 1 when that fails."""
    with open_client() as client:
        done = client.monitor.apply_remedy(number)
    if as_json:
        show_json(done)
    else:
        note(f"{done.get('action')} of {done.get('plugin')}: {done.get('state')}")
        if done.get("detail"):
            show(str(done["detail"]))
    if done.get("state") != "applied":
        raise typer.Exit(Exit.BAD_OUTCOME)


@remedies.command(epilog=example("heimnetz remedies dismiss 12"))
def dismiss(number: Number) -> None:
    """Leave it at that: for a day, or until the next threat."""
    with open_client() as client:
        client.monitor.dismiss_remedy(number)
    note("dismissed")


@remedies.command(
    epilog=example("heimnetz remedies policy", "heimnetz remedies policy --dry-run --most 2")
)
def policy(
    chosen: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="REMEDY=MODE", help="automatic, proposed or off."),
    ] = None,
    most: Annotated[
        int | None, typer.Option(min=0, max=100, help="Done by itself in an hour, at most.")
    ] = None,
    memory: Annotated[
        int | None,
        typer.Option(min=0, max=1024, metavar="MIB", help="No limit is raised beyond it."),
    ] = None,
    is_dry_run: Annotated[
        bool | None,
        typer.Option("--dry-run/--no-dry-run", help="Only write down what would be done."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show, or choose, what is done by itself."""
    modes = [_choice(text) for text in chosen or ()]
    with open_client() as client:
        found = client.monitor.list_remedies(limit=1).policy
        if modes or any(value is not None for value in (most, memory, is_dry_run)):
            bound = found.get("most_memory_bytes") if memory is None else memory << 20
            found = client.monitor.put_remedy_policy(
                {
                    "modes": {**(found.get("modes") or {}), **dict(modes)},
                    "most_an_hour": found.get("most_an_hour") if most is None else most,
                    "is_dry_run": found.get("is_dry_run") if is_dry_run is None else is_dry_run,
                    "most_memory_bytes": bound,
                }
            )
    if as_json:
        show_json(found)
        return
    show_table(["remedy", "mode"], [list(pair) for pair in (found.get("modes") or {}).items()])
    show(f"\nat most {found.get('most_an_hour')} in an hour by itself")
    show(f"no limit of memory is raised beyond {size(found.get('most_memory_bytes'))}")
    if found.get("is_dry_run"):
        show("dry run: what would be done by itself is only written down")


def _choice(text: str) -> tuple[str, str]:
    action, _, mode = text.partition("=")
    try:
        return action.replace("-", "_"), Mode(mode).value
    except ValueError as error:
        raise Failure(f"{text!r} is not REMEDY=automatic, =proposed or =off") from error


def add_to(app: typer.Typer) -> None:
    app.add_typer(remedies, name="remedies")
