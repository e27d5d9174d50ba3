"""What happened, across all services, and events that have to be sent again."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from heimnetz_cli.commands.options import Json, example
from heimnetz_cli.exits import Exit, Failure
from heimnetz_cli.output import note, show, show_json, show_table, when
from heimnetz_cli.session import open_client

if TYPE_CHECKING:
    from heimnetz_sdk.client import Client

_TRACE = re.compile(r"[0-9a-f]{32}")
_KEY = re.compile(r"[0-9a-f-]{32,36}")
#: What a line of a log says besides its event.
_PLAIN = frozenset({"timestamp", "level", "logger", "service", "event", "trace_id", "span_id"})

admin = typer.Typer(no_args_is_help=True, help="Events that have to be sent again.")


@dataclass(frozen=True)
class Entry:
    at: datetime
    service: str
    what: str
    detail: str


def trace(
    key: Annotated[str, typer.Argument(metavar="ID", help="A trace's, a run's or an event's id.")],
    logs: Annotated[bool, typer.Option(help="Read the containers' logs on this machine.")] = True,
    as_json: Json = False,
) -> None:
    """Show what happened for one request, event or run, across the services."""
    if not _KEY.fullmatch(key):
        raise Failure(f"{key!r} is no id of a trace, a run or an event", Exit.USAGE)
    with open_client() as client:
        trace_id, entries = _from_services(client, key)
    if logs:
        entries += _from_logs(trace_id)
    if not entries:
        raise Failure(f"nothing is known of {key}", Exit.NOT_FOUND)
    entries.sort(key=lambda entry: entry.at)
    if as_json:
        show_json({"trace_id": trace_id, "entries": [vars(entry) for entry in entries]})
        return
    show(f"trace {trace_id}\n")
    show_table(
        ["at", "service", "what", "detail"],
        [
            [entry.at.astimezone().isoformat(" ", "milliseconds"), *list(vars(entry).values())[1:]]
            for entry in entries
        ],
    )


def _from_services(client: "Client", key: str) -> tuple[str, list[Entry]]:
    trace_id = key if _TRACE.fullmatch(key) else _trace_of(client, key)
    return trace_id, [
        Entry(at, str(one["service"]), f"event {one['what']}", f"{one['event']} {one['event_id']}")
        for found in client.operations.get_traces(trace_id)
        for one in found.entries
        if (at := _moment(one["at"])) is not None
    ]


def _trace_of(client: "Client", key: str) -> str:
    from heimnetz_sdk.errors import NotFound

    # Runs have UUIDs of version 7, events of version 4 (RFC 9562).
    if key[14:15] == "7":
        try:
            return client.sandbox.get_run(key).trace_id or key
        except NotFound:
            raise Failure(f"there is no run {key}", Exit.NOT_FOUND) from None
    found = next(client.operations.get_traces(key), None)
    if found is None:
        raise Failure(f"there is no event {key}", Exit.NOT_FOUND)
    return found.trace_id


def _from_logs(trace_id: str) -> list[Entry]:
    docker = shutil.which("docker")
    project = os.environ.get("COMPOSE_PROJECT_NAME", "heimnetz")
    listed = docker and _said(
        docker, "ps", "--all", "--filter", f"label=com.docker.compose.project={project}",
        *("--format", '{{.ID}} {{.Label "com.docker.compose.service"}}'),
    )  # fmt: skip
    if not docker or not listed:
        note("the stack's containers are not on this machine: logs are left out")
        return []
    entries = []
    for line in listed.splitlines():
        container, _, service = line.partition(" ")
        entries += list(_read(_said(docker, "logs", container), service, trace_id))
    return entries


def _said(*command: str) -> str:
    done = subprocess.run(  # noqa: S603 - no shell, and no word of anybody else's
        command, capture_output=True, text=True, errors="replace", check=False
    )
    return done.stdout + done.stderr if done.returncode == 0 else ""


def _read(text: str, service: str, trace_id: str) -> Iterator[Entry]:
    for line in text.splitlines():
        if trace_id not in line:
            continue
        try:
            record = json.loads(line)
            at = _moment(record["timestamp"])
        except (ValueError, KeyError, TypeError):
            continue
        if at is not None:
            more = " ".join(f"{name}={record[name]}" for name in record.keys() - _PLAIN)
            yield Entry(at, service, str(record.get("event", "")), more)


def _moment(text: Any) -> datetime | None:
    try:
        at = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


@admin.command(epilog=example("heimnetz admin replay --since 2026-11-01"))
def replay(
    since: Annotated[datetime, typer.Option(help="Send what was announced since then.")],
    service: Annotated[str | None, typer.Option(help="Only this service's events.")] = None,
    as_json: Json = False,
) -> None:
    """Fill a stream that lost events again, from the database. Nothing is done twice."""
    from heimnetz_sdk.operations import SERVICES

    if service is not None and service not in SERVICES:
        raise Failure(f"there is no service {service}; there are {', '.join(SERVICES)}", Exit.USAGE)
    at = since if since.tzinfo else since.astimezone()
    with open_client() as client:
        counts = {
            name: client.operations.replay(name, at)
            for name in ([service] if service else SERVICES)
        }
    if as_json:
        show_json(counts)
    else:
        show_table(["service", "events"], [[name, count] for name, count in counts.items()])


@admin.command(epilog=example("heimnetz admin letters"))
def letters(as_json: Json = False) -> None:
    """List events that a service gave up; exit code 1 when there are any."""
    from heimnetz_sdk.operations import SERVICES

    with open_client() as client:
        found = {name: client.operations.list_dead_letters(name).items for name in SERVICES}
    if as_json:
        show_json({name: [one.document for one in some] for name, some in found.items()})
    elif not any(found.values()):
        show("none")
    else:
        show_table(
            ["service", "id", "event", "tries", "failed", "error"],
            [
                [name, one.id, one.event_type, one.tries, when(one.failed_at), one.error]
                for name, some in found.items()
                for one in some
            ],
        )
    if any(found.values()):
        raise typer.Exit(Exit.BAD_OUTCOME)


@admin.command(epilog=example("heimnetz admin resend auditor 7"))
def resend(
    service: Annotated[str, typer.Argument(help="The service that gave it up.")],
    letter: Annotated[int, typer.Argument(help="The letter's id.", min=1)],
) -> None:
    """Have an event handled again that a service gave up."""
    with open_client() as client:
        client.operations.retry_dead_letter(service, letter)
    show(f"{service} handles letter {letter} again")


def add_to(app: typer.Typer) -> None:
    app.command(epilog=example("heimnetz trace 01a211ca-a05f-7346-8cd2-ffcd1a9b63b4"))(trace)
    app.add_typer(admin, name="admin")
