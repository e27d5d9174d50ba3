"""Who vouches for a package: DSSE envelopes with an in-toto statement, signed with Ed25519.

The envelope and what is signed are those of DSSE v1 (github.com/secure-systems-lab/dsse,
`protocol.md` and `envelope.md`); the statement is an in-toto Statement v1
(github.com/in-toto/attestation, `spec/v1/statement.md`) whose single subject is
`name@version` with the SHA-256 digest of the package. Ed25519 is that of RFC 8032.

Not imported by the package itself: whoever only reads manifests needs no cryptography.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any, NoReturn, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from heimnetz_manifest.errors import (
    EnvelopeTooLarge,
    InvalidEnvelope,
    InvalidName,
    InvalidVersion,
    SignatureMisplaced,
    SignatureWrong,
    shown,
)
from heimnetz_manifest.names import PluginName, Version

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://heimnetz.example/predicates/published-package/v1"
# What a key signs when it is registered and rotated; another type, so that neither is a statement.
REGISTRATION_TYPE = "application/vnd.heimnetz.key-registration"
ROTATION_TYPE = "application/vnd.heimnetz.key-rotation"
# Ours has 0.7 KiB with the longest name and version; an HTTP header holds it in base64.
ENVELOPE_BYTES = 4096
PUBLIC_KEY_BYTES = 32
SIGNATURE_BYTES = 64
KEY_ID_CHARACTERS = 64
_NESTING = 16
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")
_NUMBER_CHARACTERS = 20


@dataclass(frozen=True, slots=True)
class Subject:
    """What a signature is about."""

    name: str
    version: str
    sha256: str

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"


@dataclass(frozen=True, slots=True)
class Envelope:
    """A well-formed one; nothing of it is believed before `verify`.

    `key_id` is a hint that anybody can change (DSSE v1, `protocol.md`): it finds the key that the
    signature has to fit, and decides nothing else.
    """

    key_id: str
    payload: bytes
    signature: bytes


class PrivateKey:
    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    @classmethod
    def generate(cls) -> Self:
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def from_pem(cls, data: bytes) -> Self:
        """PKCS #8 without a password, as `to_pem` writes it.

        Raises: ValueError.
        """
        try:
            key = serialization.load_pem_private_key(data, password=None)
        except (ValueError, TypeError) as error:
            raise ValueError("no private key in PEM without a password") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise ValueError("the key is not an Ed25519 key")  # noqa: TRY004 - the bytes are wrong
        return cls(key)

    def to_pem(self) -> bytes:
        return self._key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )

    @property
    def public(self) -> bytes:
        """The 32 bytes of RFC 8032, section 5.1.5."""
        return self._key.public_key().public_bytes_raw()

    @property
    def id(self) -> str:
        return key_id(self.public)

    def sign(self, payload_type: str, payload: bytes) -> bytes:
        """The 64 bytes of RFC 8032, section 5.1.6, over DSSE's encoding of both."""
        return self._key.sign(pae(payload_type, payload))


def prove(key: PrivateKey, publisher: str) -> bytes:
    """That this publisher has the private half: nobody registers a key that is another's."""
    return key.sign(REGISTRATION_TYPE, publisher.encode())


def is_proved(public: bytes, publisher: str, proof: bytes) -> bool:
    return is_signed_by(public, REGISTRATION_TYPE, publisher.encode(), proof)


def hand_over(key: PrivateKey, successor: str) -> bytes:
    """That the key's holder wants the key with the id `successor` in its place."""
    return key.sign(ROTATION_TYPE, successor.encode())


def is_handed_over(public: bytes, successor: str, proof: bytes) -> bool:
    return is_signed_by(public, ROTATION_TYPE, successor.encode(), proof)


def key_id(public: bytes) -> str:
    """SHA-256 of the public key, in lower-case hexadecimal."""
    return hashlib.sha256(public).hexdigest()


def pae(payload_type: str, payload: bytes) -> bytes:
    """What is signed: DSSE v1's pre-authentication encoding, `protocol.md`, "PAE()"."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def statement(subject: Subject) -> bytes:
    """An in-toto Statement v1 in JSON; the same subject gives the same bytes."""
    document = {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": str(subject), "digest": {"sha256": subject.sha256}}],
        "predicateType": PREDICATE_TYPE,
    }
    return _json(document)


def sign(key: PrivateKey, subject: Subject) -> bytes:
    """The envelope in JSON, as DSSE v1's `envelope.md` describes it."""
    payload = statement(subject)
    signature = key.sign(PAYLOAD_TYPE, payload)
    return _json(
        {
            "payloadType": PAYLOAD_TYPE,
            "payload": base64.b64encode(payload).decode(),
            "signatures": [{"keyid": key.id, "sig": base64.b64encode(signature).decode()}],
        }
    )


