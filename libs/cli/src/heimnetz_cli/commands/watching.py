"""How the platform and its plugins are."""

import time
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from heimnetz_cli.commands.options import Json, Limit, example
from heimnetz_cli.exits import Exit
from heimnetz_cli.output import (
    is_terminal,
    note,
    screen,
    seconds,
    show,
    show_json,
    show_table,
    size,
    span,
    when,
)
from heimnetz_cli.session import open_client

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from heimnetz_sdk.models import Alert


TOP_SECONDS = 5.0
TRACE_SECONDS = 60.0

alert = typer.Typer(no_args_is_help=True, help="Where alerts go.")


class AlertState(StrEnum):
    FIRING = "firing"
    RESOLVED = "resolved"


def status(as_json: Json = False) -> None:
    """Show services, plugins and what alerts now; exit code 1 unless every service is well."""
    with open_client() as client:
        found = client.monitor.get_status()
        firing = client.monitor.list_alerts("firing")
    document = {**found.document, "alerts": [alert.document for alert in firing.items]}
    services = found.document.get("services") or []
    if as_json:
        show_json(document)
    else:
        _show_services(services)
        _show_plugins(found.document.get("plugins") or [])
        show("\nalerts")
        _show_alerts(firing.items)
    if any(service.get("state") != "up" for service in services):
        raise typer.Exit(Exit.BAD_OUTCOME)


def _show_services(services: "Sequence[Mapping[str, Any]]") -> None:
    show_table(
        ["service", "state", "since", "reason"],
        [
            [entry.get("service"), entry.get("state"), _moment(entry, "since"), entry.get("reason")]
            for entry in services
        ],
    )


def _show_plugins(plugins: "Sequence[Mapping[str, Any]]") -> None:
    show()
    if not plugins:
        show("no plugin has run yet")
        return
    last = [entry.get("last_run") or {} for entry in plugins]
    show_table(
        ["plugin", "version", "state", "last run", "ended"],
        [
            [
                entry.get("plugin"),
                entry.get("version"),
                entry.get("state"),
                run.get("outcome"),
                _moment(run, "finished_at"),
            ]
            for entry, run in zip(plugins, last, strict=True)
        ],
    )


def _moment(entry: "Mapping[str, Any]", key: str) -> str:
    try:
        return when(datetime.fromisoformat(str(entry.get(key) or "")))
    except ValueError:
        return ""


def alerts(
    state: Annotated[AlertState | None, typer.Option(help="Only these.")] = None,
    limit: Limit = 50,
    as_json: Json = False,
) -> None:
    """List alerts, firing and resolved."""
    with open_client() as client:
        page = client.monitor.list_alerts(state.value if state else None, limit=limit)
    if as_json:
        show_json([alert.document for alert in page.items])
    else:
        _show_alerts(page.items)


def _show_alerts(found: "tuple[Alert, ...]") -> None:
    if not found:
        show("none")
        return
    show_table(
        ["alert", "severity", "state", "about", "since", "what"],
        [
            [
                alert.alert,
                alert.severity or alert.labels.get("severity"),
                alert.status,
                alert.labels.get("plugin") or alert.labels.get("service"),
                when(alert.starts_at),
                alert.annotations.get("summary"),
            ]
            for alert in found
        ],
    )


def top(
    once: Annotated[bool, typer.Option("--once", help="Show it once, and end.")] = False,
    every: Annotated[
        float, typer.Option(min=1, max=3600, help="Seconds between two looks.")
    ] = TOP_SECONDS,
    as_json: Json = False,
) -> None:
    """Show what plugins use, and whose memory grows; on a terminal until it is interrupted."""
    with open_client() as client:
        if as_json or once or not is_terminal():
            found = client.monitor.get_top()
            if as_json:
                show_json(found.document)
            else:
                _show_top(found.items)
            return
        with screen() as clear:
            while True:
                found = client.monitor.get_top()
                clear()
                show(f"{when(found.at)}  every {seconds(every)}; Ctrl-C ends")
                _show_top(found.items)
                time.sleep(every)


