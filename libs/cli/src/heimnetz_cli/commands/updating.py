"""Another version in an installation's place: forward, and back."""

import sys
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from heimnetz_cli.commands.catalogue import find_version, outlook
from heimnetz_cli.commands.options import Json, Plugin, PluginAtVersion, example
from heimnetz_cli.commands.owning import permissions_of
from heimnetz_cli.exits import Exit, Failure
from heimnetz_cli.output import note, show, show_json
from heimnetz_cli.session import open_client

if TYPE_CHECKING:
    from heimnetz_sdk.models import Installation, Rollback, Version

OUTCOMES = {
    "current": "nothing newer",
    "possible": "not done",
    "waits": "not done, it waits for a yes (--yes)",
    "updated": "done",
}


class UpdatePolicy(StrEnum):
    MANUAL = "manual"
    SAFE = "safe"
    ALWAYS = "always"


POLICIES = {
    UpdatePolicy.MANUAL: "newer versions wait for you",
    UpdatePolicy.SAFE: "newer versions that ask for nothing more are put to use by themselves",
    UpdatePolicy.ALWAYS: "newer versions that ask for no more rights are put to use by themselves",
}


@dataclass(frozen=True)
class Step:
    """From one version to another: what it asks for beyond, and what not any more."""

    plugin: str
    installed: str
    version: str
    asked: list[tuple[str, str]]
    dropped: list[str]
    granted: list[str]


def update(
    plugin: PluginAtVersion,
    is_agreed: Annotated[
        bool, typer.Option("--yes", "-y", help="Grant what it asks for beyond what it had.")
    ] = False,
    is_dry: Annotated[bool, typer.Option("--dry-run", help="Say what would be done.")] = False,
    policy: Annotated[
        UpdatePolicy | None,
        typer.Option(help="From now on, and nothing else now: manual, or by itself: safe, always."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Put the newest approved version of an installed plugin to use.

    One that asks for more waits for a yes: exit code 1. What was refused before stays refused, and
    the configuration stays.

    With --policy safe a version that is approved from now on is put to use by itself, if it asks
    for nothing more and its grade is not worse; any other waits, and `heimnetz trail PLUGIN` says
    why. With --policy always a worse grade, higher limits and new triggers do not wait; more
    permissions do. What was put to use by itself is on trial first, and failing runs bring the
    version before back.
    """
    from heimnetz_manifest import Version as SemVer

    if policy is not None:
        if "@" in plugin or is_agreed or is_dry:
            raise Failure("--policy is for the plugin from now on; it goes alone")
        _choose(plugin, policy, as_json=as_json)
        return
    with open_client() as client:
        before = client.registry.get_installation(plugin.partition("@")[0])
        version = find_version(client, plugin)
        old = client.registry.get_version(before.plugin, before.version)
        step = _step(before, old, version)
        if SemVer(step.version).sort_key <= SemVer(step.installed).sort_key:
            outcome = "current"
        elif is_dry:
            outcome = "possible"
        elif step.asked and not _agrees(step, is_agreed=is_agreed):
            outcome = "waits"
        else:
            grants = [*step.granted, *(key for key, _ in step.asked)]
            client.registry.install(step.plugin, step.version, grants, before.configuration)
            outcome = "updated"
    if as_json:
        show_json({**asdict(step), "asked": dict(step.asked), "outcome": outcome})
    else:
        show(f"{step.plugin} {step.installed} -> {step.version}: {OUTCOMES[outcome]}")
    if outcome == "waits":
        raise typer.Exit(Exit.BAD_OUTCOME)


def _step(before: "Installation", old: "Version", new: "Version") -> Step:
    from heimnetz_manifest import Grants, Permissions

    had = permissions_of(old.manifest, Permissions)
    wanted = permissions_of(new.manifest, Permissions)
    known, granted = Grants.all_of(had), Grants(before.grants)
    return Step(
        plugin=before.plugin,
        installed=before.version,
        version=new.version,
        asked=[pair for pair in wanted.asked() if not known.covers(pair[0])],
        dropped=sorted(had.keys() - wanted.keys()),
        granted=sorted(key for key, _ in wanted.asked() if granted.covers(key)),
    )


def _agrees(step: Step, *, is_agreed: bool) -> bool:
    from heimnetz_manifest.permissions import describe

    note(f"{step.plugin} {step.version} asks for more than {step.installed}:")
    for key, reason in step.asked:
        note(f"  {describe(key)}: {reason}")
    if is_agreed or not sys.stdin.isatty():
        return is_agreed
    return typer.confirm("grant that?", default=False, err=True)


def _choose(plugin: str, policy: UpdatePolicy, *, as_json: bool) -> None:
    with open_client() as client:
        done = client.registry.set_update_policy(plugin, policy.value)
    if as_json:
        show_json(done.document)
        return
    show(f"{done.plugin} {done.version}: {POLICIES[policy]}")
    if policy is not UpdatePolicy.MANUAL:
        note(f"what is approved already is put to use by: heimnetz update {done.plugin}")


def rollback(
    plugin: Plugin,
    is_dry: Annotated[bool, typer.Option("--dry-run", help="Say what would be done.")] = False,
    as_json: Json = False,
) -> None:
    """Bring back the version, grants, configuration and storage from before the last update.

    A second rollback undoes the first.
    """
    with open_client() as client:
        found = client.registry.get_rollback(plugin)
        if is_dry:
            _tell(found, as_json=as_json)
            return
        done = client.registry.roll_back(plugin, found.revision)
    if as_json:
        show_json(done.document)
    else:
        show(f"{done.plugin} {found.from_version} -> {done.version}: rolled back")


def _tell(found: "Rollback", *, as_json: bool) -> None:
    if as_json:
        show_json(found.document)
    else:
        show(f"{found.plugin} {found.from_version} -> {found.version}: {outlook(found)}")
    if found.refusal:
        raise typer.Exit(Exit.BAD_OUTCOME)


def add_to(app: typer.Typer) -> None:
    app.command(
        epilog=example(
            "heimnetz update energy-report",
            "heimnetz update energy-report@1.2.0 --yes",
            "heimnetz update energy-report --policy safe",
        )
    )(update)
    app.command(epilog=example("heimnetz rollback energy-report"))(rollback)
