"""What goes over the wire."""

import re
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, Field, StringConstraints

from heimnetz_common.auth import Role
from heimnetz_common.routing import StrictBody
from heimnetz_manifest import PluginName
from heimnetz_manifest.model import Category
from heimnetz_manifest.names import VERSION_CHARACTERS
from heimnetz_registry.chaining import Verification
from heimnetz_registry.model import KeyState, State, UpdatePolicy


def printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("control and invisible characters are not accepted")
    return text


def _sayable(text: str) -> str:
    if any(letter not in "\n\t" and not letter.isprintable() for letter in text):
        raise ValueError("control and invisible characters are not accepted")
    return text


PersonName = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$", max_length=63)
]
Password = Annotated[str, StringConstraints(min_length=10, max_length=256)]
Reason = Annotated[str, StringConstraints(min_length=1, max_length=1000), AfterValidator(_sayable)]
GrantKey = Annotated[
    str, StringConstraints(min_length=1, max_length=400), AfterValidator(printable)
]


class SetupBody(StrictBody):
    setup_token: Annotated[str, StringConstraints(min_length=1, max_length=256)]
    name: PersonName
    password: Password


class SetupDone(BaseModel):
    name: str
    token: str = Field(description="Shown this once")


class SessionBody(StrictBody):
    name: Annotated[str, StringConstraints(min_length=1, max_length=63)]
    password: Annotated[str, StringConstraints(min_length=1, max_length=256)]


class SessionMade(BaseModel):
    id: str
    token: str = Field(description="Shown this once")
    expires_at: datetime


class Me(BaseModel):
    subject: str
    name: str
    role: str


class TokenBody(StrictBody):
    name: PersonName
    role: Role
    expires_in_days: Annotated[int, Field(ge=1, le=3650)] | None = None


class TokenMade(BaseModel):
    id: str
    token: str = Field(description="Shown this once")


class TokenShown(BaseModel):
    id: str
    kind: str
    name: str
    role: str
    created_at: datetime
    created_by: str
    expires_at: datetime | None


class TokenPage(BaseModel):
    items: list[TokenShown]
    next_cursor: str | None


KEY_ID = r"^[0-9a-f]{64}$"
KeyName = Annotated[str, StringConstraints(min_length=1, max_length=100), AfterValidator(printable)]
# Base64 of 32 and of 64 bytes, RFC 4648, section 4.
Bytes32 = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+/]{43}=$", max_length=44)]
Bytes64 = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+/]{86}==$", max_length=88)]


def key_id_of(text: str) -> str:
    if re.fullmatch(KEY_ID[1:-1], text) is None:
        raise ValueError(text)
    return text


class KeyBody(StrictBody):
    name: KeyName
    public_key: Bytes32 = Field(description="Ed25519 (RFC 8032), in base64")
    proof: Bytes64 = Field(description="The key's signature over its publisher, in base64")


class RotationBody(KeyBody):
    handed_over: Bytes64 = Field(description="The old key's signature over the new key's id")


class RevocationBody(StrictBody):
    reason: Reason


class SigningKeyShown(BaseModel):
    id: str = Field(description="SHA-256 of the public key")
    publisher: str
    name: str
    public_key: str
    state: KeyState
    reason: str = Field(description="Why it was revoked")
    successor: str | None
    created_at: datetime
    changed_at: datetime


class SigningKeyPage(BaseModel):
    items: list[SigningKeyShown]
    next_cursor: str | None


class SignatureShown(BaseModel):
    key_id: str
    publisher: str
    state: KeyState
    is_good: bool = Field(description="False when the key was revoked")


class VersionShown(BaseModel):
    plugin: str
    version: str
    sha256: str
    size_bytes: int
    state: State
    reason: str
    publisher: str
    published_at: datetime
    score: int | None
    grade: str | None
    verdict: str | None
    signature: SignatureShown | None = Field(description="None when the package is not signed")


class VersionWhole(VersionShown):
    manifest: dict[str, Any] | None = Field(description="None when the version was deleted")


class VersionPage(BaseModel):
    items: list[VersionShown]
    next_cursor: str | None


class PluginShown(BaseModel):
    plugin: str
    title: str | None
    summary: str | None
    category: str | None
    keywords: list[str] | None
    publisher: str
    latest: str | None
    state: State | None
    score: int | None
    grade: str | None
    published_at: datetime | None


PermissionKind = Literal["network", "storage", "secrets", "publish", "call"]
Kinds = Annotated[list[PermissionKind], Field(max_length=5)]


class SearchQuery(BaseModel):
    """All of it has to fit."""

    q: Annotated[
        str | None, StringConstraints(min_length=1, max_length=200), AfterValidator(printable)
    ] = Field(default=None, description="Words; they may be mistyped")
    category: Category | None = None
    asks: Kinds = Field(default=[], description="Kinds of permissions that it asks for")
    asks_not: Kinds = Field(default=[], description="Kinds that it does not ask for")
    min_score: int = Field(default=0, ge=0, le=100, description="Of its audit; 0 is any, or none")
    facets: bool = Field(default=False, description="Count what fits by category and permission")
    limit: int = Field(default=50, ge=1, le=200, description="Items of a page")
    cursor: str | None = Field(
        default=None, max_length=400, description="`next_cursor` of the page before"
    )


class Facets(BaseModel):
    """Numbers of plugins, the highest first."""

    category: dict[str, int]
    permission: dict[str, int]


class PluginPage(BaseModel):
    items: list[PluginShown]
    next_cursor: str | None
    facets: Facets | None = Field(description="When asked for")


class StateBody(StrictBody):
    state: Annotated[State, Field(strict=False)]
    reason: Reason


