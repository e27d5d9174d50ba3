"""What the owner puts to use: installations, with their grants and configuration."""

import base64
import heapq
import itertools
import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer
from typer.core import TyperGroup

from heimnetz_cli.commands.catalogue import audit_line, find_version, signature_line
from heimnetz_cli.commands.options import Json, Limit, Plugin, PluginAtVersion, example
from heimnetz_cli.commands.publishing import follow_audit
from heimnetz_cli.exits import Exit, Failure
from heimnetz_cli.output import note, show, show_facts, show_json, show_table, visible, when
from heimnetz_cli.session import open_client

if TYPE_CHECKING:
    from heimnetz_sdk.models import Installation, Page, Version

# What was published a moment ago is waited for.
AUDIT_SECONDS = 120.0
WHAT = {
    "altered": "altered, or put in another's place",
    "removed": "removed",
    "forged": "linked anew by somebody else",
}


def install(
    plugin: PluginAtVersion,
    settings: Annotated[
        list[str] | None,
        typer.Option("--config", help="KEY=VALUE; the value is JSON, or else text."),
    ] = None,
    config_file: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="The configuration as a JSON object."),
    ] = None,
    is_agreed: Annotated[
        bool, typer.Option("--yes", "-y", help="Grant everything that it asks for.")
    ] = False,
    is_downgrade: Annotated[
        bool, typer.Option("--downgrade", help="Even if a higher version is installed.")
    ] = False,
    is_revoked: Annotated[
        bool,
        typer.Option("--revoked-key", help="As the owner: though its signing key was revoked."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Put a version to use. Asks for each permission with the author's reason.

    One whose audit is under way is waited for.

    Without --yes a permission that is refused is not granted; the plugin runs without it. What was
    configured before stays, unless --config or --config-file says otherwise.
    """
    from heimnetz_sdk.errors import NotFound

    given = configuration_of(settings or [], config_file)
    with open_client() as client:
        version = find_version(client, plugin)
        if version.state == "submitted":
            version = follow_audit(client, version, AUDIT_SECONDS)
        note(f"signed: {signature_line(version)}")
        grants = _grants(version, is_agreed=is_agreed)
        try:
            before = client.registry.get_installation(version.plugin).configuration
        except NotFound:
            before = {}
        # Secrets come back as "***"; sending that keeps what is stored.
        configuration = {**before, **given}
        done = client.registry.install(
            version.plugin,
            version.version,
            grants,
            configuration,
            allow_downgrade=is_downgrade,
            allow_revoked_key=is_revoked,
        )
    if as_json:
        show_json(done.document)
        return
    show(f"{done.plugin} {done.version} is installed")
    note(f"run it: heimnetz run {done.plugin}")


def configuration_of(settings: list[str], file: Path | None) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if file is not None:
        try:
            read = json.loads(file.read_text())
        except json.JSONDecodeError as error:
            raise Failure(f"{file}, line {error.lineno}: {error.msg}") from None
        if not isinstance(read, dict):
            raise Failure(f"{file}: the configuration is a JSON object")
        values.update(read)
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not key or not equals:
            raise Failure(f"--config {setting!r}: it is KEY=VALUE")
        try:
            values[key] = json.loads(value)
        except json.JSONDecodeError:
            values[key] = value
    return values


def _grants(version: "Version", *, is_agreed: bool) -> list[str]:
    from heimnetz_manifest import Permissions
    from heimnetz_manifest.permissions import describe

    asked = list(permissions_of(version.manifest, Permissions).asked())
    if not asked:
        note(f"{version.plugin} {version.version} asks for nothing outside its container")
        return []
    note(f"{version.plugin} {version.version} (audit: {audit_line(version)}) asks to:")
    if is_agreed:
        for key, reason in asked:
            note(f"  {describe(key)}: {reason}")
        return [key for key, _ in asked]
    if not sys.stdin.isatty():
        for key, reason in asked:
            note(f"  {describe(key)}: {reason}")
        raise Failure("there is no terminal to ask on; pass --yes to grant all of it")
    return [
        key
        for key, reason in asked
        if typer.confirm(visible(f"  {describe(key)}: {reason}\n  grant?"), default=False, err=True)
    ]


def permissions_of(manifest: Mapping[str, Any], model: Any) -> Any:
    return model.model_validate(manifest.get("permissions") or {})


def grants(
    reach: Annotated[
        str | None, typer.Option(help="Only what leads to this HOST:PORT or ADDRESS:PORT.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List what installed plugins were granted, or who can reach something."""
    from heimnetz_manifest.permissions import describe

    with open_client() as client:
        page = client.registry.list_grants(reach)
    if as_json:
        show_json([item.document for item in page.items])
    elif not page.items:
        show("nothing is granted" if reach is None else f"no plugin may reach {reach}")
    else:
        show_table(
            ["plugin", "version", "may"],
            [[item.plugin, item.version, describe(item.grant)] for item in page.items],
        )


def uninstall(plugin: Plugin) -> None:
    """Take a plugin out of use; its versions and runs stay."""
    with open_client() as client:
        client.registry.uninstall(plugin)
    note(f"{plugin} is not installed any more")


def installed(
    plugin: Annotated[str | None, typer.Argument(help="Show this one in full.")] = None,
    as_json: Json = False,
) -> None:
    """List what is installed, or show one installation."""
    with open_client() as client:
        if plugin is None:
            page = client.registry.list_installations()
            if as_json:
                show_json([item.document for item in page.items])
                return
            show_table(
                ["plugin", "version", "installed", "by"],
                [
                    [
                        item.plugin,
                        item.version + (" (on trial)" if item.canary_until else ""),
                        when(item.installed_at),
                        item.installed_by,
                    ]
                    for item in page.items
                ],
            )
            return
        found = client.registry.get_installation(plugin)
    if as_json:
        show_json(found.document)
        return
    show_facts(
        {
            "plugin": f"{found.plugin} {found.version}",
            "installed": f"{when(found.installed_at)} by {found.installed_by}",
            "sha256": found.sha256,
            "updates": found.update_policy,
            **_trial(found),
        }
    )
    show("\ngranted:")
    for grant in found.grants or ["nothing"]:
        show(f"  {grant}")
    show("\nconfiguration:")
    show_json(dict(found.configuration))


def _trial(found: "Installation") -> dict[str, str]:
    """Of an update that was taken by itself, and what was left for good."""
    facts = {}
    if found.canary_until is not None:
        failed = f", {found.canary_failures} failed runs in a row" if found.canary_failures else ""
        facts["on trial"] = f"until {when(found.canary_until)}{failed}"
    if found.went_back_from:
        facts["went back"] = f"from {found.went_back_from}, which is not taken by itself again"
    return facts


class _Trail(TyperGroup):
    """`heimnetz trail PLUGIN` lists that plugin's entries."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        is_known = bool(args) and (args[0] in self.commands or args[0] in ("--help", "-h"))
        return super().parse_args(ctx, args if is_known else ["list", *args])


trail = typer.Typer(cls=_Trail, help="Who decided what, and whether the record of it is whole.")


@trail.command("list", epilog=example("heimnetz trail list energy-report"))
def list_trail(
    plugin: Annotated[str | None, typer.Argument(help="Of this plugin only.")] = None,
    limit: Limit = 50,
    as_json: Json = False,
) -> None:
    """Show who changed the state of which version, and why. `list` may be left out."""
    with open_client() as client:
        page = client.registry.list_trail(plugin, limit=limit)
    if as_json:
        show_json([item.document for item in page.items])
        return
    if not page.items:
        raise Failure(f"nothing is known about {plugin or 'any plugin'}", Exit.NOT_FOUND)
    headers = [
        key for key, value in page.items[0].document.items() if not isinstance(value, dict | list)
    ]
    show_table(headers, [[item.document.get(key) for key in headers] for item in page.items])


@trail.command(epilog=example("heimnetz trail export > trail.jsonl"))
def export() -> None:
    """Print every entry and every checkpoint, the oldest first, as JSON Lines.

    The end is signed first, where that is possible, so that `trail verify FILE` covers all of it.
    """
    from heimnetz_sdk.errors import HeimnetzError

    until = math.inf
    with open_client() as client:
        try:
            until = client.registry.make_checkpoint().position
        except HeimnetzError as error:
            note(f"the end of the trail is not signed: {error}")
        entries = _every(client.registry.list_chain)
        # A later one may be of entries that came after the last that is exported.
        checkpoints = itertools.takewhile(
            lambda one: one.position <= until, _every(client.registry.list_checkpoints)
        )
        for item in heapq.merge(entries, checkpoints, key=lambda item: item.position):
            show(json.dumps(item.document))


def _every(list_page: "Callable[..., Page[Any]]") -> Iterator[Any]:
    cursor = None
    while True:
        page = list_page(cursor=cursor)
        yield from page.items
        cursor = page.next_cursor
        if cursor is None:
            return


@trail.command(epilog=example("heimnetz trail checkpoint > checkpoint.json"))
def checkpoint() -> None:
    """Sign the end of the trail, and print that: keep it where the platform cannot reach it."""
    with open_client() as client:
        show_json(client.registry.make_checkpoint().document)


@trail.command(
    epilog=example(
        "heimnetz trail verify", "heimnetz trail verify trail.jsonl --checkpoint checkpoint.json"
    )
)
def verify(
    file: Annotated[
        Path | None,
        typer.Argument(exists=True, dir_okay=False, help="An export: verify it offline."),
    ] = None,
    noted: Annotated[
        Path | None,
        typer.Option(
            "--checkpoint", exists=True, dir_okay=False, help="One that was kept elsewhere."
        ),
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="The registry's public key, in base64, instead.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Find entries that were altered, removed or put in another order; exit code 1 when there are.

    An export is verified without the platform: with a checkpoint that was kept elsewhere, or with
    the public key that stands in one.
    """
    if file is not None:
        _verify_file(file, noted, key)
        return
    if noted is not None or key is not None:
        raise Failure("--checkpoint and --key go with the FILE of an export")
    with open_client() as client:
        found = client.registry.verify_trail()
    if as_json:
        show_json(found.document)
    elif found.is_intact:
        show(f"{found.entries} entries, all as they were written")
        show(f"last: {found.position} {found.digest}; {found.checkpoints} checkpoints fit")
    else:
        for problem in found.problems:
            show(f"entry {problem['entry']} was {WHAT.get(problem['what'], problem['what'])}")
        note("an entry is a decision; a backup of the database says what it was")
    if not found.is_intact:
        raise typer.Exit(Exit.BAD_OUTCOME)


def _verify_file(file: Path, noted_file: Path | None, key: str | None) -> None:
    from heimnetz_manifest.trail import InvalidExport, read_checkpoint, verify_export

    try:
        noted = None
        public = base64.b64decode(key, validate=True) if key is not None else None
        if noted_file is not None:
            noted, named = read_checkpoint(json.loads(noted_file.read_text(encoding="utf-8")))
            public = public or named
        if public is None:
            raise Failure("give --checkpoint FILE or --key: without, anybody can have signed it")
        with file.open(encoding="utf-8") as lines:
            found = verify_export(_lines(lines), public, noted)
    except InvalidExport as error:
        raise Failure(str(error), Exit.REFUSED_INPUT) from error
    except ValueError as error:
        raise Failure("that is no export, no checkpoint or no key", Exit.REFUSED_INPUT) from error
    for problem in found.problems:
        show(problem)
    if found.problems:
        raise typer.Exit(Exit.BAD_OUTCOME)
    show(f"{found.entries} entries, all as they were written; {found.checkpoints} checkpoints fit")
    show(f"signed up to position {found.covered} at {when(found.covered_at)}")


def _lines(file: TextIO) -> Iterator[str]:
    """Never more of one than is looked at."""
    from heimnetz_manifest.trail import LINE_CHARACTERS

    while line := file.readline(LINE_CHARACTERS + 2):
        yield line


def add_to(app: typer.Typer) -> None:
    app.command(
        epilog=example(
            "heimnetz install energy-report --config price_per_kwh=0.32",
            "heimnetz install energy-report@1.0.0 --yes",
        )
    )(install)
    app.command(epilog=example("heimnetz grants --reach 192.168.1.10:443"))(grants)
    app.command(epilog=example("heimnetz uninstall energy-report"))(uninstall)
    app.command(epilog=example("heimnetz installed energy-report"))(installed)
    app.add_typer(trail, name="trail")
