"""Who I am to the platform."""

import getpass
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from heimnetz_cli import session as sessions
from heimnetz_cli.commands.options import Json, example
from heimnetz_cli.exits import Failure
from heimnetz_cli.output import note, show, show_json, show_table, when

if TYPE_CHECKING:
    from heimnetz_sdk.client import Client


def login(
    url: Annotated[str | None, typer.Option(help="The gateway's address.")] = None,
    token: Annotated[
        str | None,
        typer.Option(help="A token instead of name and password; - reads it from stdin."),
    ] = None,
    ca_file: Annotated[
        Path | None, typer.Option(help="The CA certificate that signed the gateway's.")
    ] = None,
    setup_token: Annotated[
        str | None,
        typer.Option(help="Create the owner account, once; - reads the token from stdin."),
    ] = None,
    name: Annotated[str | None, typer.Option(help="The account's name.")] = None,
) -> None:
    """Log in, and remember it for the commands that follow.

    The password is asked for, or read from stdin when that is no terminal. What is stored is a
    token, readable by you alone.
    """
    from heimnetz_sdk.client import Client

    known = sessions.load()
    address = url or known.url
    is_same = address.rstrip("/") == known.url.rstrip("/")
    trust = ca_file or (known.ca_file if is_same else None)
    if token is not None and setup_token is not None:
        raise Failure("--token and --setup-token exclude each other")
    token = _secret(token) or (
        os.environ.get("HEIMNETZ_TOKEN") if name is None and setup_token is None else None
    )
    if token is None:
        with Client(address, ca_file=trust) as client:
            token = _new_token(client, _secret(setup_token), name)
    with Client(address, token=token, ca_file=trust) as client:
        me = client.registry.get_me()
    file = sessions.save(sessions.Session(address, token, trust))
    note(f"logged in at {address} as {me.name} ({me.role}); stored in {file}")


def _new_token(client: "Client", setup_token: str | None, name: str | None) -> str:
    if setup_token is not None:
        name = name or _ask("name of the owner", "owner")
        return client.registry.set_up(setup_token, name, _password(is_new=True)).token
    name = name or _ask("name", getpass.getuser())
    return client.registry.log_in(name, _password(is_new=False)).token


def _secret(value: str | None) -> str | None:
    return sys.stdin.readline().strip() if value == "-" else value


def _ask(what: str, default: str) -> str:
    if not sys.stdin.isatty():
        raise Failure("pass --name: there is no terminal to ask on")
    answer: str = typer.prompt(what, default=default, err=True)
    return answer


def _password(*, is_new: bool) -> str:
    if not sys.stdin.isatty():
        password = sys.stdin.readline().rstrip("\n")
        if not password:
            raise Failure("no password on stdin, and no terminal to ask on")
        return password
    password = getpass.getpass("password: ")
    if is_new and getpass.getpass("again: ") != password:
        raise Failure("the two passwords differ")
    return password


def logout() -> None:
    """Forget the stored token."""
    note("logged out" if sessions.forget() else "nobody was logged in")


def whoami(as_json: Json = False) -> None:
    """Show who I am and which role I have."""
    session = sessions.load()
    with sessions.open_client(session) as client:
        me = client.registry.get_me()
    if as_json:
        show_json({"url": session.url, **me.document})
    else:
        show(f"{me.name} ({me.role}) at {session.url}")


class Role(StrEnum):
    OWNER = "owner"
    OPERATOR = "operator"
    PUBLISHER = "publisher"
    AUDITOR = "auditor"
    VIEWER = "viewer"


def token(
    name: Annotated[str, typer.Argument(help="What or whom it is for.")],
    role: Annotated[Role, typer.Option(help="What it may do.")],
    days: Annotated[
        int | None, typer.Option(min=1, max=3650, help="How long it is good; without, for ever.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a token for a person or a program. It is shown this once."""
    with sessions.open_client() as client:
        made = client.registry.create_token(name, role.value, days)
    if as_json:
        show_json(made.document)
    else:
        note(f"token {made.id} for {name} ({role.value}); it is not shown again")
        show(made.token)


def tokens(as_json: Json = False) -> None:
    """List the tokens, without the tokens themselves."""
    with sessions.open_client() as client:
        page = client.registry.list_tokens()
    if as_json:
        show_json([item.document for item in page.items])
        return
    show_table(
        ["id", "name", "role", "created", "expires"],
        [
            [item.id, item.name, item.role, when(item.created_at), when(item.expires_at)]
            for item in page.items
        ],
    )


def revoke(token_id: Annotated[str, typer.Argument(metavar="TOKEN_ID")]) -> None:
    """Make a token useless."""
    with sessions.open_client() as client:
        client.registry.revoke_token(token_id)
    note(f"token {token_id} is of no use any more")


def add_to(app: typer.Typer) -> None:
    app.command(
        epilog=example(
            "heimnetz login --url https://nuc.lan:8443 --ca-file root.crt --name anna",
            "heimnetz login --setup-token - --name owner",
        )
    )(login)
    app.command(epilog=example("heimnetz logout"))(logout)
    app.command(epilog=example("heimnetz whoami --json"))(whoami)
    app.command(epilog=example("heimnetz token ci --role publisher --days 90"))(token)
    app.command(epilog=example("heimnetz tokens"))(tokens)
    app.command(epilog=example("heimnetz revoke 0193…"))(revoke)
