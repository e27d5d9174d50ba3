"""The known vulnerabilities that audits compare with, from files of OSV."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from heimnetz_cli.commands.options import Json, example
from heimnetz_cli.exits import Exit, Failure
from heimnetz_cli.output import note, show, show_json, when
from heimnetz_cli.session import open_client

if TYPE_CHECKING:
    from heimnetz_audit import Advisories

osv = typer.Typer(help="Known vulnerabilities of dependencies.", no_args_is_help=True)


def read_advisories(files: Iterable[Path]) -> "Advisories":
    """Raises: Failure."""
    from heimnetz_audit.importing import read
    from heimnetz_audit.model import InvalidAdvisories

    try:
        return read(files)
    except InvalidAdvisories as error:
        raise Failure(str(error), Exit.REFUSED_INPUT) from None
    except OSError as error:
        raise Failure(f"{error.filename}: {error.strerror}") from None


@osv.command("import", epilog=example("heimnetz osv import PyPI/all.zip npm/all.zip"))
def bring(
    files: Annotated[
        list[Path],
        typer.Argument(
            exists=True, dir_okay=False, help="OSV's all.zip of an ecosystem, or JSON files."
        ),
    ],
    as_json: Json = False,
) -> None:
    """Give the platform these advisories in place of those that it has; as the owner.

    They are read here, all files together; those about PyPI and npm are sent. Every version is
    audited again, installed ones first.
    """
    found = read_advisories(files)
    with open_client() as client:
        done = client.auditor.put_advisories(found.content)
    if as_json:
        show_json(done.document)
        return
    show(f"{done.count} advisories, the latest of {when(done.as_of)}, are imported")
    note("what is installed is audited again within a minute or two")


@osv.command("show", epilog=example("heimnetz osv show"))
def show_advisories(as_json: Json = False) -> None:
    """Say which advisories the platform has, and how old they are."""
    with open_client() as client:
        known = client.auditor.get_advisories()
    if as_json:
        show_json(known.document)
    elif known.as_of is None:
        show("none were imported: it is not known whether dependencies have known vulnerabilities")
    else:
        show(f"{known.count} advisories, the latest of {when(known.as_of)}")
        note(f"imported {when(known.imported_at)} by {known.imported_by}")


def add_to(app: typer.Typer) -> None:
    app.add_typer(osv, name="osv")
