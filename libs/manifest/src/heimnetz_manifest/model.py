"""The manifest: everything an author says about a version. This model is the only source of it."""

from __future__ import annotations

import re
from datetime import timedelta
from functools import cached_property
from typing import Annotated, Any, Literal

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from heimnetz_manifest.configuration import ConfigurationSchema, SchemaMistake
from heimnetz_manifest.errors import shown
from heimnetz_manifest.limits import Limits
from heimnetz_manifest.names import PluginName, Version, is_reserved
from heimnetz_manifest.permissions import Permissions
from heimnetz_manifest.triggers import Triggers
from heimnetz_manifest.values import (
    HttpsUrl,
    InnerPath,
    Integer,
    Json,
    JsonObject,
    Line,
    Name120,
    Number,
    Prose,
    Seconds,
    refuse,
)

MANIFEST_NAME = "plugin.yaml"
Category = Literal[
    "automation", "backup", "data", "developer", "energy", "finance", "health", "home", "media",
    "monitoring", "network", "notification", "office", "security", "storage", "system", "other",
]  # fmt: skip

_PYTHON_ENTRY = re.compile(
    r"[a-z_][a-z0-9_]{0,60}(?:\.[a-z_][a-z0-9_]{0,60}){0,6}:[a-z_][A-Za-z0-9_]{0,60}\Z"
)
_NODE_ENDINGS = (".js", ".mjs", ".cjs")
_NODE_ENTRY = re.compile(
    r"[A-Za-z0-9_-][A-Za-z0-9_./-]{0,120}"
    r"(?:\.(?:js|mjs|cjs)(?::[A-Za-z_$][A-Za-z0-9_$]{0,60})?|:[A-Za-z_$][A-Za-z0-9_$]{0,60})\Z"
)
_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z")
_METRIC = re.compile(r"[a-z][a-z0-9_]{0,99}\Z")
_ROUTE = re.compile(r"/[A-Za-z0-9_.~{}/-]{0,199}\Z")
_EMAIL = re.compile(r"[^@\s<>\"(),:;\\\[\]]{1,64}@[a-z0-9.-]{1,253}\Z")


def _licence(value: str) -> str:
    try:
        return str(canonicalize_license_expression(value))
    except (InvalidLicenseExpression, RecursionError, MemoryError) as error:
        raise refuse(
            "manifest-invalid-licence",
            f"{shown(value)!r} is not an SPDX licence like MIT or Apache-2.0",
        ) from error


def _own_name(value: PluginName) -> PluginName:
    if is_reserved(value):
        raise refuse("manifest-reserved-name", f"{shown(value)!r} is reserved for the platform")
    return value


def _matching(pattern: re.Pattern[str], meaning: str) -> AfterValidator:
    def check(value: str) -> str:
        if not pattern.match(value):
            raise refuse("manifest-invalid-value", f"{shown(value)!r} is not {meaning}")
        return value

    return AfterValidator(check)


def _schema(value: dict[str, Any]) -> dict[str, Any]:
    try:
        ConfigurationSchema(value)
    except SchemaMistake as mistake:
        raise refuse(
            "manifest-invalid-schema",
            mistake.detail,
            below=mistake.where,
            suggestion=mistake.suggestion,
            of_key=mistake.of_key,
        ) from mistake
    return value


class _Part(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, validate_by_name=True, validate_by_alias=True
    )


class Author(_Part):
    name: Name120
    email: (
        Annotated[str, StringConstraints(max_length=320), _matching(_EMAIL, "an e-mail address")]
        | None
    ) = None
    url: HttpsUrl | None = None


class Example(_Part):
    """Used by trials, documentation, tests and stress."""

    name: Annotated[
        str, StringConstraints(max_length=63), _matching(_SLUG, "a short name like a-year")
    ]
    summary: Line | None = None
    input: JsonObject = Field(
        default_factory=dict, description="JSON that the plugin is called with"
    )
    files: list[InnerPath] = Field(
        default_factory=list, max_length=16, description="Files of the package passed in"
    )
    configuration: JsonObject = Field(default_factory=dict)
    output: Json = Field(
        None, description="Expected result; every member given here has to be equal"
    )


class Endpoint(_Part):
    """One HTTP route of a plugin that is an API."""

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: Annotated[
        str, StringConstraints(max_length=200), _matching(_ROUTE, "a path like /readings/{day}")
    ]
    summary: Line
    input: JsonObject = Field(default_factory=dict, description="JSON Schema of the request")
    output: JsonObject = Field(default_factory=dict, description="JSON Schema of the answer")


