"""Requests made from each service's own description: none breaks it, none is answered otherwise."""

import json
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from heimnetz_common.testing import SERVICES

from ..conftest import ROOT, Stack

pytestmark = [pytest.mark.stack, pytest.mark.timeout(1200)]

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
# Guesses of passwords lock their address out, and the other tests come from the same one.
GUESSED = r"^/v1/(setup|sessions|auth)"
EXAMPLES = 25


@schemathesis.serializer("application/gzip")
def as_it_is(_: Any, value: Any) -> bytes:
    data = getattr(value, "data", value)
    return data if isinstance(data, bytes) else str(data).encode()


def operations(service: str) -> list[Any]:
    document = json.loads((ROOT / f"contracts/openapi/{service}.json").read_text("utf-8"))
    schema = schemathesis.openapi.from_dict(document).exclude(path_regex=GUESSED)
    return [found.ok() for found in schema.get_all_operations()]


@pytest.mark.parametrize("service", SERVICES)
def test_every_operation_answers_as_it_is_described(stack: Stack, owner: str, service: str) -> None:
    ca = f"{stack.environment['HEIMNETZ_OUT']}/gateway-ca.crt"
    asked = 0
    for operation in operations(service):

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
            database=None,
        )
        @given(case=operation.as_strategy())
        def ask(case: Any) -> None:
            nonlocal asked
            asked += 1
            answer = case.call(
                base_url=f"{stack.url}/api/{service}",
                headers={"authorization": f"Bearer {owner}"},
                verify=ca,
                timeout=60,
            )
            case.validate_response(answer, checks=CHECKS)

        ask()
    assert asked > EXAMPLES
