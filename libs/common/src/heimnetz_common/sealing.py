"""Values encrypted at rest: AES-256-GCM (NIST SP 800-38D), bound to where they belong."""

import base64
import os
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from heimnetz_common.errors import Unavailable

KEY_BYTES = 32
_NONCE_BYTES = 12
_VERSION = b"\x01"


class CannotOpen(Unavailable):
    kind = "cannot-open-sealed-value"
    title = "A sealed value cannot be opened with the key that is here"


class Sealer:
    """`context` names the value's place; a ciphertext that was moved elsewhere does not open."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"the key must have {KEY_BYTES} bytes, not {len(key)}")
        self._cipher = AESGCM(key)

    @classmethod
    def from_text(cls, text: str) -> Self:
        """From the base64 text of a key file."""
        return cls(base64.b64decode(text, validate=True))

    def seal(self, plaintext: bytes, context: str) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        return _VERSION + nonce + self._cipher.encrypt(nonce, plaintext, context.encode())

    def open(self, sealed: bytes, context: str) -> bytes:
        """Raises: CannotOpen."""
        version, nonce = sealed[:1], sealed[1 : 1 + _NONCE_BYTES]
        if version != _VERSION:
            raise CannotOpen("the value was sealed by a newer version")
        try:
            return self._cipher.decrypt(nonce, sealed[1 + _NONCE_BYTES :], context.encode())
        except (InvalidTag, ValueError) as error:
            raise CannotOpen(
                f"the sealed value of {context} was altered, or the key is another"
            ) from error


def generate_key() -> str:
    """A new key, as base64 text."""
    return base64.b64encode(os.urandom(KEY_BYTES)).decode("ascii")