class Metric(_Part):
    name: Annotated[
        str, StringConstraints(max_length=100), _matching(_METRIC, "a metric like readings_total")
    ]
    type: Literal["counter", "gauge", "histogram"]
    help: Line
    unit: Annotated[str, StringConstraints(max_length=30)] | None = None


class ServiceLevel(_Part):
    availability: Annotated[Number, Field(gt=0, lt=1)] | None = Field(
        None, description="Share of runs that end ok"
    )
    latency_seconds: Annotated[Seconds, Field(gt=0, le=3600)] | None = Field(
        None, alias="latency", description="99 of 100 answers come within this time"
    )


class Health(_Part):
    path: Annotated[
        str, StringConstraints(max_length=200), _matching(_ROUTE, "a path like /healthz")
    ] = "/healthz"
    interval_seconds: Annotated[Seconds, Field(ge=5, le=3600)] = Field(30.0, alias="interval")

    @property
    def interval(self) -> timedelta:
        return timedelta(seconds=self.interval_seconds)


class Dependencies(_Part):
    lock: InnerPath = Field(description="File with every dependency, its version and its hashes")


class Manifest(_Part):
    """A plugin's manifest, `plugin.yaml`."""

    manifest: Annotated[Integer, Field(ge=1, le=1)] = Field(
        description="Version of this format, always 1"
    )
    name: Annotated[PluginName, AfterValidator(_own_name)] = Field(
        description="Name of the plugin, a DNS label"
    )
    version: Version = Field(description="SemVer 2.0")
    title: Name120 = Field(description="Name for people")
    summary: Line = Field(description="What it does, in one line")
    description: Prose | None = Field(None, description="More about it, in Markdown")
    licence: Annotated[str, StringConstraints(max_length=100), AfterValidator(_licence)] = Field(
        description="SPDX expression"
    )
    authors: list[Author] = Field(min_length=1, max_length=16)
    homepage: HttpsUrl | None = None
    keywords: list[
        Annotated[
            str, StringConstraints(max_length=63), _matching(_SLUG, "a keyword like smart-meter")
        ]
    ] = Field(default_factory=list, max_length=16)
    category: Category = "other"
    icon: (
        Annotated[InnerPath, _matching(re.compile(r"[^:]+\.(?:png|svg)\Z"), "a PNG or SVG file")]
        | None
    ) = Field(None, description="A PNG or SVG file in the package")
    kind: Literal["job", "service"] = Field(
        description="A job answers one call and ends; a service runs long"
    )
    runtime: Literal["python", "node"]
    entry_point: Annotated[str, StringConstraints(max_length=200)] = Field(
        description="module:function (Python), or file.js:function or file:function (Node)"
    )
    fresh: Literal["container", "process"] = Field(
        "container", description="What every call gets anew"
    )
    triggers: Triggers = Field(default_factory=Triggers)
    permissions: Permissions = Field(default_factory=Permissions)
    limits: Limits = Field(default_factory=Limits)
    configuration: Annotated[JsonObject, AfterValidator(_schema)] = Field(
        default_factory=lambda: {"type": "object", "properties": {}},
        description="JSON Schema 2020-12; secret: true on what nobody may read",
    )
    examples: list[Example] = Field(default_factory=list, max_length=16)
    endpoints: list[Endpoint] = Field(default_factory=list, max_length=64)
    metrics: list[Metric] = Field(default_factory=list, max_length=32)
    service_level: ServiceLevel | None = None
    health: Health | None = None
    dependencies: Dependencies | None = None
    native: list[InnerPath] = Field(
        default_factory=list, max_length=64, description="Files with native code"
    )

    @cached_property
    def configuration_schema(self) -> ConfigurationSchema:
        return ConfigurationSchema(self.configuration)

    def entry_files(self) -> tuple[str, ...]:
        """Paths inside the package of which one holds the entry point."""
        target = self.entry_point.partition(":")[0]
        if self.runtime == "node":
            if target.endswith(_NODE_ENDINGS):
                return (target,)
            return tuple(f"{target}{ending}" for ending in _NODE_ENDINGS)
        path = target.replace(".", "/")
        return tuple(
            f"{root}{path}{ending}" for root in ("src/", "") for ending in (".py", "/__init__.py")
        )

    def named_files(self) -> dict[tuple[str | int, ...], str]:
        """Where the manifest names a file of the package, and which."""
        named: dict[tuple[str | int, ...], str] = {}
        if self.icon:
            named["icon",] = self.icon
        if self.dependencies:
            named["dependencies", "lock"] = self.dependencies.lock
        for index, example in enumerate(self.examples):
            named.update(
                {("examples", index, "files", at): path for at, path in enumerate(example.files)}
            )
        named.update({("native", at): path for at, path in enumerate(self.native)})
        return named

    @model_validator(mode="after")
    def _entry_point_fits(self) -> Manifest:
        pattern, meaning = (
            (_PYTHON_ENTRY, "module:function")
            if self.runtime == "python"
            else (_NODE_ENTRY, "file.js:function or file:function")
        )
        if (
            not pattern.match(self.entry_point)
            or ".." in self.entry_point
            or "//" in self.entry_point
        ):
            raise refuse(
                "manifest-invalid-entry-point",
                f"{shown(self.entry_point)!r} is not {meaning}",
                below=("entry_point",),
            )
        return self

    @model_validator(mode="after")
    def _service_fits(self) -> Manifest:
        if self.kind != "service":
            return self
        odd = {
            "fresh": self.fresh == "process",
            "triggers": bool(self.triggers.cron or self.triggers.events),
        }
        for key, is_odd in odd.items():
            if is_odd:
                raise refuse(
                    "manifest-invalid-service",
                    f"a service runs all the time: it has no such {key}",
                    below=(key,),
                )
        return self

    @model_validator(mode="after")
    def _runtime_can_do_it(self) -> Manifest:
        if self.runtime != "node":
            return self
        if self.fresh == "process":
            raise refuse(
                "manifest-invalid-value",
                "Node cannot make copies of a process with the plugin loaded: "
                "fresh is container where the runtime is node",
                below=("fresh",),
            )
        if self.dependencies is not None:
            raise refuse(
                "manifest-invalid-value",
                "dependencies are fetched for Python alone: "
                "put what a Node plugin needs into its package",
                below=("dependencies",),
            )
        for key, least in self.limits.short_for_node():
            raise refuse(
                "manifest-limit-out-of-range",
                f"Node itself takes some of it: give {least} or more",
                below=("limits", key),
            )
        return self

    @model_validator(mode="after")
    def _calls_others(self) -> Manifest:
        for index, call in enumerate(self.permissions.call):
            if call.plugin == self.name:
                raise refuse(
                    "manifest-self-dependency",
                    "a plugin does not call itself",
                    below=("permissions", "call", index, "plugin"),
                )
        return self

    @model_validator(mode="after")
    def _secrets_are_there(self) -> Manifest:
        reached = {item.to for item in self.permissions.network}
        for index, secret in enumerate(self.permissions.secrets):
            if secret.to is None:
                continue
            where = ("permissions", "secrets", index)
            if f"/{secret.name}" not in self.configuration_schema.secrets:
                raise refuse(
                    "manifest-invalid-secret",
                    f"configuration has no field {secret.name} with secret: true",
                    below=(*where, "name"),
                )
            if secret.to not in reached:
                raise refuse(
                    "manifest-invalid-secret",
                    f"permissions.network does not ask for {secret.to}",
                    below=(*where, "to"),
                )
        return self

    @model_validator(mode="after")
    def _nothing_twice(self) -> Manifest:
        lists: dict[tuple[str | int, ...], list[str]] = {
            ("permissions", "network"): [item.to for item in self.permissions.network],
            ("permissions", "secrets"): [item.name for item in self.permissions.secrets],
            ("permissions", "publish"): [item.event for item in self.permissions.publish],
            ("permissions", "call"): [item.plugin for item in self.permissions.call],
            ("examples",): [item.name for item in self.examples],
            ("endpoints",): [f"{item.method} {item.path}" for item in self.endpoints],
            ("metrics",): [item.name for item in self.metrics],
            ("keywords",): list(self.keywords),
        }
        for where, items in lists.items():
            twice = next((at for at, item in enumerate(items) if item in items[:at]), None)
            if twice is not None:
                raise refuse(
                    "manifest-invalid-value",
                    f"{shown(items[twice])} is given twice",
                    below=(*where, twice),
                )
        return self

    @model_validator(mode="after")
    def _examples_fit(self) -> Manifest:
        for index, example in enumerate(self.examples):
            whole = self.configuration_schema.defaults() | example.configuration
            mistake = next(self.configuration_schema.mistakes(whole), None)
            if mistake is not None:
                raise refuse(
                    "manifest-invalid-example",
                    f"configuration{mistake.pointer}: {mistake.detail}",
                    below=("examples", index, "configuration"),
                )
        return self
