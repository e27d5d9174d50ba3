"""What the owner imports about vulnerabilities that are known."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request

from heimnetz_auditor import store
from heimnetz_auditor.advising import Advising
from heimnetz_auditor.api.schemas import AdvisoriesEntry
from heimnetz_auditor.model import ImportedAdvisories
from heimnetz_common.auth import EVERYONE, require
from heimnetz_common.database import Database
from heimnetz_common.errors import UnsupportedMedia
from heimnetz_common.routing import router
from heimnetz_common.tokens import Principal

MEDIA_TYPE = "application/gzip"
OWNER = require("owner")


def routes(database: Database, advising: Advising) -> APIRouter:
    edge = router(prefix="/v1/advisories", tags=["advisories"])

    @edge.get("", dependencies=[Depends(EVERYONE)])
    async def get_advisories() -> AdvisoriesEntry:
        """What audits compare with. All is empty as long as nothing was imported."""
        async with database.connection() as connection:
            return _entry(await store.find_advisories(connection))

    @edge.put(
        "",
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}},
            }
        },
    )
    async def put_advisories(
        request: Request, principal: Annotated[Principal, Depends(OWNER)]
    ) -> AdvisoriesEntry:
        """Replace them by what `heimnetz osv import` makes; versions are audited again."""
        if request.headers.get("content-type", "").partition(";")[0].strip() != MEDIA_TYPE:
            raise UnsupportedMedia(f"send the advisories as {MEDIA_TYPE}")
        return _entry(await advising.put(await request.body(), principal.subject))

    return edge


def _entry(imported: ImportedAdvisories | None) -> AdvisoriesEntry:
    if imported is None:
        return AdvisoriesEntry()
    return AdvisoriesEntry(
        sha256=imported.sha256,
        as_of=imported.as_of,
        count=imported.count,
        imported_by=imported.imported_by,
        imported_at=imported.imported_at,
    )
