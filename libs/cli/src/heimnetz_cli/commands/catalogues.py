"""Where else plugins come from: other people's catalogues, and one made of what is here."""

import hashlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from heimnetz_cli.commands.catalogue import signature_line
from heimnetz_cli.commands.options import Json, PluginAtVersion, example, split
from heimnetz_cli.commands.publishing import follow_audit
from heimnetz_cli.exits import Exit, Failure
from heimnetz_cli.output import note, progress, show, show_json, show_table, size, visible, when
from heimnetz_cli.session import open_client

if TYPE_CHECKING:
    from heimnetz_sdk.client import Client
    from heimnetz_sdk.models import Catalogue

catalogue = typer.Typer(help="Where else plugins come from.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="What the catalogue is called here.")]


@catalogue.command(
    epilog=example(
        "heimnetz catalogue add friends https://plugins.example.org/index.json",
        "heimnetz catalogue add cellar https://cellar.lan:8443/api/registry/v1/catalogue/index.json"
        " --address 192.168.1.20 --ca-file cellar.crt --token -",
    )
)
def add(
    name: Name,
    url: Annotated[str, typer.Argument(metavar="URL", help="Of its index, https.")],
    key: Annotated[
        str | None,
        typer.Option(help="The fingerprint of its key; without, it is shown and asked for."),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(help="Where its host is, if that is in the home network."),
    ] = None,
    ca_file: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="The authority to trust for it."),
    ] = None,
    token: Annotated[str | None, typer.Option(help="To show to it; - reads it from stdin.")] = None,
    as_json: Json = False,
) -> None:
    """Add a catalogue. Its index has to be signed by the key that you confirm, now and ever."""
    if token == "-":  # noqa: S105 - not one
        token = sys.stdin.readline().strip()
    ca = None if ca_file is None else ca_file.read_text("utf-8")
    with open_client() as client:
        if key is None:
            key = _confirmed(client, url, address=address, ca=ca, token=token)
        added = client.catalogues.add(name, url, key, address=address, ca=ca, token=token)
    _show(added, as_json=as_json)


def _confirmed(client: "Client", url: str, **source: str | None) -> str:
    found = client.catalogues.preview(url, **source)
    note(f"{found.releases} versions and {found.warnings} warnings, signed by the key")
    note(f"  {found.key_id}")
    if not sys.stdin.isatty():
        raise Failure("compare that with what its owner says, and pass it with --key")
    if not typer.confirm("is that what its owner says?", default=False, err=True):
        raise Failure("nothing was added", Exit.BAD_OUTCOME)
    return found.key_id


@catalogue.command("list", epilog=example("heimnetz catalogue list"))
def list_catalogues(as_json: Json = False) -> None:
    """List the catalogues, and what was wrong with them when they were last read."""
    with open_client() as client:
        page = client.catalogues.list_all()
    if as_json:
        show_json([item.document for item in page.items])
        return
    show_table(
        ["catalogue", "index", "read", "good until", "problem", "address"],
        [
            [one.name, one.counter, when(one.read_at), when(one.expires_at), one.problem, one.url]
            for one in page.items
        ],
    )


@catalogue.command("show", epilog=example("heimnetz catalogue show friends"))
def show_releases(name: Name, as_json: Json = False) -> None:
    """List the versions that a catalogue has."""
    with open_client() as client:
        releases = list(client.catalogues.iterate_releases(name))
    if as_json:
        show_json([item.document for item in releases])
        return
    show_table(
        ["plugin", "version", "publisher", "signed", "size", "title"],
        [
            [
                *(one.plugin, one.version, one.publisher, "yes" if one.key_id else "no"),
                *(size(one.size_bytes), one.title),
            ]
            for one in releases
        ],
    )


@catalogue.command(epilog=example("heimnetz catalogue remove friends"))
def remove(name: Name) -> None:
    """Remove a catalogue. What was mirrored from it stays."""
    with open_client() as client:
        client.catalogues.remove(name)
    note(f"{visible(name)} is removed")


