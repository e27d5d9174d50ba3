"""Versions put to use."""

from dataclasses import asdict

from fastapi import APIRouter, Depends, Request, Response

from heimnetz_common.auth import Rule, require, require_service
from heimnetz_common.routing import router
from heimnetz_common.tokens import Principal
from heimnetz_manifest import ManifestError, PluginName, Version
from heimnetz_registry.api.dependencies import (
    Cursor,
    Limit,
    Plugin,
    Rooms,
    actor_of,
    answer,
    page,
    read_cursor,
)
from heimnetz_registry.api.schemas import (
    Configuration,
    InstallationBody,
    InstallationPage,
    InstallationShown,
)
from heimnetz_registry.errors import refusal
from heimnetz_registry.installing import Wish
from heimnetz_registry.store import installations

READERS: Rule = require(
    "operator", "auditor", "viewer", services=("sandbox", "monitor", "docs-gen", "auditor")
)
INSTALLERS: Rule = require("operator")
SANDBOX: Rule = require_service("sandbox")


def routes(rooms: Rooms) -> APIRouter:
    api = router(prefix="/v1/installations", tags=["installations"])

    @api.get("", response_model=InstallationPage, dependencies=[Depends(READERS)])
    async def list_installations(
        request: Request, limit: Limit = 50, cursor: Cursor = None
    ) -> Response:
        after = read_cursor(cursor, PluginName)
        async with rooms.database.connection() as connection:
            found = await installations.list_installations(connection, limit=limit + 1, after=after)
        shown = [asdict(item) for item in found]
        return answer(request, page(shown, limit, lambda item: item["plugin"]))

    @api.get("/{plugin}", response_model=InstallationShown, dependencies=[Depends(READERS)])
    async def get_installation(request: Request, plugin: Plugin) -> Response:
        async with rooms.database.connection() as connection:
            return answer(request, asdict(await installations.get_installation(connection, plugin)))

    @api.put(
        "/{plugin}",
        response_model=InstallationShown,
        responses={201: {"description": "Installed", "model": InstallationShown}},
    )
    async def install(
        request: Request,
        plugin: Plugin,
        body: InstallationBody,
        principal: Principal = Depends(INSTALLERS),
    ) -> Response:
        wish = Wish(
            version=version_of(body.version),
            grants=body.grants,
            configuration=body.configuration,
            allow_downgrade=body.allow_downgrade,
            allow_revoked_key=body.allow_revoked_key,
        )
        installation, is_new = await rooms.installer.install(plugin, wish, actor_of(principal))
        return answer(request, asdict(installation), status=201 if is_new else 200)

    @api.delete("/{plugin}", status_code=204, response_class=Response)
    async def remove(plugin: Plugin, principal: Principal = Depends(INSTALLERS)) -> Response:
        await rooms.installer.remove(plugin, actor_of(principal))
        return Response(status_code=204)

    @api.get("/{plugin}/configuration", dependencies=[Depends(SANDBOX)])
    async def get_configuration(plugin: Plugin, response: Response) -> Configuration:
        installation, configuration = await rooms.installer.reveal(plugin)
        response.headers["cache-control"] = "no-store"
        return Configuration(
            plugin=installation.plugin,
            version=installation.version,
            revision=installation.revision,
            configuration=configuration,
        )

    return api


def version_of(text: str) -> str:
    """Raises: the refusal `manifest-invalid-version`."""
    try:
        return Version(text)
    except ManifestError as error:
        raise refusal(error) from error
