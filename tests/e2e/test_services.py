"""A plugin of kind service, from its package to the page that a browser gets."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from ..conftest import ROOT, Stack, eventually

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

LONG = "https://example.org/somewhere/far"


def shown(stack: Stack) -> dict[str, Any]:
    """As `heimnetz services` shows it; there may not be a first start yet."""
    items = stack.heimnetz("services", "--json", check=False).json()["items"]
    mine = [one for one in items if one["plugin"] == "link-shortener"]
    return mine[0] if mine else {"state": "unknown"}


@pytest.fixture(scope="module")
def links(stack: Stack, owner: str) -> Iterator[httpx.Client]:
    stack.heimnetz("publish", ROOT / "plugins/link-shortener", "--wait")
    stack.heimnetz("install", "link-shortener", "--yes")
    eventually(lambda: shown(stack)["state"] == "up", within_seconds=60, what="the service is up")
    with stack.http() as platform:
        pages = stack.environment["HEIMNETZ_PLUGIN_PORT"]
        platform.base_url = httpx.URL(f"https://localhost:{pages}/link-shortener/")
        # Of two sandboxes the one that is asked may hear of it a second later.
        eventually(
            lambda: platform.get("./").status_code == 200, within_seconds=10, what="its page"
        )
        yield platform


def test_links_are_added_and_followed_through_the_gateway(links: httpx.Client) -> None:
    page = links.get("./")
    assert page.status_code == 200
    assert "<h1>Links</h1>" in page.text
    assert page.headers["x-content-type-options"] == "nosniff"

    added = links.post("links", json={"url": LONG, "name": "far"})
    assert added.status_code in (201, 409)

    followed = links.get("far")
    assert (followed.status_code, followed.headers["location"]) == (302, LONG)


def test_what_it_keeps_is_there_after_another_start(stack: Stack, links: httpx.Client) -> None:
    added = links.post("links", json={"url": LONG, "name": "kept"})
    assert added.status_code in (201, 409)
    before = shown(stack)["run_id"]

    stack.heimnetz("restart", "link-shortener")

    def is_back() -> bool:
        service = shown(stack)
        return bool(service["state"] == "up" and service["run_id"] != before)

    eventually(is_back, within_seconds=60, what="the service is up again")
    eventually(
        lambda: links.get("kept").status_code == 302, within_seconds=10, what="the link is there"
    )


def test_where_no_plugin_serves_the_gateway_says_so(links: httpx.Client) -> None:
    root = f"https://localhost:{links.base_url.port}"
    assert links.get(root).status_code == 404
    assert links.get(f"{root}/nobody/").status_code == 503