def _show_top(items: "Sequence[Mapping[str, Any]]") -> None:
    if not items:
        show("no plugin is installed")
        return
    show_table(
        ["plugin", "memory", "peak", "limit", "cpu", "runs", "leak", "an hour", "out of memory in"],
        [_top_row(entry, entry.get("leak") or {}) for entry in items],
    )


def _top_row(entry: "Mapping[str, Any]", leak: "Mapping[str, Any]") -> list[object]:
    slope, cores, left = (
        _number(value)
        for value in (
            leak.get("slope_bytes_per_hour"),
            entry.get("cpu_cores"),
            leak.get("out_of_memory_seconds"),
        )
    )
    amounts = [
        _number(entry.get(key))
        for key in ("memory_bytes", "last_peak_memory_bytes", "memory_limit_bytes")
    ]
    return [
        entry.get("plugin"),
        *(size(None if amount is None else int(amount)) for amount in amounts),
        "" if cores is None else f"{100 * cores:.1f} %",
        entry.get("runs"),
        leak.get("kind"),
        "" if slope is None else f"{'-' if slope < 0 else '+'}{size(int(abs(slope)))}",
        span(left),
    ]


def leaks(as_json: Json = False) -> None:
    """Show whose memory grows and is not given back, and how that is known.

    As JSON with the points, the line through them and the floor that it rose from. Exit code 1
    where anything leaks.
    """
    with open_client() as client:
        found = client.monitor.list_leaks()
    if as_json:
        show_json({"items": list(found)})
    elif not found:
        show("nothing leaks")
    else:
        show_table(
            ["what", "kind", "since", "from", "to", "an hour", "out of memory at", "sure", "why"],
            [_leak_row(entry, entry.get("evidence") or {}) for entry in found],
        )
    if found:
        raise typer.Exit(Exit.BAD_OUTCOME)


def memory(
    plugin: Annotated[str, typer.Argument(metavar="PLUGIN")],
    wait: Annotated[
        float, typer.Option(min=0, max=900, help="Seconds to wait for what a service says.")
    ] = TRACE_SECONDS,
) -> None:
    """Let the next container of a plugin say which of its lines hold memory; Python only.

    A service gets a new container for it, without a request that fails, and its answer is waited
    for: exit code 1 without one. Of a job the next run's log says so: heimnetz logs RUN. Tracing
    makes a plugin slower and takes memory of its own.
    """
    with open_client() as client:
        before = {run.id for run in client.sandbox.list_runs(plugin, limit=1).items}
        if not client.sandbox.trace_memory(plugin):
            note(f"the log of the next run of {plugin} names the lines that hold memory")
            return
        deadline = time.monotonic() + wait
        while time.monotonic() < deadline:
            for run in client.sandbox.list_runs(plugin, limit=1).items:
                told = "" if run.id in before else _last_report(client.sandbox.get_logs(run.id))
                if told:
                    show(told)
                    return
            time.sleep(1)
    note(f"{plugin} has not said anything yet: its log does, heimnetz services names its run")
    raise typer.Exit(Exit.BAD_OUTCOME)


def _last_report(log: str) -> str:
    """Of a traced run: what is held, and by which lines."""
    lines = [line.partition("memory: ")[2] for line in log.splitlines() if "memory: " in line]
    starts = [number for number, line in enumerate(lines) if "are held" in line]
    return "\n".join(lines[starts[-1] :]) if starts else ""


def _leak_row(entry: "Mapping[str, Any]", evidence: "Mapping[str, Any]") -> list[object]:
    last: Mapping[str, Any] = (evidence.get("points") or [{}])[-1]
    return [
        entry.get("plugin") or entry.get("service"),
        entry.get("kind"),
        _moment(entry, "since"),
        *(
            "" if (amount := _number(value)) is None else size(int(amount))
            for value in (
                evidence.get("floor_bytes"),
                last.get("held_bytes"),
                entry.get("slope_bytes_per_hour"),
            )
        ),
        _moment(entry, "out_of_memory_at"),
        _share(evidence.get("confidence"), 0),
        evidence.get("reason"),
    ]


