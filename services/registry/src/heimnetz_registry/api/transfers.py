"""An installation as a file, out and in."""

from dataclasses import asdict

from fastapi import APIRouter, Depends, Request, Response

from heimnetz_common.auth import Rule, require
from heimnetz_common.routing import router
from heimnetz_common.tokens import Principal
from heimnetz_registry.api.dependencies import Plugin, Rooms, actor_of, answer
from heimnetz_registry.api.installations import version_of
from heimnetz_registry.api.schemas import (
    ExportBody,
    ImportBody,
    InstallationFile,
    InstallationShown,
)
from heimnetz_registry.transferring import Opening, Parcel

# Secrets leave under a passphrase of the caller's choice, so only the owner chooses one.
OWNER: Rule = require("owner")
INSTALLERS: Rule = require("operator")


def routes(rooms: Rooms) -> APIRouter:
    api = router(prefix="/v1/installations/{plugin}", tags=["installations"])

    @api.post("/export")
    async def export(
        plugin: Plugin,
        response: Response,
        body: ExportBody | None = None,
        principal: Principal = Depends(OWNER),
    ) -> InstallationFile:
        """Version, grants, configuration and policy; secrets only if a passphrase is given."""
        passphrase = None if body is None else body.passphrase
        parcel = await rooms.transferrer.pack(plugin, passphrase, actor_of(principal))
        response.headers["cache-control"] = "no-store"
        return InstallationFile(**parcel.open, salt=parcel.salt, sealed=parcel.sealed)

    @api.post(
        "/import",
        response_model=InstallationShown,
        responses={201: {"description": "Installed", "model": InstallationShown}},
    )
    async def bring(
        request: Request,
        plugin: Plugin,
        body: ImportBody,
        principal: Principal = Depends(INSTALLERS),
    ) -> Response:
        """Put to use what a file says; the version has to be here, with the same bytes."""
        version_of(body.file.version)
        facts = body.file.model_dump(mode="json", exclude={"salt", "sealed"})
        parcel = Parcel(facts, body.file.salt, body.file.sealed)
        opening = Opening(body.passphrase, body.configuration, body.allow_downgrade)
        installation, is_new = await rooms.transferrer.unpack(
            plugin, parcel, opening, actor_of(principal)
        )
        return answer(request, asdict(installation), status=201 if is_new else 200)

    return api