class InstallationBody(StrictBody):
    version: Annotated[str, StringConstraints(min_length=1, max_length=VERSION_CHARACTERS)]
    grants: Annotated[list[GrantKey], Field(max_length=256)] = Field(default_factory=list)
    configuration: dict[str, Any] = Field(default_factory=dict)
    allow_downgrade: bool = False
    allow_revoked_key: bool = Field(
        default=False, description="The owner wants it though its signing key was revoked"
    )


class InstallationShown(BaseModel):
    plugin: str
    version: str
    sha256: str
    grants: list[str]
    configuration: dict[str, Any] = Field(description="Secrets are shown as ***")
    triggers: dict[str, Any]
    limits: dict[str, Any]
    installed_at: datetime
    installed_by: str
    revision: int
    update_policy: UpdatePolicy
    canary_until: datetime | None = Field(
        description="Until then an update that was taken by itself is on trial; None when none is"
    )
    canary_failures: int = Field(description="Runs on trial that failed, in a row")
    went_back_from: str | None = Field(
        description="Neither this version nor an older one is taken again by itself"
    )


class UpdatePolicyBody(StrictBody):
    update_policy: Annotated[UpdatePolicy, Field(strict=False)]


Passphrase = Annotated[str, StringConstraints(min_length=12, max_length=256)]


class ExportBody(StrictBody):
    passphrase: Passphrase | None = Field(default=None, description="Seals the secrets")


class InstallationFile(StrictBody):
    """An installation, to be kept or brought elsewhere."""

    format: Literal["heimnetz-installation/1"]
    plugin: PluginName
    version: Annotated[str, StringConstraints(min_length=1, max_length=VERSION_CHARACTERS)]
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$", max_length=64)]
    grants: Annotated[list[GrantKey], Field(max_length=256)]
    configuration: dict[str, Any] = Field(description="Secrets are ***")
    update_policy: Annotated[UpdatePolicy, Field(strict=False)]
    exported_at: Annotated[str, StringConstraints(pattern=r"^[0-9T:+-]{25}$", max_length=25)] = (
        Field(description="RFC 3339, in UTC")
    )
    salt: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+/]{22}==$", max_length=24)] | None
    sealed: Annotated[str, StringConstraints(min_length=1, max_length=1024 * 1024)] | None = Field(
        description="The configuration with its secrets, sealed with a passphrase, in base64"
    )


class ImportBody(StrictBody):
    file: InstallationFile
    passphrase: Passphrase | None = None
    configuration: dict[str, Any] = Field(
        default_factory=dict, description="Values that go before those of the file"
    )
    allow_downgrade: bool = False


class InstallationPage(BaseModel):
    items: list[InstallationShown]
    next_cursor: str | None


class RollbackBody(StrictBody):
    revision: Annotated[int, Field(ge=1, lt=2**63)] | None = Field(
        default=None, description="Only if the installation still has this revision"
    )
    version: (
        Annotated[str, StringConstraints(min_length=1, max_length=VERSION_CHARACTERS)] | None
    ) = Field(default=None, description="Only if this version is still installed: it is left")
    reason: Annotated[str, StringConstraints(max_length=1000), AfterValidator(_sayable)] = Field(
        default="", description="For the trail"
    )


class OutlookShown(BaseModel):
    """What a rollback would bring."""

    plugin: str
    version: str
    from_version: str = Field(description="What is installed now")
    revision: int = Field(description="Of what is installed now; send it with the rollback")
    state: State
    refusal: str | None = Field(description="Why it would be refused; None when it would not")
    grants: list[str]
    configuration: dict[str, Any] = Field(description="Secrets are shown as ***")
    installed_at: datetime
    installed_by: str
    kept_at: datetime


class GrantShown(BaseModel):
    plugin: str
    version: str
    grant: str


class GrantList(BaseModel):
    items: list[GrantShown]


class Configuration(BaseModel):
    plugin: str
    version: str
    revision: int
    configuration: dict[str, Any] = Field(description="With its secrets in clear")


class EntryShown(BaseModel):
    id: int
    at: datetime
    actor: str
    action: str
    plugin: str | None
    version: str | None
    state_before: str | None
    state_after: str | None
    reason: str


class TrailPage(BaseModel):
    items: list[EntryShown]
    next_cursor: str | None


class LinkShown(BaseModel):
    position: int
    id: int = Field(description="Of the entry")
    digest: str = Field(description="Over the entry and the digest before, in hexadecimal")
    entry: EntryShown | None = Field(description="None when it is not there any more")


class ChainPage(BaseModel):
    items: list[LinkShown]
    next_cursor: str | None


class CheckpointShown(BaseModel):
    position: int
    entry: int
    digest: str
    at: datetime
    key_id: str = Field(description="SHA-256 of the public key")
    public_key: str = Field(description="Ed25519 (RFC 8032), in base64")
    signature: str = Field(description="Over position, entry, digest and time, in base64")


class CheckpointPage(BaseModel):
    items: list[CheckpointShown]
    next_cursor: str | None


class ProblemShown(BaseModel):
    entry: int
    what: str = Field(description="altered, removed, or forged: its link was")


class VerificationShown(BaseModel):
    """`position` and `digest` are the chain's end: note them elsewhere, and compare later."""

    is_intact: bool
    entries: int
    checkpoints: int = Field(description="Signed ones that fit")
    position: int
    digest: str
    problems: list[ProblemShown] = Field(description="The first hundred")

    @classmethod
    def of(cls, found: Verification) -> Self:
        return cls(
            is_intact=not found.problems,
            entries=found.entries,
            checkpoints=found.checkpoints,
            position=found.last.position,
            digest=found.last.digest.hex(),
            problems=[ProblemShown(entry=one.entry, what=one.what) for one in found.problems],
        )
