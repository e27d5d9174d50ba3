"""Audits and their reports."""

import base64
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Response

from heimnetz_auditor import store
from heimnetz_auditor.api.schemas import (
    PLUGIN,
    VERSION,
    AuditEntry,
    AuditPage,
    AuditPromise,
    AuditWish,
    ReportFormat,
)
from heimnetz_auditor.model import Audit
from heimnetz_common.auth import EVERYONE, require
from heimnetz_common.database import Database
from heimnetz_common.errors import InvalidInput
from heimnetz_common.http import ServiceClient
from heimnetz_common.routing import router
from heimnetz_common.telemetry import current_trace
from heimnetz_common.tokens import Principal

READERS = require("operator", "publisher", "auditor", "viewer", services=("docs-gen",))
ASKERS = require("auditor")
_MEDIA_TYPES = {
    ReportFormat.JSON: "application/json",
    ReportFormat.SARIF: "application/sarif+json",
    ReportFormat.MARKDOWN: "text/markdown; charset=utf-8",
    ReportFormat.TEXT: "text/plain; charset=utf-8",
    ReportFormat.CYCLONEDX: "application/vnd.cyclonedx+json; version=1.6",
}
# Excerpts of hostile code: a browser must neither guess their type nor run them.
_HEADERS = {"x-content-type-options": "nosniff", "content-security-policy": "default-src 'none'"}

Plugin = Annotated[str, Path(pattern=PLUGIN)]
Version = Annotated[str, Path(pattern=VERSION)]


def routes(database: Database, registry: ServiceClient) -> APIRouter:
    edge = router(prefix="/v1/audits", tags=["audits"])

    @edge.get("", dependencies=[Depends(EVERYONE)])
    async def list_audits(
        plugin: Annotated[str | None, Query(pattern=PLUGIN)] = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        cursor: Annotated[str | None, Query(max_length=300)] = None,
    ) -> AuditPage:
        before = _decode(cursor) if cursor else None
        async with database.connection() as connection:
            found = await store.list_audits(connection, plugin, limit + 1, before)
        page = found[:limit]
        return AuditPage(
            items=[_entry(audit) for audit in page],
            next_cursor=_encode(page[-1]) if len(found) > limit else None,
        )

    @edge.get("/{plugin}/{version}", dependencies=[Depends(READERS)], response_class=Response)
    async def get_report(
        plugin: Plugin,
        version: Version,
        form: Annotated[ReportFormat, Query(alias="format")] = ReportFormat.JSON,
        is_static: Annotated[
            bool, Query(alias="static", description="Leave waivers and the version before out")
        ] = False,
    ) -> Response:
        """The latest report, or the list of what is in the package, as the engine wrote it."""
        async with database.connection() as connection:
            body = await store.get_report(connection, plugin, version, form, is_static=is_static)
        return Response(body, media_type=_MEDIA_TYPES[form], headers=_HEADERS)

    @edge.post("", status_code=202)
    async def audit_again(
        wish: AuditWish, principal: Annotated[Principal, Depends(ASKERS)]
    ) -> AuditPromise:
        document = await registry.get(f"/v1/plugins/{wish.plugin}/versions/{wish.version}")
        trace = current_trace()
        async with database.transaction() as connection:
            await store.add_request(
                connection,
                plugin=wish.plugin,
                version=wish.version,
                sha256=document["sha256"],
                requested_by=principal.subject,
                traceparent=trace.traceparent if trace else None,
            )
        return AuditPromise(
            plugin=wish.plugin,
            version=wish.version,
            report_url=f"/api/auditor/v1/audits/{wish.plugin}/{wish.version}",
        )

    return edge


def _entry(audit: Audit) -> AuditEntry:
    return AuditEntry(
        plugin=audit.plugin,
        version=audit.version,
        sha256=audit.sha256,
        engine_version=audit.engine_version,
        policy_sha256=audit.policy_sha256,
        score=audit.score,
        grade=audit.grade,
        verdict=audit.verdict,
        reasons=list(audit.reasons),
        counts=dict(audit.counts),
        audited_at=audit.audited_at,
    )


def _encode(audit: Audit) -> str:
    return base64.urlsafe_b64encode(f"{audit.audited_at.isoformat()} {audit.id}".encode()).decode()


def _decode(cursor: str) -> tuple[datetime, int]:
    """Raises: InvalidInput."""
    try:
        text = base64.urlsafe_b64decode(cursor.encode()).decode("ascii")
        at, _, number = text.partition(" ")
        decoded: tuple[Any, int] = (datetime.fromisoformat(at), int(number))
    except ValueError as error:
        raise InvalidInput("the cursor is not one that a page gave") from error
    if decoded[0].tzinfo is None or not 0 <= decoded[1] < 2**63:
        raise InvalidInput("the cursor is not one that a page gave")
    return decoded
