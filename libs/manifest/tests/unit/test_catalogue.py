"""Whatever comes as an index is read as its signer wrote it, or refused."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from heimnetz_manifest.catalogue import (
    INDEX_BYTES,
    MAX_LIFETIME,
    PAYLOAD_TYPE,
    Index,
    Release,
    Revocation,
    find_signer,
    read_index,
    sign_index,
)
from heimnetz_manifest.errors import (
    CatalogueKeyWrong,
    IndexTooLarge,
    InvalidIndex,
    ManifestError,
)
from heimnetz_manifest.signing import PrivateKey

KEY = PrivateKey.generate()
NOW = datetime(2026, 11, 1, tzinfo=UTC)
digests = st.text("0123456789abcdef", min_size=64, max_size=64)
numbers = st.builds("{}.{}.{}".format, *[st.integers(0, 10**6)] * 3)
texts = st.text(st.characters(categories=["L", "N", "P"]), max_size=100)
releases = st.builds(
    Release,
    plugin=st.sampled_from(["energy-report", "a", "log-digest"]),
    version=numbers,
    sha256=digests,
    size_bytes=st.integers(1, 20 * 1024 * 1024),
    publisher=texts,
    title=texts,
    signature=st.just("e30="),
    public_key=st.just(base64.b64encode(KEY.public).decode()),
)
warnings = st.builds(
    Revocation, plugin=st.just("energy-report"), version=numbers, sha256=digests, reason=texts
)


def unique(entries: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(entries, max_size=5, unique_by=lambda one: (one.plugin, one.version)).map(tuple)


indexes = st.builds(
    Index,
    counter=st.integers(1, 2**53 - 1),
    made_at=st.just(NOW),
    expires_at=st.timedeltas(timedelta(seconds=1), MAX_LIFETIME).map(lambda life: NOW + life),
    releases=unique(releases),
    revoked=unique(warnings),
)


def wrapped(payload: bytes, *, kind: str = PAYLOAD_TYPE, **more: Any) -> bytes:
    """An envelope that KEY signed, whatever is in it."""
    signature = {
        "keyid": KEY.id,
        "sig": base64.b64encode(KEY.sign(kind, payload)).decode(),
        "public_key": base64.b64encode(KEY.public).decode(),
        **more,
    }
    encoded = base64.b64encode(payload).decode()
    document = {"payloadType": kind, "payload": encoded, "signatures": [signature]}
    return json.dumps(document).encode()


def written(**changes: Any) -> dict[str, Any]:
    document: dict[str, Any] = {
        "counter": 1,
        "made_at": "2026-11-01T00:00:00Z",
        "expires_at": "2026-11-08T00:00:00Z",
        "releases": [],
        "revoked": [],
    }
    return {**document, **changes}


@given(indexes)
def test_an_index_is_read_as_it_was_written(index: Index) -> None:
    data = sign_index(KEY, index)

    assert find_signer(data) == KEY.id
    assert read_index(data, pinned=KEY.id) == index


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_whatever_comes_is_refused_in_our_words(data: bytes) -> None:
    with pytest.raises(ManifestError):
        read_index(data, pinned=KEY.id)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=10,
)


@given(st.sampled_from(sorted(written())), _JSON)
def test_no_value_that_is_signed_makes_the_reader_fail_otherwise(member: str, value: Any) -> None:
    data = wrapped(json.dumps(written(**{member: value})).encode())
    try:
        found = read_index(data, pinned=KEY.id)
    except InvalidIndex:
        return

    assert found.counter >= 1
    assert found.expires_at > found.made_at


@given(indexes, st.data())
def test_one_letter_that_was_changed_is_noticed_or_means_nothing(
    index: Index, data: st.DataObject
) -> None:
    good = sign_index(KEY, index)
    at = data.draw(st.integers(0, len(good) - 1))
    letter = data.draw(st.integers(0x20, 0x7E))
    changed = good[:at] + bytes([letter]) + good[at + 1 :]
    try:
        found = read_index(changed, pinned=KEY.id)
    except ManifestError:
        return

    assert found == index


def test_another_key_than_the_pinned_one_is_refused_whatever_it_calls_itself() -> None:
    other = PrivateKey.generate()
    data = wrapped(json.dumps(written()).encode())
    lying = wrapped(json.dumps(written()).encode(), keyid=other.id)

    with pytest.raises(CatalogueKeyWrong):
        read_index(data, pinned=other.id)
    with pytest.raises(CatalogueKeyWrong):
        read_index(lying, pinned=other.id)


def test_a_signature_of_another_kind_of_document_is_none_of_an_index() -> None:
    payload = json.dumps(written()).encode()
    data = json.loads(wrapped(payload, kind="application/vnd.in-toto+json"))

    with pytest.raises(InvalidIndex):
        read_index(json.dumps(data).encode(), pinned=KEY.id)
    with pytest.raises(CatalogueKeyWrong):
        read_index(json.dumps({**data, "payloadType": PAYLOAD_TYPE}).encode(), pinned=KEY.id)


_ONE = {"plugin": "a", "version": "1.0.0", "sha256": "0" * 64, "reason": "x"}


@pytest.mark.parametrize(
    "changes",
    [
        {"counter": 0},
        {"counter": 2**53},
        {"counter": True},
        {"expires_at": "2026-11-01T00:00:00Z"},
        {"expires_at": "2028-01-01T00:00:00Z"},
        {"expires_at": "2026-11-08T00:00:00"},
        {"revoked": [_ONE, _ONE]},
        {"revoked": [{**_ONE, "plugin": "../a"}]},
        {"revoked": [{**_ONE, "version": "1"}]},
        {"revoked": [{**_ONE, "sha256": "0" * 63 + "/"}]},
        {"revoked": [{**_ONE, "reason": "\x1b[2J"}]},
        {"revoked": [{**_ONE, "version": f"{number}.0.0"} for number in range(2001)]},
    ],
)
def test_what_an_index_may_not_say_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidIndex):
        read_index(wrapped(json.dumps(written(**changes)).encode()), pinned=KEY.id)


def test_what_a_later_version_says_besides_is_ignored() -> None:
    data = wrapped(json.dumps(written(news="more")).encode())

    assert read_index(data, pinned=KEY.id).counter == 1


def test_an_index_is_at_most_8_mib() -> None:
    with pytest.raises(IndexTooLarge):
        read_index(b"x" * (INDEX_BYTES + 1), pinned=KEY.id)


def test_a_signature_needs_its_key_beside_it() -> None:
    with pytest.raises(ValidationError):
        Release(
            plugin="a", version="1.0.0", sha256="0" * 64, size_bytes=1, publisher="", signature=""
        )
