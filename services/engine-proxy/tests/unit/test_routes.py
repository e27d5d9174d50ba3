"""Which requests exist at all."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heimnetz_engine_proxy import routes
from heimnetz_engine_proxy.routes import Refused

ID = "ab" * 32
RECORDED = sorted(Path(__file__).with_name("recorded").glob("*.http"))


@pytest.mark.parametrize("file", RECORDED, ids=lambda file: file.stem)
def test_each_request_of_the_real_client_is_known(file: Path) -> None:
    method, target, _ = file.read_text().splitlines()[0].split(" ")

    request = routes.match(method, target)

    assert request.target.partition("?")[0] == target.partition("?")[0]


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("POST", f"/containers/{ID}/exec"),
        ("POST", f"/exec/{ID}/start"),
        ("POST", f"/containers/{ID}/attach?stream=1"),
        ("GET", f"/containers/{ID}/attach/ws"),
        ("POST", f"/commit?container={ID}"),
        ("GET", f"/containers/{ID}/archive?path=/"),
        ("PUT", f"/containers/{ID}/archive?path=/"),
        ("GET", f"/containers/{ID}/export"),
        ("GET", f"/containers/{ID}/logs?stdout=1"),
        ("GET", f"/containers/{ID}/top"),
        ("POST", f"/containers/{ID}/update"),
        ("POST", f"/containers/{ID}/rename?name=x"),
        ("POST", f"/containers/{ID}/pause"),
        ("POST", "/containers/prune"),
        ("POST", "/build"),
        ("POST", "/images/create?fromImage=evil"),
        ("POST", "/images/load"),
        ("DELETE", "/images/heimnetz/runtime-python:0.1.0"),
        ("POST", "/images/heimnetz/runtime-python:0.1.0/tag?repo=x"),
        ("GET", "/images/json"),
        ("GET", "/volumes"),
        ("POST", "/volumes/create"),
        ("GET", "/networks"),
        ("POST", "/networks/create"),
        ("POST", "/networks/x/connect"),
        ("POST", "/swarm/init"),
        ("GET", "/secrets"),
        ("POST", "/secrets/create"),
        ("GET", "/configs"),
        ("GET", "/services"),
        ("GET", "/plugins"),
        ("POST", "/plugins/pull?remote=evil"),
        ("GET", "/events"),
        ("GET", "/system/df"),
        ("POST", "/auth"),
        ("POST", "/session"),
        ("POST", "/grpc"),
        ("GET", "/distribution/x/json"),
        # Known paths by other methods and names.
        ("GET", "/containers/create"),
        ("PUT", f"/containers/{ID}/start"),
        ("HEAD", "/_ping"),
        ("OPTIONS", "/_ping"),
        ("POST", "/containers/heimnetz-postgres-1/kill"),
        ("POST", f"/containers/{ID[:12]}/kill"),
        ("POST", f"/containers/{ID.upper()}/kill"),
        # Tricks with paths.
        ("GET", "/v1.41/../containers/json"),
        ("GET", f"/containers/{ID}/../../info"),
        ("GET", "/%63ontainers/json"),
        ("GET", "/v1.41/containers%2fjson"),
        ("GET", "/%2e%2e/info"),
        ("GET", "//containers/json"),
        ("GET", "/containers//json"),
        ("GET", "/containers/json/"),
        ("GET", "/containers/json#x"),
        ("GET", "/containers\\json"),
        ("GET", "http://engine/info"),
        ("GET", "/v2.0/_ping"),
        ("GET", "/v1.41/v1.41/_ping"),
        ("GET", "/_ping\n"),
        ("GET", "/_pingx"),
        ("GET", ""),
        ("GET", "*"),
        # Tricks with queries.
        ("POST", "/containers/create?name=evil"),
        ("POST", "/containers/create?name=heimnetz-a&name=heimnetz-b"),
        ("POST", "/containers/create?name=heimnetz-a&platform=windows"),
        ("POST", f"/containers/{ID}/start?detachKeys=x"),
        ("POST", f"/containers/{ID}/start?checkpoint=x"),
        ("POST", f"/containers/{ID}/kill?signal=SIGUSR1"),
        ("DELETE", f"/containers/{ID}?link=1"),
        ("GET", "/containers/json"),
        ("GET", "/containers/json?all=1"),
        ("GET", "/containers/json?filters={}"),
        ("GET", "/containers/json?filters=[]"),
        ("GET", "/containers/json?filters=%7B%22label%22%3A%5B%22other%22%5D%7D"),
        ("GET", "/containers/json?filters=" + "%5B" * 5000),
        ("GET", "/_ping?a"),
    ],
)
@pytest.mark.attack(row=56, what="another request of the engine")
def test_what_nobody_needs_is_refused(method: str, target: str) -> None:
    with pytest.raises(Refused):
        routes.match(method, target)


@given(st.text(), st.text())
def test_no_text_is_passed_on_that_is_not_plain(method: str, target: str) -> None:
    try:
        request = routes.match(method, target)
    except Refused:
        return
    assert request.target.isascii()
    assert ".." not in request.target
