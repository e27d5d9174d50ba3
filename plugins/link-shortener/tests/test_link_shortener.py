"""The service as it answers, without a platform."""

import pytest

from heimnetz_sdk.testing import Plugin

LONG = "https://example.org/a/very/long/address?with=more#and-more"


def test_a_link_is_added_followed_counted_and_removed(plugin: Plugin) -> None:
    added = plugin.ask("POST", "/links", body={"url": LONG, "name": "long"})
    assert added.status == 201

    followed = plugin.ask("GET", "/long")
    assert (followed.status, followed.headers["location"]) == (302, LONG)
    assert b'"visits": 1' in plugin.ask("GET", "/links").body

    assert plugin.ask("DELETE", "/links/long").status == 204
    assert plugin.ask("GET", "/long").status == 404
    assert plugin.ask("DELETE", "/links/long").status == 404


def test_a_name_is_made_up_where_none_is_given(plugin: Plugin) -> None:
    assert plugin.ask("POST", "/links", body={"url": LONG, "name": ""}).status == 201
    assert plugin.ask("POST", "/links", body={"url": LONG}).status == 201
    assert len(plugin.storage.keys("link/")) == 2


def test_a_name_in_use_is_kept(plugin: Plugin) -> None:
    plugin.ask("POST", "/links", body={"url": LONG, "name": "mine"})
    again = plugin.ask("POST", "/links", body={"url": "https://other.example/", "name": "mine"})

    assert again.status == 409
    assert plugin.ask("GET", "/mine").headers["location"] == LONG


@pytest.mark.parametrize(
    "wish",
    [
        {"url": "javascript:alert(1)"},
        {"url": "data:text/html,x"},
        {"url": "https://"},
        {"url": "https://example.org/\r\nSet-Cookie: a=1"},
        {"url": "https://example.org/" + "a" * 2000},
        {"url": LONG, "name": "../x"},
        {"url": LONG, "name": "links"},
        {"url": LONG, "name": "UPPER"},
        {"url": 5},
        {},
        [],
        None,
    ],
)
def test_what_is_no_link_is_refused(plugin: Plugin, wish: object) -> None:
    answer = plugin.ask("POST", "/links", body=wish)

    assert answer.status == 422
    assert plugin.storage.keys("link/") == []


def test_another_site_s_form_adds_nothing(plugin: Plugin) -> None:
    answer = plugin.ask(
        "POST", "/links", body="url=https://x.example", headers={"Content-Type": "text/plain"}
    )

    assert answer.status == 415


def test_the_page_says_what_a_browser_may_do(plugin: Plugin) -> None:
    page = plugin.ask("GET", "/")

    assert page.status == 200
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert plugin.ask("GET", "/healthz").status == 200
    assert plugin.ask("PUT", "/links").status == 404
