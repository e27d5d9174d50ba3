"""Starts the process, or makes a token for who controls the container."""

import argparse
import asyncio
import sys
from datetime import timedelta

from heimnetz_common.auth import ROLES
from heimnetz_common.errors import HeimnetzError
from heimnetz_common.service import Service
from heimnetz_common.settings import load_settings
from heimnetz_common.web import serve
from heimnetz_registry.admitting import Doorkeeper
from heimnetz_registry.app import create
from heimnetz_registry.model import Actor
from heimnetz_registry.settings import RegistrySettings


async def create_token(
    settings: RegistrySettings, *, name: str, role: str, days: int | None
) -> str:
    """A new token; who can run this owns the container and with it everything."""
    database = Service.from_settings(settings).opened_database
    await database.open()
    try:
        doorkeeper = Doorkeeper(
            database,
            setup_token=None,
            session_hours=settings.session_hours,
            guesses_per_minute=settings.guesses_per_minute,
        )
        _, token = await doorkeeper.issue(
            kind="token",
            name=name,
            role=role,
            lifetime=timedelta(days=days) if days is not None else None,
            by=Actor("console", "console"),
        )
    finally:
        await database.close()
    return token


def main() -> None:
    parser = argparse.ArgumentParser(prog="heimnetz_registry", description="The registry.")
    commands = parser.add_subparsers(dest="command")
    token = commands.add_parser("create-token", help="print a new token")
    token.add_argument("--name", required=True)
    token.add_argument("--role", required=True, choices=ROLES)
    token.add_argument("--days", type=int, help="days until it ends; never by default")
    arguments = parser.parse_args()
    settings = load_settings(RegistrySettings)
    if arguments.command is None:
        serve(create(settings), settings)
        return
    try:
        made = create_token(settings, name=arguments.name, role=arguments.role, days=arguments.days)
        print(asyncio.run(made))  # noqa: T201 - the command's answer
    except HeimnetzError as error:
        sys.exit(f"{error.title}: {error.detail}")


if __name__ == "__main__":
    main()
