"""Secrets that a plugin sends and never has: it has a placeholder, the broker puts the value in.

Only where the broker makes the TLS connection itself, to the host that the grant names, and only in
the target and the headers of a request. An answer in which the value comes back is cut off.
"""

import base64
import binascii
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import h11

from heimnetz_manifest import Destination, Grants
from heimnetz_sandbox.broker.rules import Refused, Target
from heimnetz_sandbox.model import Program

PREFIX = "heimnetz-secret-"
# Shorter values come back by chance.
MIN_ECHO_CHARACTERS = 6
_OF_PARTS = frozenset({b"accept-encoding", b"range", b"if-range"})


@dataclass(frozen=True, slots=True)
class Held:
    """`to` is None where the owner did not grant it: then it is sent nowhere."""

    name: str
    placeholder: str
    value: str = field(repr=False)
    to: Destination | None

    def is_for(self, target: Target) -> bool:
        return self.to is not None and (self.to.host, self.to.port) == (target.host, target.port)


@dataclass(frozen=True, slots=True)
class Given:
    """A configuration as the plugin gets it; `secrets` are to be masked, `held` is not in it."""

    configuration: dict[str, Any] = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    held: tuple[Held, ...]


def give(program: Program, values: Mapping[str, Any], grants: Grants) -> Given:
    destinations = dict(grants.held)
    given, held = dict(values), []
    for name in program.held:
        value = values.get(name)
        if isinstance(value, str) and value:
            given[name] = f"{PREFIX}{name}-{secrets.token_hex(12)}"
            held.append(Held(name, given[name], value, destinations.get(name)))
    return Given(given, tuple(_secrets(program, values)), tuple(held))


def _secrets(program: Program, values: Mapping[str, Any]) -> Iterator[str]:
    """Values of the fields that the manifest calls secret."""
    for pointer in program.secret_pointers:
        value: Any = values
        for part in pointer.split("/")[1:]:
            name = part.replace("~1", "/").replace("~0", "~")
            value = value.get(name) if isinstance(value, dict) else None
        if isinstance(value, str):
            yield value


@dataclass(frozen=True, slots=True)
class Filled:
    """`used` and `kept_back` are names; `texts` must not come back."""

    request: h11.Request
    used: tuple[str, ...]
    kept_back: tuple[str, ...]
    texts: tuple[bytes, ...]


def fill(request: h11.Request, target: Target, held: Sequence[Held], *, is_tls: bool) -> Filled:
    """Raises: Refused, when a value cannot stand in a header."""
    used, kept_back, texts = [], [], []
    url, headers = request.target, list(request.headers)
    for one in held:
        mark = one.placeholder.encode()
        if not (mark in url or any(mark in _opened(*header) for header in headers)):
            continue
        if not (is_tls and one.is_for(target)):
            kept_back.append(one.name)
            continue
        used.append(one.name)
        value, quoted = one.value.encode(), quote(one.value, safe="").encode()
        url = url.replace(mark, quoted)
        headers = [(name, _put(name, text, mark, value)) for name, text in headers]
        texts += [text for text in {value, quoted} if len(text) >= MIN_ECHO_CHARACTERS]
    if used:
        texts += [
            text.partition(b" ")[2]
            for (name, text), (_, before) in zip(headers, request.headers, strict=True)
            if text != before and _is_basic(name, text)
        ]
        # An answer that is compressed, or comes in parts, could not be looked through.
        headers = [pair for pair in headers if pair[0] not in _OF_PARTS]
        headers.append((b"accept-encoding", b"identity"))
    try:
        made = h11.Request(
            method=request.method, target=url, headers=headers, http_version=request.http_version
        )
    except h11.LocalProtocolError as error:
        raise Refused("malformed", "a secret's value cannot stand in a request") from error
    return Filled(made, tuple(used), tuple(kept_back), tuple(texts))


def _is_basic(name: bytes, text: bytes) -> bool:
    return name == b"authorization" and text[:6].lower() == b"basic "


def _opened(name: bytes, text: bytes) -> bytes:
    """A header's text, that of Basic authentication (RFC 7617) decoded."""
    if not _is_basic(name, text):
        return text
    try:
        return base64.b64decode(text[6:], validate=True)
    except (binascii.Error, ValueError):
        return text


def _put(name: bytes, text: bytes, mark: bytes, value: bytes) -> bytes:
    opened = _opened(name, text)
    if mark not in opened:
        return text
    filled = opened.replace(mark, value)
    return filled if opened is text else text[:6] + base64.b64encode(filled)


class Echo:
    """Passes an answer on, but for the last bytes, which may be the first of a secret."""

    def __init__(self, texts: Sequence[bytes], found: Callable[[], None]) -> None:
        self._texts = texts
        self._found = found
        self._overlap = max((len(text) for text in texts), default=1) - 1
        self._kept = b""

    def take(self, data: bytes) -> bytes:
        """What may be passed on. Raises: Refused."""
        whole = self._kept + data
        if any(text in whole for text in self._texts):
            self._found()
            raise Refused("echoed", "the answer holds the secret that was sent, and is cut off")
        cut = len(whole) - self._overlap if data else len(whole)
        self._kept = whole[max(cut, 0) :]
        return whole[: max(cut, 0)]
