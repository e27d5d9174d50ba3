"""What is declared against what is there: the steps from one to the other, and nothing more."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from heimnetz_cli.session import write_private
from heimnetz_cli.state import ALL, DeclaredInstallation, DeclaredToken, State
from heimnetz_manifest import (
    ConfigurationSchema,
    Grants,
    InvalidConfiguration,
    InvalidManifest,
    Manifest,
    Mistake,
)
from heimnetz_manifest.configuration import HIDDEN
from heimnetz_manifest.loading import Document
from heimnetz_manifest.parsing import place_mistake
from heimnetz_manifest.permissions import describe
from heimnetz_sdk.client import Client
from heimnetz_sdk.errors import NotFound
from heimnetz_sdk.models import Installation, Page, Token

SECRET_BYTES = 64 * 1024
_INSTALLABLE = frozenset({"approved", "deprecated"})
_HOW = "{file: PATH}, {environment: NAME} or {clear: TEXT}"

Where = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """`details` are for people; no secret is in them."""

    action: str
    subject: str
    details: tuple[str, ...]
    make: Callable[[], object] = field(repr=False)


class Planner:
    """Looks first, and changes nothing; `folder` is where relative paths begin."""

    def __init__(
        self, client: Client, document: Document, folder: Path, *, renews_secrets: bool
    ) -> None:
        self._client = client
        self._document = document
        self._folder = folder
        self._renews_secrets = renews_secrets
        self._mistakes: list[Mistake] = []

    def plan(self, state: State, *, prunes: bool) -> list[Change]:
        """In the order in which they are to be made.

        Raises: InvalidManifest, with everything that could not be done.
        """
        changes = list(self._tokens(state.tokens))
        for name, wanted in state.installations.items():
            changes += self._installation(name, wanted)
        if prunes:
            changes += self._surplus(state)
        if self._mistakes:
            raise InvalidManifest(self._mistakes)
        return changes

    def _wrong(self, where: Where, detail: str) -> None:
        mistake = place_mistake(self._document, where, "manifest-invalid-value", detail)
        self._mistakes.append(mistake)

    def _tokens(self, wanted: Mapping[str, DeclaredToken]) -> Iterator[Change]:
        registry = self._client.registry
        known: dict[str, list[Token]] = {}
        files: set[Path] = set()
        for token in _every(registry.list_tokens) if wanted else ():
            # Who is logged in is in the list too.
            if token.document.get("kind") == "token":
                known.setdefault(token.name, []).append(token)
        for name, one in wanted.items():
            there = known.get(name, [])
            stale = [token for token in there if token.role != one.role]
            if there and not stale:
                continue
            file = self._folder / one.file
            if file.exists() or file in files:
                self._wrong(
                    ("tokens", name, "file"),
                    f"{one.file} is there already, or taken by another token",
                )
            files.add(file)
            details = [f"role {one.role}, written to {one.file}"]
            details += [f"instead of one with the role {token.role}" for token in stale]
            action = "replace token" if stale else "make token"
            yield Change(action, name, tuple(details), self._token_maker(name, one, file, stale))

    def _token_maker(
        self, name: str, wanted: DeclaredToken, file: Path, stale: list[Token]
    ) -> Callable[[], None]:
        def make() -> None:
            registry = self._client.registry
            # Before there is a token: one that cannot be written down is lost.
            write_private(file, "")
            try:
                made = registry.create_token(name, wanted.role, wanted.expires_in_days)
            except BaseException:
                file.unlink()
                raise
            write_private(file, made.token + "\n")
            for token in stale:
                registry.revoke_token(token.id)

        return make

    def _installation(self, name: str, wanted: DeclaredInstallation) -> Iterator[Change]:
        registry, at = self._client.registry, ("installations", name)
        try:
            version = registry.get_version(name, wanted.version)
        except NotFound:
            self._wrong((*at, "version"), f"{name} {wanted.version} is not published")
            return
        try:
            manifest = Manifest.model_validate(version.manifest)
        except ValueError:
            self._wrong((*at, "version"), "its manifest is not one that this command knows")
            return
        before = self._find(name)
        grants = self._grants(at, wanted, manifest)
        values = self._configuration(at, wanted, manifest.configuration_schema, before)
        if grants is None or values is None:
            return
        shown, secrets = manifest.configuration_schema.split(values)
        details = tuple(_differences(before, wanted.version, grants, shown, secrets))
        if details:
            if version.state not in _INSTALLABLE:
                self._wrong((*at, "version"), f"{name} {wanted.version} is {version.state}")
            yield Change(
                "install" if before is None else "change",
                name,
                details,
                lambda: registry.install(
                    name, wanted.version, grants, values, allow_downgrade=True
                ),
            )
        policy = wanted.updates
        if policy is not None and policy != (before.update_policy if before else "manual"):
            yield Change(
                "set updates",
                name,
                (f"from now on {policy}",),
                lambda: registry.set_update_policy(name, policy),
            )

    def _find(self, name: str) -> Installation | None:
        try:
            return self._client.registry.get_installation(name)
        except NotFound:
            return None

    def _grants(
        self, at: Where, wanted: DeclaredInstallation, manifest: Manifest
    ) -> list[str] | None:
        asked = Grants.all_of(manifest.permissions)
        if wanted.grants == [ALL]:
            return asked.sorted()
        wrong = [number for number, key in enumerate(wanted.grants) if key not in asked]
        for number in wrong:
            known = ", ".join(asked.sorted()) or "nothing"
            self._wrong((*at, "grants", number), f"{manifest.name} asks for: {known}")
        return None if wrong else sorted(set(wanted.grants))

    def _configuration(
        self,
        at: Where,
        wanted: DeclaredInstallation,
        schema: ConfigurationSchema,
        before: Installation | None,
    ) -> dict[str, Any] | None:
        """With its secrets; `***` for one that stays as it is stored."""
        at = (*at, "configuration")
        shown, given = schema.split(wanted.configuration)
        stored = schema.split(dict(before.configuration))[1] if before else {}
        known = {pointer for pointer, value in stored.items() if value == HIDDEN}
        for pointer in known:
            _make_room(shown, _parts(pointer))
        texts: dict[str, Any] = {}
        count = len(self._mistakes)
        for pointer, source in given.items():
            try:
                texts[pointer] = self._secret(source)
            except ValueError as error:
                self._wrong((*at, *_parts(pointer)), str(error))
        stay = dict.fromkeys(known, HIDDEN)
        try:
            # With what the file gives, since a stored secret can be checked by the registry only.
            values = schema.complete(schema.join(shown, stay | texts))
        except InvalidConfiguration as error:
            for mistake in error.mistakes:
                is_unseen = mistake.pointer in known - texts.keys()
                detail = f"say where this secret is: {_HOW}" if is_unseen else mistake.detail
                self._wrong((*at, *_parts(mistake.pointer)), detail)
        if len(self._mistakes) > count:
            return None
        return values if self._renews_secrets else schema.join(values, stay)

    def _secret(self, source: Any) -> str:
        """Raises: ValueError, with what is wrong and never with a value."""
        match source:
            case {"clear": str(text)} if len(source) == 1:
                return text
            case {"environment": str(name)} if len(source) == 1:
                if name not in os.environ:
                    raise ValueError(f"the environment has no {name}")
                return os.environ[name]
            case {"file": str(name)} if len(source) == 1:
                return _read(self._folder / name, name)
        raise ValueError(f"this is a secret; say where it is: {_HOW}")

    def _surplus(self, state: State) -> Iterator[Change]:
        registry = self._client.registry
        for one in _every(registry.list_installations):
            if one.plugin not in state.installations:
                details = (f"version {one.version}; its versions and runs stay",)
                make = partial(registry.uninstall, one.plugin)
                yield Change("uninstall", one.plugin, details, make)


def _make_room(values: dict[str, Any], parts: tuple[str, ...]) -> None:
    """The objects that a stored secret lies in, where the file left them out."""
    for part in parts[:-1]:
        inner = values.setdefault(part, {})
        if not isinstance(inner, dict):
            return
        values = inner


def _read(file: Path, name: str) -> str:
    try:
        with file.open("rb") as stream:
            data = stream.read(SECRET_BYTES + 1)
    except OSError as error:
        raise ValueError(f"{name}: {error.strerror}") from None
    if len(data) > SECRET_BYTES:
        raise ValueError(f"{name} has more than {SECRET_BYTES} bytes")
    try:
        return data.decode().removesuffix("\n")
    except UnicodeDecodeError:
        raise ValueError(f"{name} is not UTF-8") from None


def _every(list_page: Callable[..., Page[Any]]) -> Iterator[Any]:
    cursor: str | None = None
    while True:
        page = list_page(limit=200, cursor=cursor)
        yield from page.items
        cursor = page.next_cursor
        if cursor is None:
            return


def _differences(
    before: Installation | None,
    version: str,
    grants: list[str],
    shown: dict[str, Any],
    secrets: Mapping[str, Any],
) -> Iterator[str]:
    if before is None:
        yield f"version {version}"
    elif before.version != version:
        yield f"version {before.version} -> {version}"
    had = set(before.grants) if before else set[str]()
    for key in sorted(set(grants) - had):
        yield f"may from now on: {describe(key)}"
    for key in sorted(had - set(grants)):
        yield f"may no longer: {describe(key)}"
    old, new = _flat(before.configuration if before else {}), _flat(shown)
    for pointer in sorted(old.keys() | new.keys()):
        if secrets.get(pointer, HIDDEN) != HIDDEN:
            yield f"configuration {pointer}: a secret that is given now"
        elif pointer not in new:
            yield f"configuration {pointer}: {_json(old[pointer])} -> nothing"
        elif pointer not in old:
            yield f"configuration {pointer}: {_json(new[pointer])}"
        elif old[pointer] != new[pointer]:
            yield f"configuration {pointer}: {_json(old[pointer])} -> {_json(new[pointer])}"


def _flat(value: Any, pointer: str = "") -> dict[str, Any]:
    """Each leaf by its JSON Pointer."""
    if not isinstance(value, Mapping) or (pointer and not value):
        return {pointer: value}
    found: dict[str, Any] = {}
    for key, item in value.items():
        found |= _flat(item, f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}")
    return found


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _parts(pointer: str) -> tuple[str, ...]:
    parts = pointer.split("/")[1:]
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in parts)
