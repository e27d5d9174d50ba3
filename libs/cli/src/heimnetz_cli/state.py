"""What an owner may declare for `heimnetz apply`; this model is the only source of it."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic import ValidationError as Misfit

from heimnetz_manifest import InvalidManifest, ManifestError, PluginName, Version
from heimnetz_manifest.loading import Document, load
from heimnetz_manifest.parsing import list_mistakes
from heimnetz_manifest.values import Integer, JsonObject, refuse

SCHEMA_ID = "https://heimnetz.example/schemas/state-1.json"
ALL = "all"


def _plugin(value: str) -> str:
    try:
        return str(PluginName(value))
    except ManifestError as error:
        raise refuse(error.kind, error.detail) from error


def _version(value: str) -> str:
    try:
        return str(Version(value))
    except ManifestError as error:
        raise refuse(error.kind, error.detail) from error


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class DeclaredToken(_Part):
    """A person's or a program's way in; its text is written into a file once, when it is made."""

    role: Literal["owner", "operator", "publisher", "auditor", "viewer"]
    file: Annotated[str, StringConstraints(min_length=1, max_length=1000)] = Field(
        description="Takes the token's text, beside the state file if relative; must not be there"
    )
    expires_in_days: Annotated[Integer, Field(ge=1, le=3650)] | None = None


class DeclaredInstallation(_Part):
    version: Annotated[str, AfterValidator(_version)]
    grants: list[Annotated[str, StringConstraints(min_length=1, max_length=400)]] = Field(
        default_factory=list, max_length=256, description="Keys of permissions, or `all` alone"
    )
    updates: Literal["manual", "safe"] | None = Field(
        None, description="Who puts newer versions to use; left as it is without"
    )
    configuration: JsonObject = Field(
        default_factory=dict,
        description="Secrets as {file: PATH}, {environment: NAME} or {clear: TEXT}; one that is "
        "left out stays as it is stored",
    )


class State(_Part):
    """What is not declared stays as it is."""

    state: Annotated[Integer, Field(ge=1, le=1)]
    tokens: dict[
        Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")], DeclaredToken
    ] = Field(default_factory=dict, max_length=100)
    installations: dict[Annotated[str, AfterValidator(_plugin)], DeclaredInstallation] = Field(
        default_factory=dict, max_length=200
    )


def read_state(path: Path) -> tuple[State, Document]:
    """Raises: InvalidManifest with every mistake and its place; OSError."""
    with path.open("rb") as stream:
        document = load(stream.read(1024 * 1024))
    try:
        return State.model_validate(document.tree), document
    except Misfit as error:
        raise InvalidManifest(list_mistakes(error, document, State)) from None


def state_schema() -> dict[str, Any]:
    """JSON Schema 2020-12, for editors."""
    schema = State.model_json_schema(mode="validation")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCHEMA_ID, **schema}
