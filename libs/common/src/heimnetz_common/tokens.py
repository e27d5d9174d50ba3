"""Who is calling a service: a JWT of one minute, signed with Ed25519 (RFC 8037), for one audience.

Each service signs with its own key and knows everybody's public key. The registry also signs for
the people and programs whose token the gateway showed it.
"""

import json
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, OKPKey

from heimnetz_common.errors import Unauthenticated

LIFETIME_SECONDS = 60
LEEWAY_SECONDS = 60
ALGORITHM = "Ed25519"
REGISTRY = "registry"


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
    """One service's private key and everybody's public ones, read again when a key is unknown."""

    def __init__(self, service: str, private_pem: str, public_file: Path) -> None:
        self.service = service
        self._private = OKPKey.import_key(private_pem)
        self._public_file = public_file
        self._public = self._read_public()
        self._read_at = time.time()
        self._kid = self._own_kid()

    @classmethod
    def load(cls, service: str, secrets_dir: Path) -> Self:
        private = (secrets_dir / "signing.key").read_text(encoding="ascii")
        return cls(service, private, secrets_dir / "service-keys.json")

    def mint(
        self, audience: str, *, subject: str | None = None, name: str = "", role: str | None = None
    ) -> str:
        """A token for one call to `audience`; by default in this service's own name."""
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
            decoded = self._decode(token)
            claims = decoded.claims
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
        signer = str(decoded.header.get("kid", "")).rpartition("-")[0]
        speaks_for_itself = subject == f"service:{issuer}"
        if signer != issuer or not (speaks_for_itself or issuer == REGISTRY):
            raise Unauthenticated("the token's signer may not speak for its subject")
        role = claims.get("role")
        return Principal(
            subject=subject,
            name=str(claims.get("name", "")),
            role=str(role) if role is not None and not speaks_for_itself else None,
        )

    def _decode(self, token: str) -> jwt.Token:
        try:
            return jwt.decode(token, self._public, algorithms=[ALGORITHM])
        except JoseError:
            # A rotated key is in the file before its first use; an attacker's unknown
            # key must not make us read the file at every call.
            if abs(time.time() - self._read_at) < 1:
                raise
            self._public = self._read_public()
            self._read_at = time.time()
            return jwt.decode(token, self._public, algorithms=[ALGORITHM])

    def _read_public(self) -> KeySet:
        return KeySet.import_key_set(json.loads(self._public_file.read_text(encoding="utf-8")))

    def _own_kid(self) -> str:
        mine = self._private.thumbprint()
        for key in self._public.keys:
            if key.thumbprint() == mine and key.kid:
                return key.kid
        raise ValueError(f"the signing key of {self.service} is not among the public keys")


def generate_private_key() -> str:
    """A new Ed25519 key in PEM (PKCS #8)."""
    return OKPKey.generate_key("Ed25519").as_pem(private=True).decode("ascii")


def public_jwk(private_pem: str, kid: str) -> dict[str, str]:
    """The public half as a JSON Web Key; `kid` is `<service>-<n>`."""
    key = OKPKey.import_key(private_pem).as_dict(private=False)
    return {**{name: str(value) for name, value in key.items()}, "kid": kid, "use": "sig"}
