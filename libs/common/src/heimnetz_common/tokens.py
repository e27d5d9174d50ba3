"""Who is calling a service: a JWT of one minute, signed with Ed25519 (RFC 8037), for one audience.

Each service signs with its own key and knows everybody's public key. The registry also signs for
the people and programs whose token the gateway showed it.
"""

import json
import time
import uuid
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, OKPKey

from heimnetz_common.errors import Unauthenticated

LIFETIME_SECONDS = 60
LEEWAY_SECONDS = 60
LOOK_SECONDS = 1.0
MAX_KNOWN = 256
ALGORITHM = "Ed25519"
REGISTRY = "registry"
# What every token of a person or program begins with, so that scanners find leaked ones.
USER_TOKEN_PREFIX = "hnz_"  # noqa: S105


@dataclass(frozen=True, slots=True)
class Principal:
    """`subject` is `user:NAME`, `token:ID` or `service:NAME`; a service has no role."""

    subject: str
    name: str
    role: str | None = None

    @property
    def service(self) -> str | None:
        return self.name if self.subject.startswith("service:") else None


class Keys:
    """One service's private key and everybody's public ones, read again when they change."""

    def __init__(self, service: str, secrets_dir: Path) -> None:
        self.service = service
        self._private_file = secrets_dir / "signing.key"
        self._public_file = secrets_dir / "service-keys.json"
        self._looked_at = time.monotonic()
        self._private_version = _version(self._private_file)
        self._public_version = _version(self._public_file)
        self._public = self._read_public()
        self._private, self._kid = self._read_private()
        # Tokens whose signature was found right; their times are looked at each time.
        self._known: OrderedDict[str, tuple[str, dict[str, Any]]] = OrderedDict()

    def mint(
        self, audience: str, *, subject: str | None = None, name: str = "", role: str | None = None
    ) -> str:
        """A token for one call to `audience`; by default in this service's own name."""
        self._look_for_new_key()
        now = int(time.time())
        claims = {
            "iss": self.service,
            "aud": audience,
            "sub": subject or f"service:{self.service}",
            "name": name or self.service,
            "iat": now,
            "exp": now + LIFETIME_SECONDS,
            "jti": uuid.uuid4().hex,
        }
        if role is not None:
            claims["role"] = role
        header = {"alg": ALGORITHM, "kid": self._kid}
        return jwt.encode(header, claims, self._private, algorithms=[ALGORITHM])

    def verify(self, token: str) -> Principal:
        """Raises: Unauthenticated."""
        try:
            signer, claims = self._decode(token)
            jwt.JWTClaimsRegistry(
                leeway=LEEWAY_SECONDS,
                aud={"essential": True, "value": self.service},
                exp={"essential": True},
                iat={"essential": True},
                iss={"essential": True},
                sub={"essential": True},
            ).validate(claims)
        except (JoseError, ValueError, KeyError, TypeError) as error:
            raise Unauthenticated("the token is not valid here, or has expired") from error
        issuer = str(claims["iss"])
        subject = str(claims["sub"])
        speaks_for_itself = subject == f"service:{issuer}"
        if signer != issuer or not (speaks_for_itself or issuer == REGISTRY):
            raise Unauthenticated("the token's signer may not speak for its subject")
        role = claims.get("role")
        return Principal(
            subject=subject,
            name=str(claims.get("name", "")),
            role=str(role) if role is not None and not speaks_for_itself else None,
        )

    def _decode(self, token: str) -> tuple[str, dict[str, Any]]:
        """Who signed the token, and what it claims."""
        known = self._known.get(token)
        if known is not None:
            return known
        try:
            decoded = jwt.decode(token, self._public, algorithms=[ALGORITHM])
        except JoseError:
            # A new key is in the file before its first use. An attacker's unknown key must not
            # make us read the file at every call.
            if not self._reread_public():
                raise
            decoded = jwt.decode(token, self._public, algorithms=[ALGORITHM])
        signer = str(decoded.header.get("kid", "")).rpartition("-")[0]
        self._known[token] = signer, decoded.claims
        if len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)
        return self._known[token]

    def _reread_public(self) -> bool:
        """Whether the public keys have changed."""
        version = _version(self._public_file)
        if version == self._public_version:
            return False
        self._public, self._public_version = self._read_public(), version
        self._known.clear()
        return True

    def _look_for_new_key(self) -> None:
        if time.monotonic() - self._looked_at < LOOK_SECONDS:
            return
        self._looked_at = time.monotonic()
        version = _version(self._private_file)
        if version != self._private_version:
            self._reread_public()
            self._private, self._kid = self._read_private()
            self._private_version = version

    def _read_public(self) -> KeySet:
        return KeySet.import_key_set(json.loads(self._public_file.read_text(encoding="utf-8")))

    def _read_private(self) -> tuple[OKPKey, str]:
        private = OKPKey.import_key(self._private_file.read_text(encoding="ascii"))
        mine = private.thumbprint()
        for key in self._public.keys:
            if key.thumbprint() == mine and key.kid:
                return private, key.kid
        raise ValueError(f"the signing key of {self.service} is not among the public keys")


def _version(file: Path) -> tuple[int, int]:
    """Changes when the file is replaced."""
    status = file.stat()
    return status.st_ino, status.st_mtime_ns


def generate_private_key() -> str:
    """A new Ed25519 key in PEM (PKCS #8)."""
    return OKPKey.generate_key("Ed25519").as_pem(private=True).decode("ascii")


def public_jwk(private_pem: str, kid: str) -> dict[str, str]:
    """The public half as a JSON Web Key; `kid` is `<service>-<n>`."""
    key = OKPKey.import_key(private_pem).as_dict(private=False)
    return {**{name: str(value) for name, value in key.items()}, "kid": kid, "use": "sig"}