def read_envelope(data: bytes) -> Envelope:
    """An envelope from a stranger, taken apart.

    Keys that DSSE v1 does not know are ignored, as it demands; beyond it we want exactly one
    signature, and its `keyid`.

    Raises: EnvelopeTooLarge, InvalidEnvelope.
    """
    if len(data) > ENVELOPE_BYTES:
        raise EnvelopeTooLarge(f"the envelope may have at most {ENVELOPE_BYTES} bytes")
    document = _object(_parse(data, "the envelope"), "the envelope")
    if document.get("payloadType") != PAYLOAD_TYPE:
        raise InvalidEnvelope(f"payloadType has to be {PAYLOAD_TYPE}")
    signatures = document.get("signatures")
    if not isinstance(signatures, list) or len(signatures) != 1:
        raise InvalidEnvelope("signatures has to hold exactly one signature")
    signature = _object(signatures[0], "the signature")
    hint = signature.get("keyid")
    if not isinstance(hint, str) or _DIGEST.match(hint) is None:
        raise InvalidEnvelope("keyid has to be the SHA-256 of the public key in hexadecimal")
    made = _base64(signature.get("sig"), "sig")
    if len(made) != SIGNATURE_BYTES:
        raise InvalidEnvelope(f"an Ed25519 signature has {SIGNATURE_BYTES} bytes")
    return Envelope(hint, _base64(document.get("payload"), "payload"), made)


def is_signed_by(public: bytes, payload_type: str, payload: bytes, signature: bytes) -> bool:
    """RFC 8032, section 5.1.7, over DSSE's encoding; False also for bytes that are no key."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, pae(payload_type, payload))
    except (InvalidSignature, ValueError):
        return False
    return True


def verify(envelope: Envelope, public: bytes, subject: Subject) -> None:
    """Whether the key's holder vouched for exactly this package, under this name and version.

    Raises: SignatureWrong, InvalidEnvelope, SignatureMisplaced.
    """
    if not is_signed_by(public, PAYLOAD_TYPE, envelope.payload, envelope.signature):
        raise SignatureWrong(f"the signature does not fit the key {key_id(public)}")
    signed = read_statement(envelope.payload)
    if signed != subject:
        raise SignatureMisplaced(
            f"the signature is of {signed} with sha256 {signed.sha256}, "
            f"the package is {subject} with sha256 {subject.sha256}"
        )


def read_statement(payload: bytes) -> Subject:
    """The subject of a statement of ours. Keys that in-toto does not know are ignored, as it wants.

    Raises: InvalidEnvelope.
    """
    document = _object(_parse(payload, "the statement"), "the statement")
    if document.get("_type") != STATEMENT_TYPE:
        raise InvalidEnvelope(f"_type has to be {STATEMENT_TYPE}")
    if document.get("predicateType") != PREDICATE_TYPE:
        raise InvalidEnvelope(f"predicateType has to be {PREDICATE_TYPE}")
    subjects = document.get("subject")
    if not isinstance(subjects, list) or len(subjects) != 1:
        raise InvalidEnvelope("subject has to hold exactly one package")
    one = _object(subjects[0], "the subject")
    digest = _object(one.get("digest"), "digest").get("sha256")
    if not isinstance(digest, str) or _DIGEST.match(digest) is None:
        raise InvalidEnvelope("sha256 has to be 64 lower-case hexadecimal digits")
    name, at, version = str(one.get("name")).partition("@")
    try:
        return Subject(str(PluginName(name)), str(Version(version)), digest)
    except (InvalidName, InvalidVersion) as error:
        raise InvalidEnvelope(f"the subject's name has to be NAME{at or '@'}VERSION") from error


def _json(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def _parse(data: bytes, what: str) -> Any:
    """JSON (RFC 8259) without NaN, repeated keys, lone surrogates, huge numbers or deep nesting."""
    try:
        text = data.decode("utf-8")
        # Brackets in texts count as well: no envelope of ours has any.
        if text.count("[") + text.count("{") > _NESTING:
            raise InvalidEnvelope(f"{what} is nested deeper than it may be")
        value = json.loads(
            text, object_pairs_hook=_pairs, parse_constant=_refuse, parse_int=_int, parse_float=_int
        )
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except InvalidEnvelope:
        raise
    except (ValueError, RecursionError) as error:
        raise InvalidEnvelope(f"{what} is not JSON in UTF-8") from error
    return value


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise InvalidEnvelope("a key stands twice in one object")
    return found


def _refuse(name: str) -> NoReturn:
    raise InvalidEnvelope(f"{name} is no JSON")


def _int(text: str) -> float:
    """No number means anything here, so that none has to be exact."""
    if len(text) > _NUMBER_CHARACTERS:
        raise InvalidEnvelope(f"the number {shown(text[:_NUMBER_CHARACTERS])} is too long")
    return float(text)


def _object(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidEnvelope(f"{what} has to be an object")
    return value


def _base64(value: Any, what: str) -> bytes:
    """Standard or URL-safe alphabet, both of which DSSE v1 wants accepted."""
    if not isinstance(value, str):
        raise InvalidEnvelope(f"{what} has to be a text in base64")
    try:
        return base64.b64decode(value.translate(_STANDARD).encode("ascii"), validate=True)
    except (ValueError, binascii.Error) as error:
        raise InvalidEnvelope(f"{what} is not base64") from error


_STANDARD = str.maketrans("-_", "+/")
