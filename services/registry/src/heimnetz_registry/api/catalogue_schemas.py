"""What goes over the wire about catalogues."""

import ipaddress
import ssl
from datetime import datetime
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, Field, StringConstraints

from heimnetz_common.routing import StrictBody
from heimnetz_manifest import PluginName, Version
from heimnetz_registry.api.schemas import KEY_ID

CATALOGUE_NAME = r"^[a-z0-9][a-z0-9-]{0,30}$"


def _plain_https(text: str) -> str:
    try:
        parts = urlsplit(text)
        is_plain = parts.scheme == "https" and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_plain = False
    if not is_plain or "@" in parts.netloc or parts.fragment or not text.isascii():
        raise ValueError("this is not an address like https://host/path/index.json")
    return text


def _address(text: str) -> str:
    return str(ipaddress.ip_address(text))


def _authority(text: str) -> str:
    try:
        ssl.create_default_context(cadata=text)
    except (ssl.SSLError, ValueError) as error:
        raise ValueError("this is no certificate in PEM") from error
    return text


class SourceBody(StrictBody):
    url: Annotated[
        str,
        StringConstraints(pattern=r"^https://[!-~]{1,500}$", max_length=508),
        AfterValidator(_plain_https),
    ] = Field(description="Of its index; packages lie beside it, as `packages/<sha256>.tar.gz`")
    address: Annotated[str, StringConstraints(max_length=45), AfterValidator(_address)] | None = (
        Field(
            default=None,
            description="Where its host is, instead of what its name leads to; may be at home",
        )
    )
    ca: (
        Annotated[
            str,
            StringConstraints(max_length=16 * 1024, pattern=r"^[\x00-\x7f]*$"),
            AfterValidator(_authority),
        ]
        | None
    ) = Field(default=None, description="PEM of the authority to trust, instead of the public ones")
    token: Annotated[str, StringConstraints(pattern=r"^[!-~]{1,1024}$", max_length=1024)] | None = (
        Field(default=None, description="Sent to its host as a bearer token; kept sealed")
    )


class CatalogueBody(SourceBody):
    name: Annotated[str, StringConstraints(pattern=CATALOGUE_NAME, max_length=31)]
    key_id: Annotated[str, StringConstraints(pattern=KEY_ID, max_length=64)] = Field(
        description="SHA-256 of the public key that its index is signed with, now and ever"
    )


class MirrorBody(StrictBody):
    plugin: PluginName
    version: Version


class PreviewShown(BaseModel):
    key_id: str = Field(
        description="Which nothing vouches for: compare it with what its owner says"
    )
    counter: int
    expires_at: datetime
    releases: int
    warnings: int


class CatalogueShown(BaseModel):
    name: str
    url: str
    address: str | None
    has_ca: bool
    has_token: bool
    key_id: str
    counter: int
    expires_at: datetime
    added_at: datetime
    added_by: str
    read_at: datetime = Field(description="When its index was last read and believed")
    next_at: datetime = Field(description="When it is read again")
    failures: int = Field(description="Readings since then that were refused")
    problem: str = Field(description="The kind of the last refusal; empty when there is none")
    detail: str


class CatalogueList(BaseModel):
    items: list[CatalogueShown]


class ReleaseShown(BaseModel):
    plugin: str
    version: str
    sha256: str
    size_bytes: int
    publisher: str
    title: str
    key_id: str | None = Field(description="Of the key that signed it; not yet verified")


class ReleasePage(BaseModel):
    items: list[ReleaseShown]
    next_cursor: str | None
