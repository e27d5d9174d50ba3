"""What there is, and what is known about it."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from heimnetz_cli.commands.options import Json, Limit, Plugin, PluginAtVersion, example, split
from heimnetz_cli.exits import Exit, Failure
from heimnetz_cli.output import (
    note,
    show,
    show_facts,
    show_json,
    show_report,
    show_table,
    size,
    when,
)
from heimnetz_cli.session import open_client

if TYPE_CHECKING:
    from heimnetz_sdk.client import Client
    from heimnetz_sdk.models import Rollback, Version


class ReportFormat(StrEnum):
    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"
    SARIF = "sarif"


def search(
    words: Annotated[str | None, typer.Argument(help="What to look for; without, all.")] = None,
    category: Annotated[str | None, typer.Option(help="Only of this category.")] = None,
    without: Annotated[
        list[str] | None,
        typer.Option(help="Only what asks for no network, storage, secrets, publish or call."),
    ] = None,
    min_score: Annotated[
        int | None, typer.Option(min=0, max=100, help="Only with such a score at the audit.")
    ] = None,
    limit: Limit = 50,
    as_json: Json = False,
) -> None:
    """Search the plugins, the best first; a word may be mistyped."""
    with open_client() as client:
        page = client.registry.list_plugins(
            words, category=category, asks_not=without or (), min_score=min_score, limit=limit
        )
    if as_json:
        show_json([item.document for item in page.items])
        return
    show_table(
        ["plugin", "latest", "state", "summary"],
        [[item.plugin, item.latest, item.state, item.summary] for item in page.items],
    )
    if page.next_cursor:
        note(f"there are more than {limit}; pass --limit")


FRESH = {
    "container": "a container of its own",
    "process": "a process of its own, in a container that stays",
}


def show_version(plugin: PluginAtVersion, as_json: Json = False) -> None:
    """Show a version: what it is, what it may do, what its audit said."""
    with open_client() as client:
        version = find_version(client, plugin)
        before = None if as_json else _find_rollback(client, version.plugin)
    if as_json:
        show_json(version.document)
        return
    manifest = version.manifest
    show_facts(
        {
            "plugin": f"{version.plugin} {version.version}",
            "title": manifest.get("title"),
            "summary": manifest.get("summary"),
            "state": version.state,
            "reason": version.reason,
            "audit": audit_line(version),
            "publisher": version.publisher,
            "signed": signature_line(version),
            "published": when(version.published_at),
            "licence": manifest.get("licence"),
            "each call": FRESH.get(str(manifest.get("fresh")), FRESH["container"]),
            "started by": ", ".join(_triggers(manifest.get("triggers"))) or "nothing",
            "size": size(version.size_bytes),
            "sha256": version.sha256,
            "rollback": before and f"{before.from_version} -> {before.version}, {outlook(before)}",
        }
    )
    show()
    show("may do:")
    asked = permission_lines(manifest.get("permissions"))
    for line in asked or ["nothing outside its container"]:
        show(f"  {line}")


def _find_rollback(client: "Client", plugin: str) -> "Rollback | None":
    """None also for who may not see what is installed."""
    from heimnetz_sdk.errors import Conflict, Forbidden, NotFound

    try:
        return client.registry.get_rollback(plugin)
    except (NotFound, Conflict, Forbidden):
        return None


def outlook(found: "Rollback") -> str:
    """What a rollback brings, or why it would not."""
    if found.refusal:
        return f"refused: {found.refusal}"
    granted = ", ".join(found.grants) or "nothing"
    return f"as {found.installed_by} installed it {when(found.installed_at)}, granted: {granted}"


def _triggers(triggers: object) -> list[str]:
    if not isinstance(triggers, dict):
        return ["people and programs"]
    cron, events = triggers.get("cron") or [], triggers.get("events") or []
    schedules = [f"schedule {one.get('schedule')} {one.get('time_zone', 'UTC')}" for one in cron]
    people = ["people and programs"] if triggers.get("http", True) else []
    return [*people, *schedules, *(f"event {name}" for name in events)]


def audit_line(version: "Version") -> str:
    if version.score is None:
        return "not yet"
    return f"{version.score} of 100, grade {version.grade}, {version.verdict}"


KEY_STATES = {
    "active": "whose key is in use",
    "retired": "whose key was rotated since, which is fine",
    "revoked": "WHOSE KEY WAS REVOKED: do not believe it",
}


def signature_line(version: "Version") -> str:
    signature = version.signature
    if not signature:
        return "no"
    state = str(signature.get("state"))
    good = KEY_STATES.get(state, f"whose key is {state}")
    return f"by {signature.get('publisher')}, {good} ({signature.get('key_id')})"


def permission_lines(permissions: object) -> list[str]:
    """`kind: what (reason)` for every permission that a manifest asks for."""
    lines: list[str] = []
    if not isinstance(permissions, dict):
        return lines
    for kind, asked in permissions.items():
        if not asked:
            continue
        for entry in asked if isinstance(asked, list) else [asked]:
            if isinstance(entry, dict):
                what = " ".join(
                    str(value) for key, value in entry.items() if key != "reason" and value
                )
                lines.append(f"{kind}: {what} ({entry.get('reason') or 'no reason given'})")
            else:
                lines.append(f"{kind}: {entry}")
    return lines


def find_version(client: "Client", plugin_at_version: str) -> "Version":
    plugin, version = split(plugin_at_version)
    return client.registry.get_version(plugin, version or latest(client, plugin))


def latest(client: "Client", plugin: str) -> str:
    found = client.registry.get_plugin(plugin).latest
    if not found:
        raise Failure(f"{plugin} has no version that is in use", Exit.NOT_FOUND)
    return found


def versions(plugin: Plugin, as_json: Json = False) -> None:
    """List a plugin's versions with state and grade."""
    with open_client() as client:
        page = client.registry.list_versions(plugin)
    if as_json:
        show_json([item.document for item in page.items])
        return
    show_table(
        ["version", "state", "score", "grade", "published", "reason"],
        [
            [v.version, v.state, v.score, v.grade, when(v.published_at), v.reason]
            for v in page.items
        ],
    )