@catalogue.command(epilog=example("heimnetz catalogue refresh friends"))
def refresh(name: Name, as_json: Json = False) -> None:
    """Read a catalogue's index now, and stop what it warns of."""
    with open_client() as client, progress(f"reading {name}"):
        found = client.catalogues.refresh(name)
    _show(found, as_json=as_json)


@catalogue.command(epilog=example("heimnetz catalogue mirror friends energy-report --wait"))
def mirror(
    name: Name,
    plugin: PluginAtVersion,
    is_awaited: Annotated[
        bool, typer.Option("--wait", help="Wait for the audit and the verdict.")
    ] = False,
    wait_seconds: Annotated[
        float, typer.Option("--timeout", min=1, help="Wait at most so long.")
    ] = 300,
    as_json: Json = False,
) -> None:
    """Bring a version from a catalogue: it is audited here like any other."""
    with open_client() as client:
        wanted, number = split(plugin)
        number = number or _latest(client, name, wanted)
        with progress(f"fetching {wanted} {number}"):
            version, _ = client.catalogues.mirror(name, wanted, number)
        note(f"signed: {signature_line(version)}")
        if is_awaited:
            version = follow_audit(client, version, wait_seconds)
    if as_json:
        show_json(version.document)
    else:
        show(f"{version.plugin} {version.version} {version.state}")
    if is_awaited and version.state != "approved":
        raise typer.Exit(Exit.BAD_OUTCOME)


def _latest(client: "Client", name: str, plugin: str) -> str:
    from heimnetz_manifest import Version

    found = [one for one in client.catalogues.iterate_releases(name) if one.plugin == plugin]
    if not found:
        raise Failure(f"{name} has no {plugin}", Exit.NOT_FOUND)
    return max((one.version for one in found), key=lambda text: Version(text).sort_key)


@catalogue.command(epilog=example("heimnetz catalogue export /srv/www/plugins"))
def export(
    folder: Annotated[Path, typer.Argument(file_okay=False, metavar="FOLDER")],
    as_json: Json = False,
) -> None:
    """Write what is approved here as a catalogue for any web server: index.json and packages/.

    The index is good for 30 days: do it again before.
    """
    from heimnetz_manifest.catalogue import find_signer, read_index

    with open_client() as client:
        data = client.catalogues.get_own_index()
        signer = find_signer(data)
        index = read_index(data, pinned=signer)
        (folder / "packages").mkdir(parents=True, exist_ok=True)
        for one in index.releases:
            target = folder / "packages" / f"{one.sha256}.tar.gz"
            if not _has(target, one.sha256):
                _write(target, b"".join(client.catalogues.download_own(one.sha256)), one.sha256)
    # Last, so that it never names what is not there.
    _write(folder / "index.json", data)
    facts: dict[str, Any] = {
        "key_id": signer,
        "counter": index.counter,
        "expires_at": index.expires_at.isoformat(),
        "releases": len(index.releases),
        "warnings": len(index.revoked),
    }
    if as_json:
        show_json(facts)
        return
    show(f"{folder}: {facts['releases']} versions, {facts['warnings']} warnings")
    note(f"good until {when(index.expires_at)}; signed by {signer}")


def _has(file: Path, sha256: str) -> bool:
    return file.is_file() and hashlib.sha256(file.read_bytes()).hexdigest() == sha256


def _write(file: Path, data: bytes, sha256: str | None = None) -> None:
    if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
        raise Failure(f"what came for {sha256} is another package", Exit.UNEXPECTED)
    new = file.with_name(f".{file.name}.new")
    new.write_bytes(data)
    new.replace(file)


def _show(found: "Catalogue", *, as_json: bool) -> None:
    if as_json:
        show_json(found.document)
    else:
        show(f"{found.name}: index {found.counter}, good until {when(found.expires_at)}")


def add_to(app: typer.Typer) -> None:
    app.add_typer(catalogue, name="catalogue")
