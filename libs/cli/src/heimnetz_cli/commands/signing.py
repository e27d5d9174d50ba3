"""Who vouches for a package: keys of a publisher, and what they sign."""

import socket
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from heimnetz_cli import keyring
from heimnetz_cli.commands.options import Json, example
from heimnetz_cli.exits import Exit, Failure
from heimnetz_cli.output import list_mistakes, note, show, show_json, show_table, when
from heimnetz_cli.session import open_client

if TYPE_CHECKING:
    from heimnetz_manifest.signing import PrivateKey
    from heimnetz_sdk.client import Client
    from heimnetz_sdk.models import SigningKey

SHOWN_KEYS = 200

key = typer.Typer(help="Keys that you sign packages with.", no_args_is_help=True)

Name = Annotated[str | None, typer.Option(help="What to call it; without, this machine's name.")]


def signature_file(package: Path) -> Path:
    return package.with_name(package.name + ".sig")


@key.command(epilog=example("heimnetz key new --name laptop"))
def new(name: Name = None, as_json: Json = False) -> None:
    """Make a key and register its public half. The private half stays here, readable by you alone.

    One that was made and could not be registered is registered now; one that was revoked is
    replaced.
    """
    with open_client() as client:
        made = keyring.find(keyring.key_file())
        known = None if made is None else _find(client, made.id)
        if made is not None and known is not None and known.state == "active":
            raise Failure(
                f"{made.id} is here and in use; replace it: heimnetz key rotate", Exit.CONFLICT
            )
        if made is None or known is not None:
            made = _make(keyring.key_file())
        registered = _register(client, made, name)
    _show(registered, f"registered for {registered.publisher}", as_json=as_json)


@key.command("list", epilog=example("heimnetz key list --publisher anna"))
def list_keys(
    publisher: Annotated[str | None, typer.Option(help="Of this publisher; without, all.")] = None,
    as_json: Json = False,
) -> None:
    """List registered keys, and say which one is here."""
    here = keyring.find(keyring.key_file())
    with open_client() as client:
        page = client.registry.list_keys(publisher, limit=SHOWN_KEYS)
    if as_json:
        show_json([item.document for item in page.items])
        return
    show_table(
        ["key", "publisher", "name", "state", "registered", "here"],
        [
            [
                item.id,
                item.publisher,
                item.name,
                item.state,
                when(item.created_at),
                "yes" if here is not None and here.id == item.id else "",
            ]
            for item in page.items
        ],
    )
    if page.next_cursor:
        note(f"there are more than {SHOWN_KEYS}; pass --publisher")


@key.command(epilog=example("heimnetz key rotate"))
def rotate(name: Name = None, as_json: Json = False) -> None:
    """Replace your key by a new one. What the old one signed stays good; it signs nothing more.

    If it is interrupted, run it again.
    """
    from heimnetz_manifest.signing import hand_over, prove

    old = keyring.get()
    fresh = keyring.find(keyring.next_file()) or _make(keyring.next_file())
    with open_client() as client:
        publisher = client.registry.get_me().name
        successor = client.registry.rotate_key(
            old.id,
            name or socket.gethostname()[:100] or "key",
            fresh.public,
            prove(fresh, publisher),
            hand_over(old, fresh.id),
        )
    keyring.next_file().replace(keyring.key_file())
    _show(successor, f"in place of {old.id}", as_json=as_json)


@key.command(epilog=example('heimnetz key revoke 3f1c… --reason "the laptop was stolen"'))
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="KEY_ID")],
    reason: Annotated[str, typer.Option(help="Why; it is kept in the trail.")],
    as_json: Json = False,
) -> None:
    """Declare a key lost or stolen. What it signed is not installed unless the owner says so."""
    with open_client() as client:
        revoked = client.registry.revoke_key(key_id, reason)
    here = keyring.find(keyring.key_file())
    if here is not None and here.id == revoked.id:
        keyring.key_file().unlink()
        note("its private half was here and is deleted; make another: heimnetz key new")
    _show(revoked, "revoked", as_json=as_json)


def sign(
    package: Annotated[Path, typer.Argument(exists=True, dir_okay=False, metavar="PACKAGE")],
    as_json: Json = False,
) -> None:
    """Sign a packed file: the signature is beside it, as PACKAGE.sig, for heimnetz publish."""
    from heimnetz_manifest import ManifestError, inspect_package
    from heimnetz_manifest.signing import Subject
    from heimnetz_manifest.signing import sign as make

    private = keyring.get()
    try:
        found = inspect_package(package)
    except ManifestError as error:
        raise Failure(list_mistakes(error, package), Exit.REFUSED_INPUT) from None
    subject = Subject(str(found.manifest.name), str(found.manifest.version), found.sha256)
    target = signature_file(package)
    target.write_bytes(make(private, subject))
    if as_json:
        show_json({"file": str(target), "key_id": private.id, "sha256": found.sha256})
    else:
        show(f"{target} ({subject}, by {private.id})")


def _make(file: Path) -> "PrivateKey":
    from heimnetz_manifest.signing import PrivateKey

    made = PrivateKey.generate()
    keyring.store(made, file)
    return made


def _register(client: "Client", made: "PrivateKey", name: str | None) -> "SigningKey":
    from heimnetz_manifest.signing import prove

    publisher = client.registry.get_me().name
    called = name or socket.gethostname()[:100] or "key"
    return client.registry.register_key(called, made.public, prove(made, publisher))


def _find(client: "Client", key_id: str) -> "SigningKey | None":
    from heimnetz_sdk.errors import NotFound

    try:
        return client.registry.get_key(key_id)
    except NotFound:
        return None


def _show(found: "SigningKey", what: str, *, as_json: bool) -> None:
    if as_json:
        show_json(found.document)
    else:
        show(f"{found.id} {what}")


def add_to(app: typer.Typer) -> None:
    app.add_typer(key, name="key")
    app.command(epilog=example("heimnetz sign energy-report-1.0.0.tar.gz"))(sign)