def audits(
    plugin: Annotated[str | None, typer.Argument(help="Of this plugin only.")] = None,
    limit: Limit = 50,
    as_json: Json = False,
) -> None:
    """List the latest audits."""
    with open_client() as client:
        page = client.auditor.list_audits(plugin, limit=limit)
    if as_json:
        show_json([item.document for item in page.items])
        return
    show_table(
        ["plugin", "version", "score", "grade", "verdict"],
        [[a.plugin, a.version, a.score, a.grade, a.verdict] for a in page.items],
    )


def report(
    plugin: PluginAtVersion,
    form: Annotated[
        ReportFormat, typer.Option("--format", help="How to print it.")
    ] = ReportFormat.TEXT,
    is_static: Annotated[
        bool,
        typer.Option("--static", help="Leave out waivers and the version before, as `audit` does."),
    ] = False,
) -> None:
    """Print the latest audit report of a version."""
    with open_client() as client:
        name, version = split(plugin)
        wanted = version or latest(client, name)
        text = client.auditor.get_report(name, wanted, form.value, is_static=is_static)
    show_report(text)


def sbom(
    plugin: PluginAtVersion,
    version: Annotated[
        str | None, typer.Argument(help="The same as PLUGIN@VERSION.", show_default=False)
    ] = None,
) -> None:
    """Print what a version is made of: its dependencies with hashes, as CycloneDX 1.6."""
    name, named = split(plugin)
    if named and version and named != version:
        raise Failure(f"{plugin} and {version} are two versions; name one")
    with open_client() as client:
        wanted = named or version or latest(client, name)
        text = client.auditor.get_report(name, wanted, "cyclonedx")
    show_report(text)


def decide(
    plugin: PluginAtVersion,
    state: Annotated[
        str, typer.Argument(help="approved, rejected, deprecated, yanked or quarantined.")
    ],
    reason: Annotated[str, typer.Option(help="Why; it is kept in the trail.")],
    as_json: Json = False,
) -> None:
    """Move a version to another state, as the person who answers for it."""
    with open_client() as client:
        name, version = split(plugin)
        if version is None:
            raise Failure("name the version: PLUGIN@VERSION")
        changed = client.registry.set_state(name, version, state, reason)
    if as_json:
        show_json(changed.document)
    else:
        show(f"{changed.plugin} {changed.version} is {changed.state}")


def add_to(app: typer.Typer) -> None:
    app.command(epilog=example("heimnetz search energy"))(search)
    app.command("show", epilog=example("heimnetz show energy-report@1.0.0"))(show_version)
    app.command(epilog=example("heimnetz versions energy-report --json"))(versions)
    app.command(epilog=example("heimnetz audits"))(audits)
    app.command(epilog=example("heimnetz report energy-report --format markdown"))(report)
    app.command(epilog=example("heimnetz sbom energy-report", "heimnetz sbom energy-report 1.0.0"))(
        sbom
    )
    app.command(
        epilog=example('heimnetz decide web-probe@1.0.0 approved --reason "I read its code"')
    )(decide)
