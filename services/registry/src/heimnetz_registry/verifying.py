"""Who vouches for a package that comes in: its envelope is read, and held against the keys."""

import base64
import binascii
from dataclasses import dataclass

from heimnetz_common.database import Connection
from heimnetz_manifest import ManifestError
from heimnetz_manifest.errors import EnvelopeTooLarge, InvalidEnvelope
from heimnetz_manifest.signing import ENVELOPE_BYTES, Envelope, Subject, read_envelope, verify
from heimnetz_registry import policy
from heimnetz_registry.errors import SigningKeyUnknown, refusal
from heimnetz_registry.model import Signed, Submission
from heimnetz_registry.policy import Unsigned
from heimnetz_registry.store import keys, versions

_HEADER_CHARACTERS = (ENVELOPE_BYTES + 2) // 3 * 4


@dataclass(frozen=True, slots=True)
class Offer:
    """An envelope as it came, and taken apart; not verified."""

    raw: bytes
    envelope: Envelope


def read_offer(header: str) -> Offer:
    """From the base64 of a request's header.

    Raises: the refusals `signature-too-large` and `signature-malformed`.
    """
    try:
        if len(header) > _HEADER_CHARACTERS:
            raise EnvelopeTooLarge(f"the envelope may have at most {ENVELOPE_BYTES} bytes")
        try:
            raw = base64.b64decode(header.encode("ascii"), validate=True)
        except (ValueError, binascii.Error) as error:
            raise InvalidEnvelope("the header is not the base64 of an envelope") from error
        return Offer(raw, read_envelope(raw))
    except ManifestError as error:
        raise refusal(error) from error


async def find_signed(connection: Connection, submission: Submission, offer: Offer) -> Signed:
    """Verified with the key that the envelope names, whoever's it is and whatever became of it.

    Raises: SigningKeyUnknown, and the refusals `signature-wrong`, `signature-misplaced` and
    `signature-malformed`.
    """
    key = await keys.find_key(connection, offer.envelope.key_id)
    if key is None:
        raise SigningKeyUnknown(offer.envelope.key_id)
    subject = Subject(submission.plugin, submission.version, submission.sha256)
    try:
        verify(offer.envelope, key.public_key, subject)
    except ManifestError as error:
        raise refusal(error) from error
    return Signed(key, offer.raw)


async def judge(
    connection: Connection, submission: Submission, offer: Offer | None, unsigned: Unsigned
) -> tuple[Signed | None, bool]:
    """The signature, if there is one, and whether a person has to look for want of one.

    Raises: as find_signed; SigningKeyForeign, SigningKeyRevoked, SigningKeyRetired,
    SignatureDowngrade, UnsignedRefused.
    """
    last_signer = await keys.find_last_signer(connection, submission.plugin)
    if offer is None:
        return None, policy.review_of_unsigned(unsigned, last_signer)
    signed = await find_signed(connection, submission, offer)
    publisher = await versions.find_publisher(connection, submission.plugin)
    policy.check_signer(signed.key, publisher or submission.publisher, last_signer)
    return signed, False
