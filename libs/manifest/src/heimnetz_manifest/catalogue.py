"""A catalogue: which packages somebody offers and which they warn of, as one signed index.

The index travels in a DSSE v1 envelope, as signatures of packages do, with a payload type of its
own. A counter and an expiry keep old ones from being served for new: rollback and freeze attacks
of The Update Framework (theupdateframework.github.io/specification, section 1.5.2).

Not imported by the package itself: whoever only reads manifests needs no cryptography.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from datetime import timedelta
from typing import Annotated, Literal, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from heimnetz_manifest.errors import CatalogueKeyWrong, IndexTooLarge, InvalidIndex
from heimnetz_manifest.names import VERSION_CHARACTERS, PluginName, Version
from heimnetz_manifest.signing import (
    ENVELOPE_BYTES,
    PUBLIC_KEY_BYTES,
    SIGNATURE_BYTES,
    PrivateKey,
    is_signed_by,
    key_id,
)
from heimnetz_manifest.streams import PACKAGE_BYTES

PAYLOAD_TYPE = "application/vnd.heimnetz.catalogue+json"
INDEX_BYTES = 8 * 1024 * 1024
#: Of releases, and of revocations.
MAX_ENTRIES = 2000
MAX_LIFETIME = timedelta(days=366)
TITLE_CHARACTERS = 200
REASON_CHARACTERS = 200
_PUBLISHER_CHARACTERS = 200
_LARGEST_COUNTER = 2**53 - 1  # what every reader of JSON takes for a whole number; RFC 8259, 6


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("control and invisible characters are not accepted")
    return text


def _is_base64(text: str) -> str:
    decode(text)
    return text


def _name(text: str) -> str:
    return str(PluginName(text))


def _version(text: str) -> str:
    return str(Version(text))


def _text(most: int) -> StringConstraints:
    return StringConstraints(max_length=most)


def decode(text: str) -> bytes:
    """Raises: ValueError."""
    try:
        return base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error) as error:
        raise ValueError("this is not base64") from error


def encode(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _base64_characters(size_bytes: int) -> int:
    return (size_bytes + 2) // 3 * 4


Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$", max_length=64)]
_Key = Annotated[str, _text(_base64_characters(PUBLIC_KEY_BYTES)), AfterValidator(_is_base64)]
_Envelope = Annotated[str, _text(_base64_characters(ENVELOPE_BYTES)), AfterValidator(_is_base64)]


class _Strict(BaseModel):
    """Members that we do not know are ignored, so that a later version can say more."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


StrictT = TypeVar("StrictT", bound=_Strict)


class _Entry(_Strict):
    plugin: Annotated[str, _text(63), AfterValidator(_name)]
    version: Annotated[str, _text(VERSION_CHARACTERS), AfterValidator(_version)]
    sha256: Digest


class Release(_Entry):
    """A package that the catalogue has.

    `signature` is its publisher's envelope, and `public_key` fits it; both in base64, or none.
    """

    size_bytes: int = Field(ge=1, le=PACKAGE_BYTES)
    publisher: Annotated[str, _text(_PUBLISHER_CHARACTERS), AfterValidator(_printable)]
    title: Annotated[str, _text(TITLE_CHARACTERS), AfterValidator(_printable)] = ""
    signature: _Envelope | None = None
    public_key: _Key | None = None

    @model_validator(mode="after")
    def _whole(self) -> Release:
        if (self.signature is None) != (self.public_key is None):
            raise ValueError("signature and public_key belong together")
        return self


class Revocation(_Entry):
    """A package that must not run."""

    reason: Annotated[str, _text(REASON_CHARACTERS), AfterValidator(_printable)]


class Index(_Strict):
    """All that a catalogue says; each index has a higher counter than the ones before."""

    counter: int = Field(ge=1, le=_LARGEST_COUNTER)
    made_at: AwareDatetime
    expires_at: AwareDatetime
    releases: Annotated[tuple[Release, ...], Field(max_length=MAX_ENTRIES)]
    revoked: Annotated[tuple[Revocation, ...], Field(max_length=MAX_ENTRIES)] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Index:
        if not timedelta(0) < self.expires_at - self.made_at <= MAX_LIFETIME:
            raise ValueError(f"an index lives for at most {MAX_LIFETIME.days} days")
        for entries in (self.releases, self.revoked):
            if len({(entry.plugin, entry.version) for entry in entries}) != len(entries):
                raise ValueError("a version stands twice in one list")
        return self


class _Signature(_Strict):
    keyid: Digest
    sig: Annotated[str, _text(_base64_characters(SIGNATURE_BYTES))]
    public_key: _Key


class _Wrapping(_Strict):
    payload_type: Literal["application/vnd.heimnetz.catalogue+json"] = Field(alias="payloadType")
    payload: str
    signatures: Annotated[tuple[_Signature, ...], Field(min_length=1, max_length=1)]


def sign_index(key: PrivateKey, index: Index) -> bytes:
    """The envelope in JSON; DSSE v1's `envelope.md` lets a signature have members of ours.

    Raises: IndexTooLarge.
    """
    payload = index.model_dump_json(exclude_none=True).encode()
    signature = {
        "keyid": key.id,
        "sig": encode(key.sign(PAYLOAD_TYPE, payload)),
        "public_key": encode(key.public),
    }
    document = {"payloadType": PAYLOAD_TYPE, "payload": encode(payload), "signatures": [signature]}
    data = json.dumps(document, separators=(",", ":")).encode()
    _check_size(data)
    return data


def read_index(data: bytes, *, pinned: str) -> Index:
    """The index, if the key whose id is `pinned` signed it. Its age is the caller's to judge.

    Raises: IndexTooLarge, InvalidIndex, CatalogueKeyWrong.
    """
    signer, payload = _open(data)
    if not hmac.compare_digest(signer, pinned):
        raise CatalogueKeyWrong(f"the index was signed by {signer}, not by {pinned}")
    return _read(Index, payload, "the index")


def find_signer(data: bytes) -> str:
    """The id of the key that signed an index, which nothing vouches for yet.

    Raises: IndexTooLarge, InvalidIndex, CatalogueKeyWrong.
    """
    return _open(data)[0]


def _open(data: bytes) -> tuple[str, bytes]:
    """The signer and what it signed. Raises: IndexTooLarge, InvalidIndex, CatalogueKeyWrong."""
    _check_size(data)
    wrapping = _read(_Wrapping, data, "the envelope")
    (signature,) = wrapping.signatures
    try:
        public, made = decode(signature.public_key), decode(signature.sig)
        payload = decode(wrapping.payload)
    except ValueError as error:
        raise InvalidIndex("payload and sig have to be base64") from error
    signer = key_id(public)
    if signer != signature.keyid:
        raise CatalogueKeyWrong(f"keyid is {signature.keyid}, the key's own is {signer}")
    if not is_signed_by(public, PAYLOAD_TYPE, payload, made):
        raise CatalogueKeyWrong(f"the signature does not fit the key {signer}")
    return signer, payload


def _check_size(data: bytes) -> None:
    """Raises: IndexTooLarge."""
    if len(data) > INDEX_BYTES:
        raise IndexTooLarge(f"an index has at most {INDEX_BYTES} bytes")


def _read(kind: type[StrictT], data: bytes, what: str) -> StrictT:
    """Raises: InvalidIndex."""
    try:
        return kind.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = "".join(f"/{part}" for part in first["loc"])[:200]
        raise InvalidIndex(f"{what}{where}: {first['msg'][:200]}") from error
