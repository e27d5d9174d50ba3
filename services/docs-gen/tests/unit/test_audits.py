"""The auditor's report in the words of the documentation."""

import pytest

from heimnetz_docs_gen.audits import audit_of
from heimnetz_manifest import parse_manifest

MANIFEST = b"""\
manifest: 1
name: adder
version: 1.0.0
title: Adder
summary: Adds two numbers.
licence: Apache-2.0
authors: [{name: Anna}]
kind: job
runtime: python
entry_point: adder:run
"""


def test_a_waived_finding_is_shown_with_its_reason_and_not_counted() -> None:
    finding = {"rule": "dropper", "severity": "high", "message": "Fetched.", "file": "a.py"}
    waiver = {"reason": "My own.", "expires_on": "2027-06-30"}
    report = {"findings": [{**finding, "waived": waiver}, finding]}

    audit = audit_of({}, report, parse_manifest(MANIFEST))

    assert audit is not None
    assert audit.counts == {"high": 1}
    assert audit.findings[0].title == "Fetched. Accepted until 2027-06-30: My own."


@pytest.mark.parametrize(
    ("page", "href"),
    [
        ("/docs/platform/checks/dropper.html", "/docs/platform/checks/dropper.html"),
        ("javascript:alert(1)", None),
        ("//evil.example/docs/platform/checks/dropper.html", None),
        ("/docs/platform/checks/../../x.html", None),
        (None, None),
    ],
)
def test_a_finding_leads_to_the_page_of_its_rule_and_nowhere_else(
    page: str | None, href: str | None
) -> None:
    finding = {"rule": "dropper", "severity": "high", "message": "Fetched.", "page": page}

    audit = audit_of({}, {"findings": [finding]}, parse_manifest(MANIFEST))

    assert audit is not None
    assert audit.findings[0].page == href
