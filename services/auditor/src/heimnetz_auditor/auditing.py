"""Takes the versions that wait, one after the other, and stores and announces each audit."""

import asyncio
import hashlib
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import orjson

from heimnetz_audit import ENGINE_VERSION, Report, reporters
from heimnetz_audit.model import InferredPermissions, Pinned, Severity, Unknown
from heimnetz_auditor import metrics, store
from heimnetz_auditor.advising import Advising
from heimnetz_auditor.errors import AuditFailed
from heimnetz_auditor.events import VersionAudited
from heimnetz_auditor.examining import Examiner
from heimnetz_auditor.model import UNKNOWN_GRADE, Answer, Request, Verdict
from heimnetz_auditor.policy import OwnersPolicy
from heimnetz_common import outbox
from heimnetz_common.database import Database
from heimnetz_common.errors import HeimnetzError, NotFound, Unavailable
from heimnetz_common.http import ServiceClient
from heimnetz_common.logs import get_logger
from heimnetz_common.telemetry import traced

SERVICE = "auditor"
MAX_PACKAGE_BYTES = 20 * 1024 * 1024
#: Three audits that took the process with them are enough; waiting for the registry is not one.
MAX_TRIES = 3
LEASE_SECONDS = 15.0
POLL_SECONDS = 1.0
RETRY_SECONDS = 5.0
MAX_DIFFERENCES = 100
MAX_CHANGES = 25
#: Of 200 versions each.
MAX_PAGES = 10
_LET_IN = frozenset({"approved", "deprecated", "yanked"})

_ESCAPED = re.compile(r"[\x00-\x1f]")

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Auditing:
    database: Database
    registry: ServiceClient
    examiner: Examiner
    policy: OwnersPolicy
    advising: Advising

    async def run(self) -> None:
        """Work off what waits until cancelled."""
        while True:
            try:
                is_busy = await self.work()
            except HeimnetzError as error:
                log.warning("auditing_waits", reason=error.detail)
                is_busy = False
            if not is_busy:
                await asyncio.sleep(POLL_SECONDS)

    async def work(self) -> bool:
        """Audit the version that is due first; whether there was one."""
        async with self.database.transaction() as connection:
            request = await store.take_request(connection, LEASE_SECONDS)
            waiting, age = await store.measure_requests(connection)
        metrics.WAITING.set(waiting)
        metrics.OLDEST_WAITING.set(age)
        if request is None:
            return False
        renewing = asyncio.create_task(self._renew(request.id), name="audit-lease")
        try:
            with traced(request.traceparent):
                await self._serve(request)
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)
        return True

    async def _renew(self, request_id: int) -> None:
        """A lease that runs out means a dead auditor, however long an audit takes."""
        while True:
            await asyncio.sleep(LEASE_SECONDS / 3)
            try:
                async with self.database.transaction() as connection:
                    await store.renew_request(connection, request_id, LEASE_SECONDS)
            except HeimnetzError as error:
                log.warning("lease_not_renewed", reason=error.detail)

    async def _serve(self, request: Request) -> None:
        started = time.monotonic()
        about = {"plugin": request.plugin, "version": request.version}
        advisories_sha256, advisories = await self.advising.latest()
        try:
            answer = await self._audit(request, advisories)
        except NotFound:
            log.info("audit_of_nothing", **about)
            async with self.database.transaction() as connection:
                await store.remove_request(connection, request.id)
                await store.mark_gone(connection, request.plugin, request.version)
            return
        except Unavailable as error:
            log.warning("audit_waits", reason=error.detail, **about)
            async with self.database.transaction() as connection:
                await store.postpone_request(connection, request.id, RETRY_SECONDS)
            return
        except AuditFailed as error:
            log.warning("audit_failed", reason=error.detail, **about)
            metrics.FAILURES.inc()
            answer = unknown(error.detail, Pinned(name=request.plugin, version=request.version))
        await self._store(request, answer, advisories_sha256)
        metrics.DURATION.observe(time.monotonic() - started)
        log.info("audited", verdict=answer.verdict, score=answer.score, **about)

    async def _audit(self, request: Request, advisories: bytes) -> Answer:
        """Raises: AuditFailed, NotFound, Unavailable."""
        if request.tries > MAX_TRIES:
            raise AuditFailed(f"the auditor did not survive {MAX_TRIES} tries")
        path = f"/v1/plugins/{request.plugin}/versions/{request.version}"
        try:
            package = await self.registry.get_bytes(f"{path}/package", max_bytes=MAX_PACKAGE_BYTES)
            request = _as_published(request, await self.registry.get(path))
            before = await self._fetch_before(request)
        except (NotFound, Unavailable):
            raise
        except HeimnetzError as error:
            raise AuditFailed(f"the package cannot be fetched: {error.detail}") from error
        if hashlib.sha256(package).hexdigest() != request.sha256:
            raise AuditFailed("the package's bytes are not those that were submitted")
        today = datetime.now(UTC).date()
        return await self.examiner.examine(
            package, self.policy, request, today, before=before, advisories=advisories
        )

    async def _fetch_before(self, request: Request) -> bytes:
        """The package of the highest lower version that was let in; empty where there is none.

        Raises: Unavailable and its siblings.
        """
        path = f"/v1/plugins/{request.plugin}/versions"
        params: dict[str, str | int] = {"limit": 200}
        is_lower = False
        for _ in range(MAX_PAGES):
            page = await self.registry.get(path, **params)
            for item in page["items"]:
                if is_lower and item["state"] in _LET_IN:
                    # One that is deleted meanwhile is not the version before any more.
                    with suppress(NotFound):
                        return await self.registry.get_bytes(
                            f"{path}/{item['version']}/package", max_bytes=MAX_PACKAGE_BYTES
                        )
                is_lower = is_lower or item["version"] == request.version
            if page["next_cursor"] is None:
                break
            params["cursor"] = page["next_cursor"]
        return b""

    async def _store(self, request: Request, answer: Answer, advisories_sha256: str) -> None:
        async with self.database.transaction() as connection:
            changes: dict[str, list[str]] = {}
            if answer.grade != UNKNOWN_GRADE:
                before = await store.find_report(
                    connection, request.plugin, request.version, request.sha256, "json"
                )
                changes = compare(before, answer.reports.get("json"))
            audit_id = await store.put_audit(
                connection,
                request,
                answer,
                policy_sha256=self.policy.sha256,
                advisories_sha256=advisories_sha256,
            )
            await store.remove_reports(connection, audit_id)
            await store.put_reports(connection, audit_id, answer.reports)
            await store.remove_request(connection, request.id)
            await outbox.append(
                connection,
                announcement(request, answer, changes),
                service=SERVICE,
                subject=f"{request.plugin}/{request.version}",
            )
        metrics.AUDITS.labels(answer.verdict).inc()
        metrics.SCORE.observe(answer.score)
        for severity, count in answer.counts.items():
            metrics.FINDINGS.labels(severity).inc(count)


