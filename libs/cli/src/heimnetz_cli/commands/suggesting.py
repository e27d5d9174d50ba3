"""The permissions that a manifest should ask for."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from heimnetz_cli.commands.options import Json, example
from heimnetz_cli.exits import Exit, Failure
from heimnetz_cli.output import list_mistakes, note, show_json, show_report
from heimnetz_cli.session import load, open_client

if TYPE_CHECKING:
    from heimnetz_cli.suggesting import Observation, Suggestion
    from heimnetz_manifest import Package

_MAX_OBSERVATIONS = 1000


def suggest_permissions(
    path: Annotated[
        Path, typer.Argument(exists=True, help="A plugin's directory or package.")
    ] = Path(),
    is_written: Annotated[
        bool, typer.Option("--write", help="Replace them in plugin.yaml; its other lines stay.")
    ] = False,
    is_offline: Annotated[
        bool, typer.Option("--offline", help="Do not ask the platform what runs have shown.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Print the least permissions: what the code shows, and what runs and trials were seen doing.

    Nothing is executed. Where somebody is logged in, the platform is asked what it has seen of the
    plugin. Ends with 0 when the manifest asks for exactly that, 1 when for more or less.
    """
    from heimnetz_audit import SourceTree, audit
    from heimnetz_cli.reading import read_uses
    from heimnetz_cli.suggesting import suggest

    if is_written and not path.is_dir():
        raise Failure("--write needs a directory; a package never changes")
    package = _read(path)
    manifest = package.manifest
    # Tests reach for what they like; the platform never runs them.
    files = {name: data for name, data in package.files.items() if not name.startswith("tests/")}
    report = audit(SourceTree.from_files(files), source_only=True)
    observations = None if is_offline else _observe(str(manifest.name), str(manifest.version))
    uses = read_uses(files)
    uses.questions += [f"{one.file} was not looked at: {one.why}" for one in report.unknowns]
    uses.keys.update(f"publish:{event}" for event in report.inferred.events)
    if manifest.runtime != "python":
        uses.questions.append(f"only Python is read for storage, events and calls, not "
                              f"{manifest.runtime}")  # fmt: skip
    result = suggest(manifest.permissions, report.inferred.network, uses, observations or ())
    if is_written:
        _write(path / "plugin.yaml", result)
    _answer(result, package, has_seen=observations is not None, as_json=as_json)
    if not result.fits and not is_written:
        raise typer.Exit(Exit.BAD_OUTCOME)


def _read(path: Path) -> "Package":
    from heimnetz_manifest import ManifestError, pack, read_package

    try:
        return read_package(pack(path) if path.is_dir() else path)
    except ManifestError as error:
        raise Failure(list_mistakes(error, path), Exit.REFUSED_INPUT) from None


def _observe(plugin: str, version: str) -> "list[Observation] | None":
    """None where the platform cannot be asked."""
    from heimnetz_cli.suggesting import Observation
    from heimnetz_sdk.errors import HeimnetzError, NotFound

    if load().token is None:
        note("not logged in: what runs have shown is left out")
        return None
    try:
        with open_client() as client:
            seen = list(client.sandbox.get_behaviour(plugin))
            try:
                seen += client.sandbox.get_trial(plugin, version).touched
            except NotFound:
                note(f"{plugin} {version} was not tried out yet: heimnetz trial {plugin}")
    except HeimnetzError as error:
        note(f"what runs have shown is left out: {error.detail}")
        return None
    return [
        Observation(str(one.get("kind", "")), str(one.get("target", "")))
        for one in seen[:_MAX_OBSERVATIONS]
        if isinstance(one, Mapping)
    ]


def _write(file: Path, result: "Suggestion") -> None:
    from heimnetz_cli.suggesting import replace_permissions

    if result.fits:
        return
    old = file.read_bytes()
    changed = replace_permissions(old.decode("utf-8-sig"), result).encode()
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=".plugin.yaml.")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(changed)
        Path(name).chmod(file.stat().st_mode & 0o777)
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _answer(result: "Suggestion", package: "Package", *, has_seen: bool, as_json: bool) -> None:
    from heimnetz_cli.suggesting import to_document, to_yaml
    from heimnetz_manifest.permissions import describe

    if as_json:
        show_json(
            {
                "plugin": str(package.manifest.name),
                "version": str(package.manifest.version),
                "fits": result.fits,
                "has_observations": has_seen,
                "permissions": to_document(result),
                "needs": [
                    {"key": key, "sources": sorted(sources)}
                    for key, sources in sorted(result.needs.items())
                ],
                "added": result.added,
                "removed": result.removed,
                "questions": result.questions,
            }
        )
        return
    show_report(to_yaml(result, with_sources=True))
    for key in result.added:
        note(f"not asked for yet: {describe(key)}")
    for key in result.removed:
        note(f"asked for, and nothing needs it: {describe(key)}")
    for question in result.questions:
        note(f"not known: {question}")
    if result.fits:
        note("the manifest asks for exactly this")


def add_to(app: typer.Typer) -> None:
    app.command(
        "suggest",
        epilog=example("heimnetz suggest plugins/energy-report", "heimnetz suggest . --write"),
    )(suggest_permissions)
