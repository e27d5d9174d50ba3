"""Signatures: what was signed is what was published, or it is refused."""

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heimnetz_manifest.errors import (
    EnvelopeTooLarge,
    InvalidEnvelope,
    ManifestError,
    SignatureMisplaced,
    SignatureWrong,
)
from heimnetz_manifest.signing import (
    ENVELOPE_BYTES,
    PAYLOAD_TYPE,
    PrivateKey,
    Subject,
    hand_over,
    is_handed_over,
    is_proved,
    is_signed_by,
    pae,
    prove,
    read_envelope,
    read_statement,
    sign,
    statement,
    verify,
)

KEY, OTHER = PrivateKey.generate(), PrivateKey.generate()
SUBJECT = Subject("energy-report", "1.2.3-rc.1+build", "ab" * 32)
NUMBERS = st.integers(0, 9999)
SUBJECTS = st.builds(
    Subject,
    st.text("abcxyz", min_size=1, max_size=9),
    st.builds("{}.{}.{}".format, NUMBERS, NUMBERS, NUMBERS),
    st.binary(min_size=32, max_size=32).map(bytes.hex),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


def document(**changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(sign(KEY, SUBJECT))
    return {**made, **changes}


def enveloped(payload: bytes, key: PrivateKey = KEY) -> bytes:
    """The payload under a signature that is right."""
    signature = base64.b64encode(key.sign(PAYLOAD_TYPE, payload)).decode()
    return json.dumps(
        document(
            payload=base64.b64encode(payload).decode(),
            signatures=[{"keyid": key.id, "sig": signature}],
        )
    ).encode()


def test_what_is_signed_is_encoded_as_in_the_example_of_the_protocol() -> None:
    encoded = pae("http://example.com/HelloWorld", b"hello world")

    assert encoded == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


@given(st.text(), st.binary(), st.text(), st.binary())
def test_two_messages_are_encoded_alike_only_if_they_are_the_same(
    kind: str, body: bytes, other_kind: str, other_body: bytes
) -> None:
    same = (kind, body) == (other_kind, other_body)

    assert (pae(kind, body) == pae(other_kind, other_body)) is same


@settings(max_examples=30)
@given(SUBJECTS)
def test_a_signature_fits_what_was_signed(subject: Subject) -> None:
    envelope = read_envelope(sign(KEY, subject))

    verify(envelope, KEY.public, subject)

    assert (envelope.key_id, read_statement(envelope.payload)) == (KEY.id, subject)


@settings(max_examples=30)
@given(SUBJECTS, SUBJECTS)
def test_a_signature_fits_nothing_else(signed: Subject, other: Subject) -> None:
    envelope = read_envelope(sign(KEY, signed))
    mixed = [
        replace(signed, name=other.name),
        replace(signed, version=other.version),
        replace(signed, sha256=other.sha256),
    ]

    for subject in mixed:
        if subject != signed:
            with pytest.raises(SignatureMisplaced):
                verify(envelope, KEY.public, subject)


@given(st.binary(max_size=300), st.integers(0, 2000), st.integers(1, 255))
def test_no_altered_envelope_vouches_for_anything_else(junk: bytes, at: int, bits: int) -> None:
    data = bytearray(sign(KEY, SUBJECT))
    data[at % len(data)] ^= bits

    for altered in (bytes(data), bytes(data) + junk, junk):
        try:
            envelope = read_envelope(altered)
            verify(envelope, KEY.public, SUBJECT)
        except ManifestError:
            continue
        assert read_statement(envelope.payload) == SUBJECT


def test_another_key_and_another_kind_of_payload_are_refused() -> None:
    envelope = read_envelope(sign(KEY, SUBJECT))
    elsewhere = KEY.sign("application/other", envelope.payload)

    for wrong in (read_envelope(sign(OTHER, SUBJECT)), replace(envelope, signature=elsewhere)):
        with pytest.raises(SignatureWrong):
            verify(wrong, KEY.public, SUBJECT)
    assert not is_signed_by(b"short", PAYLOAD_TYPE, envelope.payload, envelope.signature)


@settings(max_examples=50)
@given(st.binary(max_size=400) | JSON.map(lambda value: json.dumps(value).encode()))
def test_nothing_but_a_refusal_comes_of_any_bytes(data: bytes) -> None:
    for read in (read_envelope, read_statement):
        with pytest.raises(InvalidEnvelope):
            read(data)


@settings(max_examples=40)
@given(st.sampled_from(["payloadType", "payload", "signatures"]), JSON)
def test_a_key_with_any_other_value_is_refused(key: str, value: Any) -> None:
    data = json.dumps(document(**{key: value})).encode()

    try:
        verify(read_envelope(data), KEY.public, SUBJECT)
    except ManifestError:
        return
    assert document()[key] == value


def signature(**changes: Any) -> list[dict[str, Any]]:
    return [{**document()["signatures"][0], **changes}]


@pytest.mark.parametrize(
    "data",
    [
        json.dumps(document(signatures=[])).encode(),
        json.dumps(document(signatures=signature() * 2)).encode(),
        json.dumps(document(signatures=signature(keyid=""))).encode(),
        json.dumps(document(signatures=signature(keyid=KEY.id.upper()))).encode(),
        json.dumps(document(signatures=signature(sig="AAAA"))).encode(),
        json.dumps(document(payload="=a=")).encode(),
        json.dumps(document(payload="ä")).encode(),
        json.dumps(document(payloadType="application/json")).encode(),
        sign(KEY, SUBJECT).replace(b'"payload":', b'"payload":"","payload":'),
        sign(KEY, SUBJECT).replace(b"{", b'{"more":NaN,', 1),
        sign(KEY, SUBJECT).replace(b"{", b'{"more":' + b"9" * 400 + b",", 1),
        sign(KEY, SUBJECT).replace(b"{", b'{"more":"\\ud800",', 1),
        sign(KEY, SUBJECT).replace(b"{", b'{"more":' + b"[" * 400 + b"]" * 400 + b",", 1),
        b"\xff" + sign(KEY, SUBJECT),
        b"[" * ENVELOPE_BYTES,
        b"",
    ],
    ids=range(16),
)
def test_a_malformed_envelope_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidEnvelope):
        read_envelope(data)


def test_an_envelope_has_an_end() -> None:
    fits = sign(KEY, SUBJECT).ljust(ENVELOPE_BYTES)

    assert read_envelope(fits).key_id == KEY.id
    with pytest.raises(EnvelopeTooLarge):
        read_envelope(fits + b" ")


def stated(**changes: Any) -> bytes:
    return json.dumps({**json.loads(statement(SUBJECT)), **changes}).encode()


@pytest.mark.parametrize(
    "payload",
    [
        stated(_type="https://in-toto.io/Statement/v0.1"),
        stated(predicateType="https://slsa.dev/provenance/v1"),
        stated(subject=[]),
        stated(subject=json.loads(statement(SUBJECT))["subject"] * 2),
        stated(subject=[{"name": str(SUBJECT)}]),
        stated(subject=[{"name": str(SUBJECT), "digest": {"sha256": "AB" * 32}}]),
        stated(subject=[{"name": "energy-report", "digest": {"sha256": "ab" * 32}}]),
        stated(subject=[{"name": "../x@1.0.0", "digest": {"sha256": "ab" * 32}}]),
        stated(subject=[{"digest": {"sha256": "ab" * 32}}]),
    ],
    ids=range(9),
)
def test_a_statement_of_something_else_is_refused_though_its_signature_is_right(
    payload: bytes,
) -> None:
    envelope = read_envelope(enveloped(payload))

    with pytest.raises(InvalidEnvelope):
        verify(envelope, KEY.public, SUBJECT)


def test_keys_that_the_standards_do_not_know_are_ignored_and_both_alphabets_read() -> None:
    data = json.loads(enveloped(stated(more={"a": 1})))
    data |= {"more": 1, "payload": data["payload"].replace("+", "-").replace("/", "_")}
    signed = data["signatures"][0]
    signed |= {"sig": signed["sig"].replace("+", "-").replace("/", "_"), "cert": ""}

    verify(read_envelope(json.dumps(data).encode()), KEY.public, SUBJECT)


def test_a_private_key_reads_back_and_nothing_else_does() -> None:
    assert PrivateKey.from_pem(KEY.to_pem()).id == KEY.id
    for broken in (b"", b"-----BEGIN PRIVATE KEY-----", KEY.public):
        with pytest.raises(ValueError):
            PrivateKey.from_pem(broken)


def test_a_proof_is_good_for_one_publisher_one_key_and_one_purpose() -> None:
    proof, handed = prove(KEY, "ada"), hand_over(KEY, OTHER.id)

    assert is_proved(KEY.public, "ada", proof)
    assert is_handed_over(KEY.public, OTHER.id, handed)
    assert not is_proved(KEY.public, "bob", proof)
    assert not is_proved(OTHER.public, "ada", proof)
    assert not is_handed_over(KEY.public, KEY.id, handed)
    assert not is_handed_over(KEY.public, "ada", proof)
