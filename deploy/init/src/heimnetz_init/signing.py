"""The public keys of all services, as one JSON Web Key Set (RFC 7517), and how they change.

A new key is in the set before anything is signed with it, and an old one stays until everything
that it signed has ended. When a key was made and when it may go are members of our own, `made` and
`until`, in seconds since 1970; the standard has readers ignore what they do not know.
"""

import json
from datetime import datetime, timedelta
from typing import Any, Self

from heimnetz_common.tokens import public_jwk

# Tokens live for a minute; services look for a new key of their own every second.
OVERLAP = timedelta(minutes=10)
LIFETIME = timedelta(days=90)


class KeySet:
    def __init__(self, keys: list[dict[str, Any]]) -> None:
        self._keys = keys

    @classmethod
    def read(cls, text: str | None) -> Self:
        return cls(json.loads(text)["keys"] if text else [])

    def write(self) -> str:
        keys = sorted(self._keys, key=lambda key: (_service(key), _number(key)))
        return json.dumps({"keys": keys}, indent=2, sort_keys=True)

    def add(self, service: str, private: str, now: datetime) -> None:
        """The key is its service's from now on; the one before may go after the overlap."""
        public = public_jwk(private, "")
        numbers = []
        for key in self._of(service):
            if key["x"] == public["x"]:
                key.setdefault("made", _seconds(now))
                key.pop("until", None)
            else:
                key.setdefault("until", _seconds(now + OVERLAP))
            numbers.append(_number(key))
        if all(key["x"] != public["x"] for key in self._of(service)):
            kid = f"{service}-{max(numbers, default=0) + 1}"
            self._keys.append({**public, "kid": kid, "made": _seconds(now)})

    def is_due(self, service: str, now: datetime, lifetime: timedelta = LIFETIME) -> bool:
        made = [key.get("made", 0) for key in self._of(service) if "until" not in key]
        return not made or max(made) + lifetime.total_seconds() <= _seconds(now)

    def drop_ended(self, now: datetime) -> None:
        self._keys = [key for key in self._keys if key.get("until", _seconds(now)) >= _seconds(now)]

    def _of(self, service: str) -> list[dict[str, Any]]:
        return [key for key in self._keys if _service(key) == service]


def _service(key: dict[str, Any]) -> str:
    return str(key["kid"]).rpartition("-")[0]


def _number(key: dict[str, Any]) -> int:
    return int(str(key["kid"]).rpartition("-")[2])


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())
