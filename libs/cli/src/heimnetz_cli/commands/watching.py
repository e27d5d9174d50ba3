"""How the platform and its plugins are."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from heimnetz_cli.commands.options import Json, Limit, example
from heimnetz_cli.exits import Exit
from heimnetz_cli.output import show, show_json, show_table, when
from heimnetz_cli.session import open_client

if TYPE_CHECKING:
    from collections.abc import Mapping

    from heimnetz_sdk.models import Alert


class AlertState(StrEnum):
    FIRING = "firing"
    RESOLVED = "resolved"


def status(as_json: Json = False) -> None:
    """Show services, plugins and what alerts now; exit code 1 unless every service is well."""
    with open_client() as client:
        found = client.monitor.get_status()
        firing = client.monitor.list_alerts("firing")
    document = {**found.document, "alerts": [alert.document for alert in firing.items]}
    services = _rows(document.get("services"))
    if as_json:
        show_json(document)
    else:
        _show("services", services)
        _show("plugins", _rows(document.get("plugins")))
        show("alerts")
        _show_alerts(firing.items)
    if not all(_is_well(service) for service in services):
        raise typer.Exit(Exit.BAD_OUTCOME)


def _rows(found: object) -> "list[Mapping[str, object]]":
    """A list of objects, or an object of objects by name, as a list."""
    if isinstance(found, dict):
        return [
            {"name": name, **entry} if isinstance(entry, dict) else {"name": name, "state": entry}
            for name, entry in found.items()
        ]
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def _is_well(service: "Mapping[str, object]") -> bool:
    said = service.get("state", service.get("status", service.get("is_up", service.get("up"))))
    return said is True or said in {"up", "ready", "healthy", "ok"}


def _show(title: str, rows: "list[Mapping[str, object]]") -> None:
    show(title)
    if not rows:
        show("none")
    else:
        headers = [
            key
            for key in dict.fromkeys(key for row in rows for key in row)
            if not any(isinstance(row.get(key), dict | list) for row in rows)
        ]
        show_table(headers, [[row.get(key) for key in headers] for row in rows])
    show()


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


def add_to(app: typer.Typer) -> None:
    app.command(epilog=example("heimnetz status"))(status)
    app.command(epilog=example("heimnetz alerts --state firing --json"))(alerts)