def _as_published(request: Request, version: Mapping[str, Any]) -> Request:
    """With what the registry says of the version now; its key may have been revoked since."""
    signature = version.get("signature") or {}
    return replace(
        request, publisher=version["publisher"], is_signed=signature.get("is_good") is True
    )


def announcement(
    request: Request, answer: Answer, changes: Mapping[str, list[str]]
) -> VersionAudited:
    """An event holds 256 KiB: of very long lists the beginning travels, the report has all."""
    return VersionAudited(
        plugin=request.plugin,
        version=request.version,
        sha256=request.sha256,
        score=answer.score,
        grade=answer.grade,
        verdict=answer.verdict,
        counts=dict(answer.counts),
        permission_difference={
            "undeclared": [_short(text) for text in answer.undeclared[:MAX_DIFFERENCES]],
            "unused": [_short(text) for text in answer.unused[:MAX_DIFFERENCES]],
        },
        report_url=f"/api/auditor/v1/audits/{request.plugin}/{request.version}",
        reasons=[_short(text, 500) for text in answer.reasons],
        engine_version=answer.engine_version,
        changes=dict(changes),
    )


def compare(before: str | None, after: str | None) -> dict[str, list[str]]:
    """The findings that only one of two JSON reports about the same bytes has."""
    if before is None or after is None:
        return {}
    old, new = _findings(before), _findings(after)
    return {
        "new": [_short(text) for text in sorted(new - old)[:MAX_CHANGES]],
        "gone": [_short(text) for text in sorted(old - new)[:MAX_CHANGES]],
    }


def _short(text: str, characters: int = 200) -> str:
    """A character that JSON escapes would take six bytes of the event's room."""
    return _ESCAPED.sub("\ufffd", text[:characters])


def _findings(report: str) -> set[str]:
    # A worker that was taken over may have written anything.
    try:
        found = orjson.loads(report)["findings"]
        return {f"{each['rule']} in {each['file']}:{each['line']}" for each in found}
    except (orjson.JSONDecodeError, LookupError, TypeError):
        return set()


def unknown(reason: str, pinned: Pinned) -> Answer:
    """The answer where the engine gave none: a person decides, and the report says why."""
    report = Report(
        findings=(),
        unknowns=(Unknown("", "audit", reason),),
        score=0,
        grade=UNKNOWN_GRADE,
        deductions=(),
        inferred=InferredPermissions(),
        difference=None,
        engine_version=ENGINE_VERSION,
        files=0,
        lines=0,
        pinned=pinned,
    )
    return Answer(
        engine_version=ENGINE_VERSION,
        score=0,
        grade=UNKNOWN_GRADE,
        verdict=Verdict.REVIEW,
        reasons=(f"not looked at: {reason}"[:500],),
        counts={severity.label: 0 for severity in Severity},
        undeclared=(),
        unused=(),
        reports={name: reporter.render(report) for name, reporter in reporters.ALL.items()},
    )
