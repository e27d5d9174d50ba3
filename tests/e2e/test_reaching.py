"""What a plugin keeps and reaches, with what its owner granted, on the whole stack."""

from collections.abc import Callable

import httpx
import pytest

from ..conftest import Stack

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

CODE = """
import urllib.error, urllib.request

def run(input, context):
    count = int(context.storage.get("count") or 0) + 1
    context.storage.put("count", str(count))
    found = {}
    for url in ("http://registry:8000/healthz", "http://example.org/", "http://granted.example/"):
        try:
            found[url] = urllib.request.urlopen(url, timeout=10).status
        except urllib.error.HTTPError as error:
            found[url] = error.code
        except OSError as error:
            found[url] = str(error)
    return {"count": count, "found": found}
"""


def test_a_plugin_keeps_what_it_was_granted_and_reaches_no_service_of_the_stack(
    stack: Stack, http: httpx.Client, put_to_use: Callable[..., str]
) -> None:
    permissions = (
        "{storage: {size: 1 KiB, reason: Counts}, "
        "network: [{to: 'granted.example:80', reason: Asks}]}"
    )
    plugin = put_to_use("reaching", CODE, permissions=permissions)

    first = stack.heimnetz("run", plugin, "--json").json()["result"]
    run = stack.heimnetz("run", plugin, "--json").json()

    assert (first["count"], run["result"]["count"]) == (1, 2)
    assert run["result"]["found"] == {
        "http://registry:8000/healthz": 400,
        "http://example.org/": 403,
        # Granted; nobody has that name.
        "http://granted.example/": 502,
    }
    log = stack.heimnetz("logs", run["id"]).out
    assert "refused: example.org:80 is not granted" in log
    seen = http.get(f"/api/sandbox/v1/plugins/{plugin}/behaviour").json()["items"]
    assert {(one["kind"], one["target"], one["is_granted"]) for one in seen} == {
        ("storage", "read", True),
        ("storage", "write", True),
        ("connect", "example.org:80", False),
    }
