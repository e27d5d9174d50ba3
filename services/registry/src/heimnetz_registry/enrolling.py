"""Publishers' keys: registered with a proof of possession, rotated, revoked."""

from dataclasses import dataclass

from heimnetz_common import outbox
from heimnetz_common.database import Connection, Database
from heimnetz_common.events import EventData
from heimnetz_manifest.signing import is_handed_over, is_proved, key_id
from heimnetz_registry import events
from heimnetz_registry.errors import (
    SigningKeyExists,
    SigningKeyForeign,
    SigningKeyProof,
    SigningKeyRetired,
    SigningKeyRevoked,
    TooManySigningKeys,
)
from heimnetz_registry.model import Actor, KeyState, SigningKey
from heimnetz_registry.store import keys, trail

KEYS_OF_A_PUBLISHER = 100
# These may revoke whoever's key.
_REVOKERS = frozenset({"owner", "auditor"})


@dataclass(frozen=True, slots=True)
class NewKey:
    """`proof` is the key's own signature that this publisher has it."""

    name: str
    public_key: bytes
    proof: bytes


class Enroller:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def register(self, new: NewKey, actor: Actor) -> tuple[SigningKey, bool]:
        """The key, and whether it is new.

        Raises: SigningKeyProof, SigningKeyExists, TooManySigningKeys.
        """
        async with self._database.transaction() as connection:
            key, is_new = await _add(connection, new, actor)
            if is_new:
                event = events.KeyRegistered(key_id=key.id, publisher=key.publisher)
                await _announce(connection, event, key, actor, key.name)
        return key, is_new

    async def admit(self, public_key: bytes, whose: Actor, name: str) -> None:
        """A key without a proof; whoever calls has seen it sign. One that is known stays as it is.

        Raises: TooManySigningKeys.
        """
        async with self._database.transaction() as connection:
            await keys.lock_publisher(connection, whose.name)
            if await keys.find_key(connection, key_id(public_key)) is None:
                key = await _insert(connection, public_key, name, whose)
                event = events.KeyRegistered(key_id=key.id, publisher=key.publisher)
                await _announce(connection, event, key, whose, key.name)

    async def rotate(
        self, old_id: str, new: NewKey, handed_over: bytes, actor: Actor
    ) -> SigningKey:
        """The successor. Asking again with the same successor changes nothing.

        Raises: SigningKeyNotFound, SigningKeyForeign, SigningKeyRevoked, SigningKeyRetired,
        SigningKeyProof, SigningKeyExists, TooManySigningKeys.
        """
        async with self._database.transaction() as connection:
            old = await keys.lock_key(connection, old_id)
            _check_owner(old, actor)
            if old.state is KeyState.REVOKED:
                raise SigningKeyRevoked(old.id)
            successor = key_id(new.public_key)
            if old.state is KeyState.RETIRED and old.successor != successor:
                raise SigningKeyRetired(old.id)
            if not is_handed_over(old.public_key, successor, handed_over):
                raise SigningKeyProof("/handed_over")
            key, _ = await _add(connection, new, actor)
            if key.id == old.id:
                raise SigningKeyExists(key.id)
            if old.state is KeyState.ACTIVE:
                await keys.set_key_state(connection, old.id, KeyState.RETIRED, successor=successor)
                event = events.KeyRotated(
                    key_id=old.id, publisher=old.publisher, successor=successor
                )
                await _announce(connection, event, old, actor, f"by {successor}")
        return key

    async def revoke(self, revoked: str, reason: str, actor: Actor) -> SigningKey:
        """Nothing that the key signed is believed from now on; a second time changes nothing.

        Raises: SigningKeyNotFound, SigningKeyForeign.
        """
        async with self._database.transaction() as connection:
            key = await keys.lock_key(connection, revoked)
            if actor.role not in _REVOKERS:
                _check_owner(key, actor)
            if key.state is KeyState.REVOKED:
                return key
            changed = await keys.set_key_state(connection, key.id, KeyState.REVOKED, reason=reason)
            event = events.KeyRevoked(
                key_id=key.id,
                publisher=key.publisher,
                reason=reason,
                versions=await keys.count_signed(connection, key.id),
            )
            await _announce(connection, event, key, actor, reason)
        return changed


def _check_owner(key: SigningKey, actor: Actor) -> None:
    """Raises: SigningKeyForeign."""
    if key.publisher != actor.name:
        raise SigningKeyForeign(key.id, actor.name)


async def _add(connection: Connection, new: NewKey, actor: Actor) -> tuple[SigningKey, bool]:
    """Raises: SigningKeyProof, SigningKeyExists, TooManySigningKeys."""
    if not is_proved(new.public_key, actor.name, new.proof):
        raise SigningKeyProof("/proof")
    made = key_id(new.public_key)
    await keys.lock_publisher(connection, actor.name)
    known = await keys.find_key(connection, made)
    if known is None:
        return await _insert(connection, new.public_key, new.name, actor), True
    if known.publisher != actor.name or known.state is not KeyState.ACTIVE:
        raise SigningKeyExists(made)
    return known, False


async def _insert(connection: Connection, public_key: bytes, name: str, actor: Actor) -> SigningKey:
    """Raises: SigningKeyExists, TooManySigningKeys."""
    if await keys.count_keys(connection, actor.name) >= KEYS_OF_A_PUBLISHER:
        raise TooManySigningKeys(KEYS_OF_A_PUBLISHER)
    made = key_id(public_key)
    added = await keys.add_key(
        connection, key_id=made, publisher=actor.name, name=name, public_key=public_key
    )
    if added is None:
        # Another publisher with the same private key was a moment faster.
        raise SigningKeyExists(made)
    return added


async def _announce(
    connection: Connection, event: EventData, key: SigningKey, actor: Actor, reason: str
) -> None:
    await trail.add_entry(
        connection,
        actor=actor.subject,
        action=event.name.removesuffix(".v1"),
        reason=f"{key.id} of {key.publisher}: {reason}"[:1000],
    )
    await outbox.append(connection, event, service=events.SERVICE, subject=key.id)
