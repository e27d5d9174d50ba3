"""What a server of somebody else's may make the registry do: nothing but give it a file."""

import ipaddress
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heimnetz_registry import catalogue_errors as refused
from heimnetz_registry import fetching
from heimnetz_registry.fetching import MAX_REDIRECTS, Fetched, Fetcher, Source, is_public

from .https_server import Answer, HttpsServer, serving

MOST = 10_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpsServer]:
    with serving(tmp_path_factory.mktemp("server")) as server:
        yield server


def resolving(*addresses: str) -> Fetcher:
    async def resolve(host: str, port: int) -> list[str]:
        return list(addresses)

    return Fetcher(resolve)


async def get(
    server: HttpsServer,
    path: str = "/index.json",
    *,
    host: str = "127.0.0.1",
    fetcher: Fetcher | None = None,
    seconds: float = 10,
    **source: str | None,
) -> Fetched | None:
    url = server.url(path, host)
    found = Source(url, **{"ca": server.ca, **source})  # type: ignore[arg-type]
    return await (fetcher or Fetcher()).get(found, url, max_bytes=MOST, seconds=seconds)


async def test_a_file_is_fetched_from_the_address_that_the_owner_named(server: HttpsServer) -> None:
    server.files["/index.json"] = Answer(b"hello", headers={"etag": '"1"'})

    found = await get(server, host="catalogue", address="127.0.0.1", token="let-me-in")

    assert found == Fetched(b"hello", '"1"')
    assert server.asked[-1][1]["host"] == f"catalogue:{server.port}"
    assert server.asked[-1][1]["authorization"] == "Bearer let-me-in"


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.0.0.7", "169.254.169.254", "::1", "::ffff:10.0.0.7", "fd00::1"]
)
async def test_a_name_that_leads_into_the_house_is_refused_also_beside_a_public_address(
    server: HttpsServer, address: str
) -> None:
    before = len(server.asked)

    with pytest.raises(refused.CatalogueAddressRefused):
        await get(server, host="catalogue", fetcher=resolving("1.1.1.1", address))

    assert len(server.asked) == before


async def test_an_address_to_which_it_is_only_sent_on_is_refused(server: HttpsServer) -> None:
    server.files["/moved"] = Answer(status=302, headers={"location": "https://127.0.0.2/secret"})

    with pytest.raises(refused.CatalogueAddressRefused):
        await get(server, "/moved")


@pytest.mark.parametrize("location", ["http://example.org/", "file:///etc/passwd", "https://a@b/"])
async def test_it_is_sent_on_to_plain_https_addresses_only(
    server: HttpsServer, location: str
) -> None:
    server.files["/moved"] = Answer(status=301, headers={"location": location})

    with pytest.raises(refused.CatalogueRedirect):
        await get(server, "/moved")


async def test_it_is_sent_on_a_few_times_and_not_for_ever(server: HttpsServer) -> None:
    server.files["/round"] = Answer(status=307, headers={"location": "/round"})
    before = len(server.asked)

    with pytest.raises(refused.CatalogueRedirect):
        await get(server, "/round")

    assert len(server.asked) - before == MAX_REDIRECTS + 1


async def test_a_token_is_not_shown_to_where_it_is_sent_on(
    server: HttpsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = server.url("/elsewhere", "localhost")
    server.files["/moved"] = Answer(status=302, headers={"location": elsewhere})
    server.files["/elsewhere"] = Answer(b"there")
    # There is no server on the internet to be sent on to.
    monkeypatch.setattr(fetching, "is_public", lambda address: True)

    found = await get(server, "/moved", token="let-me-in", fetcher=resolving("127.0.0.1"))

    asked = [headers.get("authorization") for _, headers in server.asked[-2:]]
    assert found == Fetched(b"there", None)
    assert asked == ["Bearer let-me-in", None]


async def test_more_than_it_may_send_is_not_read(server: HttpsServer) -> None:
    server.files["/endless"] = Answer(b"x" * (MOST + 1), is_endless=True)

    with pytest.raises(refused.CatalogueTooMuch):
        await get(server, "/endless")


async def test_who_sends_nothing_more_is_not_waited_for(server: HttpsServer) -> None:
    server.files["/endless"] = Answer(b"x", is_endless=True)

    with pytest.raises(refused.CatalogueTooSlow):
        await get(server, "/endless", seconds=0.3)


async def test_what_was_made_smaller_is_taken_as_it_came(server: HttpsServer) -> None:
    server.files["/index.json"] = Answer(b"\x1f\x8b bomb", headers={"content-encoding": "gzip"})

    found = await get(server)

    assert found is not None
    assert found.data == b"\x1f\x8b bomb"


async def test_a_certificate_of_another_authority_or_name_is_refused(server: HttpsServer) -> None:
    with pytest.raises(refused.CatalogueCertificate):
        await get(server, ca=None)
    with pytest.raises(refused.CatalogueCertificate):
        await get(server, host="other.example", address="127.0.0.1")


async def test_an_answer_without_the_file_is_refused(server: HttpsServer) -> None:
    with pytest.raises(refused.CatalogueAnswer):
        await get(server, "/nothing")


async def test_a_name_that_nobody_knows_and_a_port_that_nobody_has_are_unreachable(
    server: HttpsServer,
) -> None:
    with pytest.raises(refused.CatalogueUnreachable):
        await get(HttpsServer(1, server.ca))
    with pytest.raises(refused.CatalogueUnreachable):
        await get(server, host="nobody.invalid")


_NOT_PUBLIC = tuple(
    ipaddress.ip_network(text)
    for text in (
        *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "169.254.0.0/16"),
        *("0.0.0.0/8", "100.64.0.0/10", "224.0.0.0/4", "240.0.0.0/4"),
        *("fc00::/7", "fe80::/10", "ff00::/8", "::1/128", "64:ff9b::/96", "2002::/16"),
        *("::ffff:10.0.0.0/104", "::ffff:192.168.0.0/112"),
    )
)


@given(st.sampled_from(_NOT_PUBLIC), st.data())
def test_no_address_of_the_home_is_public(
    network: ipaddress.IPv4Network | ipaddress.IPv6Network, data: st.DataObject
) -> None:
    offset = data.draw(st.integers(0, network.num_addresses - 1))

    assert not is_public(network[offset])
