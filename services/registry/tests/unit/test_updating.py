"""Which newer versions are safe to take without asking, and what the others wait for."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from heimnetz_manifest import Manifest
from heimnetz_registry.api.schemas import RollbackBody, UpdatePolicyBody
from heimnetz_registry.model import UPDATE_POLICIES, State, UpdatePolicy, Version
from heimnetz_registry.updating import reasons_to_wait

HOST = {"to": "api.example.org:443", "reason": "Reads prices"}
STORAGE = {"size": "1 MiB", "reason": "Remembers"}


def version(number: str = "1.0.0", *, grade: str | None = "B", **manifest: Any) -> Version:
    whole = {
        "manifest": 1,
        "name": "p",
        "version": number,
        "title": "P",
        "summary": "Does things",
        "licence": "Apache-2.0",
        "authors": [{"name": "Ada"}],
        "kind": "job",
        "runtime": "python",
        "entry_point": "main:run",
        **manifest,
    }
    return Version(
        plugin="p",
        version=number,
        sha256="0" * 64,
        size_bytes=1,
        state=State.APPROVED,
        reason="",
        publisher="ada",
        published_at=datetime(2026, 1, 1, tzinfo=UTC),
        manifest=Manifest.model_validate(whole).model_dump(mode="json", by_alias=True),
        grade=grade,
    )


BEFORE = version(
    permissions={"network": [HOST], "storage": STORAGE},
    limits={"memory": "64 MiB", "cpu_time": 5},
    triggers={"cron": [{"schedule": "0 6 * * *"}], "events": ["energy.price.changed.v1"]},
    configuration={
        "type": "object",
        "properties": {"key": {"type": "string", "secret": True}, "note": {"type": "string"}},
    },
)


def newer(number: str = "1.1.0", *, grade: str | None = "B", **changes: Any) -> Version:
    """As BEFORE, but for the changes."""
    assert BEFORE.manifest is not None
    manifest = {**BEFORE.manifest, "version": number, **changes}
    return replace(
        BEFORE,
        version=number,
        grade=grade,
        manifest=Manifest.model_validate(manifest).model_dump(mode="json", by_alias=True),
    )


@pytest.mark.parametrize(
    "candidate",
    [
        newer(),
        newer("2.0.0"),
        newer(grade="A"),
        newer(permissions={"network": [HOST], "storage": {**STORAGE, "size": "64 KiB"}}),
        newer(permissions={}),
        newer(limits={"memory": "32 MiB", "cpu_time": 4}),
        newer(triggers={}),
    ],
)
def test_a_version_that_asks_for_nothing_more_is_safe(candidate: Version) -> None:
    assert reasons_to_wait(BEFORE, candidate, {"key": "***"}) == []


@pytest.mark.parametrize(
    ("candidate", "reason"),
    [
        (newer("1.1.0-rc.1"), "it is a pre-release"),
        (newer(grade="C"), "its grade is C, that of 1.0.0 is B"),
        (newer(grade=None), "there are no two grades to compare"),
        (
            newer(permissions={"network": [HOST, {**HOST, "to": "evil.example.org:443"}]}),
            "it asks to connect to evil.example.org:443",
        ),
        (
            newer(permissions={"storage": {**STORAGE, "size": "2 MiB"}}),
            "it asks to keep up to 2,097,152 bytes of its own data",
        ),
        (newer(fresh="process"), "its calls would share a container"),
        (
            newer(limits={"memory": "128 MiB", "cpu_time": 5}),
            "its limits are higher: memory_bytes 134217728",
        ),
        (newer(limits={"memory": "64 MiB"}), "its limits are higher: cpu_seconds unlimited"),
        (
            newer(triggers={"cron": [{"schedule": "* * * * *"}]}),
            "it would be started by schedule * * * * * UTC",
        ),
        (
            newer(triggers={"events": ["heimnetz.alert.raised.v1"]}),
            "it would be started by event heimnetz.alert.raised.v1",
        ),
        (
            newer(configuration={"type": "object", "properties": {"key": {"type": "string"}}}),
            "it keeps no secret: /key",
        ),
    ],
)
def test_a_version_that_is_more_waits_and_says_for_what(candidate: Version, reason: str) -> None:
    assert reasons_to_wait(BEFORE, candidate, {"key": "***"}) == [reason]


@pytest.mark.parametrize(
    ("candidate", "waits"),
    [
        (newer(grade="F"), False),
        (newer(grade=None), False),
        (newer(limits={"memory": "1 GiB"}), False),
        (newer(triggers={"cron": [{"schedule": "* * * * *"}]}), False),
        (newer("1.1.0-rc.1"), True),
        (newer(fresh="process"), True),
        (newer(permissions={"storage": {**STORAGE, "size": "2 MiB"}}), True),
        (newer(permissions={"network": [{**HOST, "to": "evil.example.org:443"}]}), True),
    ],
)
def test_with_always_permissions_isolation_and_pre_releases_wait_and_the_rest_does_not(
    candidate: Version, waits: bool
) -> None:
    assert bool(reasons_to_wait(BEFORE, candidate, {}, UpdatePolicy.ALWAYS)) == waits


def test_everything_that_a_version_waits_for_is_said() -> None:
    candidate = newer(grade="D", fresh="process")

    assert len(reasons_to_wait(BEFORE, candidate, {})) == 2


def test_who_has_a_pre_release_gets_the_next_one() -> None:
    assert reasons_to_wait(newer("1.1.0-rc.1"), newer("1.1.0-rc.2"), {}) == []


HOSTS = st.frozensets(st.sampled_from(["a.example.org:443", "b.example.org:443", "c.lan:80"]))


@settings(deadline=None, max_examples=50)
@given(HOSTS, HOSTS)
def test_whatever_hosts_are_asked_for_a_new_one_is_never_taken_unseen(
    had: frozenset[str], wants: frozenset[str]
) -> None:
    installed, candidate = (
        version(number, permissions={"network": [{**HOST, "to": to} for to in sorted(hosts)]})
        for number, hosts in (("1.0.0", had), ("1.1.0", wants))
    )

    assert bool(reasons_to_wait(installed, candidate, {})) == bool(wants - had)


def test_every_policy_is_explained() -> None:
    assert set(UPDATE_POLICIES) == set(UpdatePolicy)


@pytest.mark.parametrize(
    "body", [{"revision": 0}, {"revision": "1"}, {"revision": 2**63}, {"v": 1}]
)
def test_a_rollback_takes_a_revision_and_nothing_else(body: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RollbackBody.model_validate(body)


@pytest.mark.parametrize("body", [{}, {"update_policy": "never"}, {"update_policy": None}])
def test_a_policy_is_one_that_is_known(body: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        UpdatePolicyBody.model_validate(body)


def test_a_version_that_would_see_a_secret_waits_for_a_person() -> None:
    held = {"network": [HOST], "secrets": [{"name": "key", "to": HOST["to"], "reason": "Asked"}]}
    before = newer("1.0.0", permissions=held)

    assert reasons_to_wait(before, newer(permissions=held), {"key": "***"}) == []
    assert reasons_to_wait(before, newer(permissions={"network": [HOST]}), {"key": "***"}) == [
        "it would see the secret: /key"
    ]
