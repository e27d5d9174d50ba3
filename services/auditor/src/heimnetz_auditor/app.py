"""Wiring of the auditor: settings in, application out."""

from fastapi import FastAPI

from heimnetz_audit.model.waivers import InvalidPolicy
from heimnetz_auditor.advising import UPLOAD_BYTES, Advising
from heimnetz_auditor.api import advisories, audits
from heimnetz_auditor.auditing import Auditing
from heimnetz_auditor.consumers import SUBSCRIPTIONS
from heimnetz_auditor.examining import Examiner
from heimnetz_auditor.policy import load_policy
from heimnetz_auditor.reauditing import Reauditing
from heimnetz_auditor.settings import AuditorSettings
from heimnetz_common.service import Service
from heimnetz_common.web import create_app


def create(settings: AuditorSettings) -> FastAPI:
    """Raises: SystemExit, when the policy makes no sense."""
    try:
        policy = load_policy(settings.policy_file)
    except InvalidPolicy as error:
        raise SystemExit(
            f"HEIMNETZ_AUDITOR_POLICY_FILE={settings.policy_file}: {error}. "
            "Correct the file, or leave the variable out for the default policy."
        ) from error
    service = Service.from_settings(settings)
    database = service.opened_database
    registry = service.client("registry", settings.registry_url)
    advising = Advising(database)
    auditing = Auditing(
        database,
        registry,
        Examiner(settings.audit_seconds, settings.audit_memory_bytes),
        policy,
        advising,
    )
    service.subscribe(*SUBSCRIPTIONS)
    service.background.append(auditing.run)
    service.background.append(Reauditing(database, registry, policy).run)
    return create_app(
        service,
        [audits.routes(database, registry), advisories.routes(database, advising)],
        title="Heimnetz auditor",
        max_body_bytes=UPLOAD_BYTES,
    )
