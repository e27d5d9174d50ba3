"""Finds what is wrong with a stack, from outside: also when nothing of it answers."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from heimnetz_cli.commands.options import Json, example
from heimnetz_cli.exits import Exit
from heimnetz_cli.output import progress, show, show_json, show_table
from heimnetz_cli.session import load, open_client

if TYPE_CHECKING:
    from heimnetz_cli.diagnosing import Diagnosis


def doctor(
    folder: Annotated[
        Path,
        typer.Option("--in", exists=True, file_okay=False, help="Where the compose file is."),
    ] = Path(),
    is_remote: Annotated[
        bool, typer.Option("--remote", help="The stack is on another machine: look at it alone.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Find what is wrong with the installation, and say what to do; nothing is changed.

    Looks at engine, Compose, caps, clocks, disk, containers and ports of this machine, at the
    gateway's answer and certificate, and at what the platform says of itself. Ends with 1 when
    there is a problem; a warning is none.
    """
    with progress("looking") as line:
        found = []
        for one in _look(folder, is_remote=is_remote):
            found.append(one)
            line.update(f"looked at {one.check}")
    has_problem = any(one.state == "problem" for one in found)
    if as_json:
        show_json(
            {
                "is_well": not has_problem,
                "diagnoses": [
                    {
                        "check": one.check,
                        "state": one.state,
                        "detail": one.detail,
                        "advice": one.advice,
                    }
                    for one in found
                ],
            }
        )
    else:
        show_table(["check", "state", "detail"], [[o.check, o.state, o.detail] for o in found])
        for one in found:
            if one.advice:
                show(f"\n{one.check}: {one.detail}\n  {one.advice}")
    if has_problem:
        raise typer.Exit(Exit.BAD_OUTCOME)


def _look(folder: Path, *, is_remote: bool) -> "Iterator[Diagnosis]":
    from heimnetz_cli.diagnosing import Place, State, look_at_gateway, look_at_machine

    if not is_remote:
        yield from look_at_machine(Place.of(folder))
    session = load()
    is_answering = True
    for one in look_at_gateway(session.url, session.ca_file):
        is_answering = is_answering and not (
            one.check in {"gateway", "certificate"} and one.state is State.PROBLEM
        )
        yield one
    yield from _platform(is_answering=is_answering)


def _platform(*, is_answering: bool) -> "Iterator[Diagnosis]":
    """What it says of itself."""
    from heimnetz_cli.diagnosing import Diagnosis, State
    from heimnetz_sdk.errors import HeimnetzError, Unauthenticated

    if not is_answering:
        yield Diagnosis("platform", State.UNKNOWN, "the gateway cannot be asked")
        return
    if load().token is None:
        yield Diagnosis(
            "login", State.WARNING, "nobody is logged in", "make login, or heimnetz login --url …"
        )
        return
    try:
        with open_client() as client:
            services = client.monitor.get_status().document.get("services") or []
            alerts = client.monitor.list_alerts("firing").items
    except Unauthenticated:
        yield Diagnosis(
            "login", State.PROBLEM, "the token is not valid", "log in again: make login"
        )
        return
    except HeimnetzError as error:
        yield Diagnosis(
            "platform",
            State.PROBLEM,
            f"the monitor does not answer: {error.detail}",
            "docker compose logs --tail 50 monitor gateway",
        )
        return
    yield Diagnosis("login", State.OK, "the token is valid")
    unwell = [one for one in services if isinstance(one, dict) and one.get("state") != "up"]
    for one in unwell:
        yield Diagnosis(
            "platform",
            State.PROBLEM,
            f"{one.get('service')} is {one.get('state')}: {one.get('reason') or 'no reason given'}",
            f"docker compose logs --tail 50 {one.get('service')}",
        )
    if not unwell:
        yield Diagnosis("platform", State.OK, f"{len(services)} services are up")
    if alerts:
        names = ", ".join(sorted({alert.alert for alert in alerts}))
        yield Diagnosis(
            "alerts", State.WARNING, f"firing: {names}", "docs/runbooks has a page for each"
        )


def add_to(app: typer.Typer) -> None:
    app.command(
        epilog=example("heimnetz doctor", "heimnetz doctor --remote --json | jq .is_well"),
    )(doctor)