@alert.command("test", epilog=example("heimnetz alert test"))
def try_channels(as_json: Json = False) -> None:
    """Send a test message through every channel; exit code 1 unless each of them took it.

    A channel is what deploy/alertmanager/channels.yml names.
    """
    with open_client() as client:
        found = client.monitor.test_channels()
    if as_json:
        show_json(found.document)
    elif not found.items:
        show("no channel is configured: copy deploy/alertmanager/channels.example.yml")
    else:
        show_table(
            ["channel", "message"],
            [
                [entry.get("channel"), _DELIVERED.get(str(entry.get("state")))]
                for entry in found.items
            ],
        )
    if not found.items or any(entry.get("state") != "arrived" for entry in found.items):
        raise typer.Exit(Exit.BAD_OUTCOME)


_DELIVERED = {
    "arrived": "arrived",
    "failed": "failed: docker compose logs alertmanager says why",
    "unanswered": "neither taken nor refused in time",
}


def levels(as_json: Json = False) -> None:
    """Show what is promised, what was kept, and what is left of the error budgets.

    Exit code 1 where a budget is spent, or the services' levels are not known.
    """
    with open_client() as client:
        found = client.monitor.get_service_levels()
    if as_json:
        show_json(found.document)
    else:
        _show_levels(found.items)
        if found.missing:
            show(f"\nof the services nothing is known: {found.missing}")
    spent = any((_number(entry.get("budget_left")) or 0) <= 0 for entry in found.items)
    if spent or found.missing:
        raise typer.Exit(Exit.BAD_OUTCOME)


def _show_levels(items: "Sequence[Mapping[str, Any]]") -> None:
    if not items:
        show("nothing is promised")
        return
    show_table(
        ["about", "name", "objective", "target", "achieved", "budget left", "burn rate", "since"],
        [
            [
                entry.get("kind"),
                entry.get("subject"),
                _objective(entry),
                _share(entry.get("target")),
                _share(entry.get("achieved")) or "no data",
                _share(entry.get("budget_left"), 0),
                "" if (burn := _number(entry.get("burn_rate"))) is None else f"{burn:.1f}",
                _moment(entry, "since"),
            ]
            for entry in items
        ],
    )


def _objective(entry: "Mapping[str, Any]") -> str:
    limit = _number(entry.get("limit_seconds"))
    return f"{entry.get('objective')}" + ("" if limit is None else f" within {limit:g} s")


def _share(value: object, digits: int = 2) -> str:
    share = _number(value)
    return "" if share is None else f"{100 * share:.{digits}f} %"


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def services(as_json: Json = False) -> None:
    """Show plugins that serve pages, and how they are; exit code 1 unless every one is up."""
    with open_client() as client:
        found = client.sandbox.list_services()
    if as_json:
        show_json({"items": list(found)})
    elif not found:
        show("no installed plugin is a service")
    else:
        show_table(
            ["plugin", "version", "state", "up since", "starts", "path", "reason"],
            [
                [
                    *(one.get(key) for key in ("plugin", "version", "state")),
                    when(_time(one.get("up_since"))),
                    *(one.get(key) for key in ("starts", "path", "reason")),
                ]
                for one in found
            ],
        )
    if any(one.get("state") != "up" for one in found):
        raise typer.Exit(Exit.BAD_OUTCOME)


def restart(plugin: Annotated[str, typer.Argument(metavar="PLUGIN")]) -> None:
    """End a service; it is started again at once."""
    with open_client() as client:
        client.sandbox.restart_service(plugin)
    note(f"{plugin} is being started again")


def _time(value: object) -> datetime | None:
    return datetime.fromisoformat(value) if isinstance(value, str) else None


def add_to(app: typer.Typer) -> None:
    app.command(epilog=example("heimnetz status"))(status)
    app.command(epilog=example("heimnetz services"))(services)
    app.command(epilog=example("heimnetz restart link-shortener"))(restart)
    app.command(epilog=example("heimnetz alerts --state firing --json"))(alerts)
    app.add_typer(alert, name="alert")
    app.command(epilog=example("heimnetz levels", "heimnetz levels --json"))(levels)
    app.command(epilog=example("heimnetz leaks", "heimnetz leaks --json"))(leaks)
    app.command(epilog=example("heimnetz memory link-shortener"))(memory)
    app.command(epilog=example("heimnetz top", "heimnetz top --json"))(top)
