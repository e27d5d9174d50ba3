"""A plugin under the author's hands: run on every save."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from heimnetz_cli.commands.options import Json, example
from heimnetz_cli.commands.owning import configuration_of
from heimnetz_cli.commands.publishing import read_package_of
from heimnetz_cli.commands.running import input_of
from heimnetz_cli.exits import Exit, Failure
from heimnetz_cli.output import note, progress, seconds, show_json, size
from heimnetz_cli.session import open_client

if TYPE_CHECKING:
    from heimnetz_cli.suggesting import Suggestion
    from heimnetz_manifest import Manifest
    from heimnetz_sdk.client import Client
    from heimnetz_sdk.models import Draft


@dataclass(frozen=True)
class Wish:
    """What every run is given."""

    example: str | None
    input: Mapping[str, Any] | None
    configuration: Mapping[str, Any] = field(repr=False)
    as_json: bool


def dev(
    project: Annotated[
        Path, typer.Argument(exists=True, file_okay=False, help="The plugin's directory.")
    ] = Path(),
    example_name: Annotated[
        str | None, typer.Option("--example", help="One of the manifest's; else its first.")
    ] = None,
    given: Annotated[
        str | None,
        typer.Option("--input", help="In place of the example's: a JSON object, @FILE or -."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--config", help="KEY=VALUE, over the example's; JSON, or else text."),
    ] = None,
    config_file: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="The same as a JSON object."),
    ] = None,
    is_once: Annotated[bool, typer.Option("--once", help="Run once, and do not wait.")] = False,
    as_json: Json = False,
) -> None:
    """Run the directory as it is in the stack's sandbox, now and on every save.

    With the caps of its manifest, and with the permissions that it asks for if you are the owner;
    anybody else's has none. Events and calls of other plugins lead nowhere, storage is empty and
    forgotten; nothing is published, installed or recorded. What was refused is told, with the
    lines that the manifest would need. The result goes to standard output.
    """
    wish = Wish(
        example_name,
        None if given is None else input_of(given),
        configuration_of(settings or [], config_file),
        as_json,
    )
    with open_client() as client:
        if is_once:
            if not _round(client, project, wish):
                raise typer.Exit(Exit.BAD_OUTCOME)
            return
        try:
            _loop(client, project, wish)
        except KeyboardInterrupt:
            note("ended")


def _loop(client: "Client", project: Path, wish: Wish) -> None:
    """Goes on over everything that the next save, or a moment, may put right."""
    from heimnetz_cli.reloading import saves
    from heimnetz_sdk.errors import Forbidden, HeimnetzError, Unauthenticated

    for _ in saves(project):
        try:
            _round(client, project, wish)
        except (Forbidden, Unauthenticated):
            raise
        except HeimnetzError as error:
            note(f"heimnetz: {error.detail}")
        except (Failure, OSError) as error:
            note(f"heimnetz: {error}")
        note("waiting for a save; Ctrl-C ends\n")


def _round(client: "Client", project: Path, wish: Wish) -> bool:
    """Whether it ended well. Raises: Failure, HeimnetzError, OSError."""
    draft, manifest, more = run_draft(client, project, wish)
    if wish.as_json:
        show_json(to_document(draft, more))
    else:
        _show(draft, manifest, more)
    return draft.outcome == "ok"


def run_draft(
    client: "Client", project: Path, wish: Wish
) -> tuple["Draft", "Manifest", "Suggestion"]:
    """The run, and what its manifest would have to ask for besides.

    Raises: Failure, HeimnetzError, OSError.
    """
    from heimnetz_cli.suggesting import Observation, suggest_more

    data, checked = read_package_of(project)
    if not isinstance(data, bytes):
        raise Failure(f"{project} is not a directory")
    manifest = checked.manifest
    chosen = _example(manifest, wish.example)
    with progress(f"running {manifest.name} {manifest.version}{_with(chosen)}"):
        draft = client.sandbox.run_draft(
            data, example=chosen, input=wish.input, configuration=wish.configuration
        )
    refused = [
        Observation(str(one.get("kind", "")), str(one.get("target", "")))
        for one in draft.reached
        if not one.get("is_granted")
    ]
    return draft, manifest, suggest_more(manifest.permissions, refused)


def _example(manifest: "Manifest", name: str | None) -> str | None:
    names = [one.name for one in manifest.examples]
    if name is None:
        return names[0] if names else None
    if name not in names:
        known = ", ".join(names) or "none"
        raise Failure(f"the manifest has no example {name}; it has {known}", Exit.NOT_FOUND)
    return name


def _with(example_name: str | None) -> str:
    return "" if example_name is None else f" with the example {example_name}"


def to_document(draft: "Draft", more: "Suggestion") -> dict[str, Any]:
    from heimnetz_cli import suggesting

    return {**draft.document, "permissions_to_add": suggesting.to_document(more)}


def _show(draft: "Draft", manifest: "Manifest", more: "Suggestion") -> None:
    for line in draft.log:
        note(f"{line.get('stream', ''):<7}  {line.get('text', '')}")
    if draft.result is not None:
        show_json(draft.result)
    for file in draft.files:
        note(f"file {file.get('name')} ({size(file.get('size_bytes'))})")
    facts = [seconds(draft.duration_seconds)]
    if draft.peak_memory_bytes is not None:
        most = size(manifest.limits.memory_bytes)
        facts.append(f"{size(draft.peak_memory_bytes)} of {most} memory")
    if draft.cpu_seconds is not None:
        facts.append(f"{seconds(draft.cpu_seconds)} of processor")
    note(f"{draft.outcome}: {draft.plugin} {draft.version}, {', '.join(facts)}")
    if draft.reason is not None:
        note(draft.reason)
    for pointer in draft.made_up_secrets:
        note(f"the secret {pointer} was made up; give it with --config-file")
    _show_refused(draft, more)


def _show_refused(draft: "Draft", more: "Suggestion") -> None:
    from heimnetz_cli.suggesting import to_yaml

    refused = [one for one in draft.reached if not one.get("is_granted")]
    for one in refused:
        note(f"refused: {one.get('kind')} {one.get('target')}")
    if refused and not draft.has_grants:
        note("only the owner's drafts have the permissions of the manifest; this one had none")
    for question in more.questions:
        note(question)
    if more.needs:
        note("to ask for what was refused, plugin.yaml needs:")
        note(to_yaml(more, with_sources=False).rstrip("\n"))


def add_to(app: typer.Typer) -> None:
    app.command(
        epilog=example(
            "cd frost-warning && heimnetz dev",
            "heimnetz dev --example a-cold-night --config-file secrets.json",
            """heimnetz dev . --once --json --input '{"day": 1}' | jq .outcome""",
        )
    )(dev)
