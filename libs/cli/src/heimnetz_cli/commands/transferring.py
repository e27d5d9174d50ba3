"""An installation as a file: kept, or brought to another Heimnetz."""

import getpass
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from heimnetz_cli.commands.options import Json, Plugin, example
from heimnetz_cli.commands.owning import configuration_of
from heimnetz_cli.exits import Exit, Failure
from heimnetz_cli.output import note, show, show_json
from heimnetz_cli.session import open_client, write_private

FORMAT = "heimnetz-installation/1"
_LARGEST_BYTES = 1024 * 1024  # what the registry takes


def export(
    plugin: Plugin,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The file; without, it is printed."),
    ] = None,
    has_secrets: Annotated[
        bool,
        typer.Option("--secrets", help="With its secrets, sealed with a passphrase."),
    ] = False,
) -> None:
    """Write an installation into a file: version, grants, configuration, update policy.

    Secrets are left out, unless --secrets: the passphrase is asked for, or read from stdin when
    that is no terminal. The package itself and the plugin's own storage are not in it.
    """
    if out is not None and out.exists():
        raise Failure(f"{out} exists already", Exit.CONFLICT)
    passphrase = _passphrase(is_new=True) if has_secrets else None
    with open_client() as client:
        found = client.registry.export_installation(plugin, passphrase)
    if out is None:
        show_json(dict(found))
        return
    try:
        write_private(out, json.dumps(found, indent=2, ensure_ascii=False) + "\n")
    except OSError as error:
        raise Failure(f"{out}: {error.strerror}") from None
    note(f"{plugin} {found.get('version')} is in {out}")


def bring(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="What export wrote.")],
    settings: Annotated[
        list[str] | None,
        typer.Option("--config", help="KEY=VALUE, before what the file says."),
    ] = None,
    is_bare: Annotated[
        bool,
        typer.Option("--without-secrets", help="Leave out those in the file; ask for nothing."),
    ] = False,
    is_downgrade: Annotated[
        bool, typer.Option("--downgrade", help="Even if a higher version is installed.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Put to use what a file says, with the grants that were given when it was written.

    The version has to be published and approved there, with the same bytes. Secrets that the file
    does not have are those that are stored already, or given with --config.
    """
    given = configuration_of(settings or [], None)
    document = _read(file)
    passphrase = None if is_bare or not document.get("sealed") else _passphrase(is_new=False)
    with open_client() as client:
        done = client.registry.import_installation(
            document, passphrase, given, allow_downgrade=is_downgrade
        )
    if as_json:
        show_json(done.document)
        return
    show(f"{done.plugin} {done.version} is installed")
    for grant in done.grants:
        note(f"  granted: {grant}")


def _read(file: Path) -> dict[str, Any]:
    with file.open("rb") as stream:
        data = stream.read(_LARGEST_BYTES + 1)
    if len(data) > _LARGEST_BYTES:
        raise Failure(f"{file} is larger than {_LARGEST_BYTES} bytes")
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise Failure(f"{file} is not what heimnetz export writes")
    return document


def _passphrase(*, is_new: bool) -> str:
    if not sys.stdin.isatty():
        text = sys.stdin.readline().rstrip("\n")
        if not text:
            raise Failure("no passphrase on stdin, and no terminal to ask on")
        return text
    text = getpass.getpass("passphrase: ")
    if is_new and getpass.getpass("again: ") != text:
        raise Failure("the two differ")
    return text


def add_to(app: typer.Typer) -> None:
    app.command(
        epilog=example(
            "heimnetz export energy-report -o energy-report.json",
            "heimnetz export energy-report -o energy-report.json --secrets",
        )
    )(export)
    app.command("import", epilog=example("heimnetz import energy-report.json"))(bring)
