"""Who is it: set-up, log-in, tokens, and the signed word that siblings believe."""

import asyncio
import hashlib
import hmac
import os
import secrets
import time
from collections import OrderedDict
from datetime import UTC, datetime, timedelta

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from heimnetz_common.database import Database
from heimnetz_common.logs import get_logger
from heimnetz_common.tokens import USER_TOKEN_PREFIX
from heimnetz_registry.errors import (
    AlreadySetUp,
    NameInUse,
    TooManyGuesses,
    WrongCredentials,
    WrongSetupToken,
)
from heimnetz_registry.metrics import LOGINS
from heimnetz_registry.model import Actor, Person, Token
from heimnetz_registry.store import access, trail

_OWNER_TOKEN_DAYS = 90
_FREE_FAILURES = 5
_HASHERS = 2
_REMEMBERED = 256
_REMEMBERED_SECONDS = 300.0
_ADDRESSES = 4096

log = get_logger(__name__)


class Guesses:
    """Wrong tries per address and minute; the oldest address is forgotten when there are many."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._wrong: OrderedDict[str, list[float]] = OrderedDict()

    def check(self, address: str) -> None:
        """Raises: TooManyGuesses."""
        recent = self._recent(address)
        if len(recent) >= self._per_minute:
            raise TooManyGuesses(max(1, round(60 - (time.monotonic() - recent[0]))))

    def add(self, address: str) -> None:
        recent = self._recent(address)
        recent.append(time.monotonic())
        self._wrong[address] = recent[-self._per_minute :]
        self._wrong.move_to_end(address)
        if len(self._wrong) > _ADDRESSES:
            self._wrong.popitem(last=False)

    def _recent(self, address: str) -> list[float]:
        since = time.monotonic() - 60
        return [at for at in self._wrong.get(address, []) if at > since]


class Passwords:
    """argon2id, RFC 9106; few at once, since each takes 64 MiB and a third of a second."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher()
        self._slots = asyncio.Semaphore(_HASHERS)
        self._decoy = self._hasher.hash(secrets.token_hex(16))
        self._secret = os.urandom(32)
        self._seen: OrderedDict[bytes, float] = OrderedDict()

    async def hash(self, password: str) -> str:
        async with self._slots:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def fits(self, person: Person | None, password: str) -> bool:
        """Takes the same time for a person that does not exist.

        A browser sends Basic credentials with each picture, so a right password is remembered
        for five minutes: as a keyed digest together with the hash, never as itself.
        """
        stored = person.password_hash if person is not None else self._decoy
        mark = hmac.digest(self._secret, f"{stored}\0{password}".encode(), "sha256")
        if self._seen.get(mark, 0.0) > time.monotonic():
            return person is not None
        async with self._slots:
            fits = await asyncio.to_thread(self._verify, stored, password)
        if fits and person is not None:
            self._seen[mark] = time.monotonic() + _REMEMBERED_SECONDS
            if len(self._seen) > _REMEMBERED:
                self._seen.popitem(last=False)
        return fits and person is not None

    def needs_rehash(self, person: Person) -> bool:
        return self._hasher.check_needs_rehash(person.password_hash)

    def _verify(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, password)
        except (VerificationError, InvalidHashError):
            return False


class Doorkeeper:
    def __init__(
        self,
        database: Database,
        *,
        setup_token: str | None,
        session_hours: int,
        guesses_per_minute: int,
    ) -> None:
        self._database = database
        self._setup_token = setup_token
        self._session = timedelta(hours=session_hours)
        self._guesses = Guesses(guesses_per_minute)
        self._passwords = Passwords()

    async def set_up(self, setup_token: str, name: str, password: str, address: str) -> str:
        """The first owner's token; only once, and only with the token of the installation.

        Raises: AlreadySetUp, WrongSetupToken, TooManyGuesses.
        """
        async with self._database.connection() as connection:
            if await access.is_set_up(connection):
                raise AlreadySetUp
        self._guesses.check(address)
        expected = self._setup_token or secrets.token_hex(32)
        if not hmac.compare_digest(setup_token.encode(), expected.encode()):
            self._guesses.add(address)
            raise WrongSetupToken
        password_hash = await self._passwords.hash(password)
        async with self._database.transaction() as connection:
            if not await access.claim_setup(connection):
                raise AlreadySetUp
            await access.add_person(connection, name, role="owner", password_hash=password_hash)
            await trail.add_entry(
                connection, actor=f"user:{name}", action="setup.done", reason="first owner"
            )
        _, token = await self.issue(
            kind="session",
            name=name,
            role="owner",
            lifetime=timedelta(days=_OWNER_TOKEN_DAYS),
            by=Actor(f"user:{name}", name),
        )
        return token

    async def log_in(self, name: str, password: str, address: str) -> tuple[Token, str]:
        """Raises: WrongCredentials, TooManyGuesses."""
        person = await self._check_password(name, password, address)
        LOGINS.labels("ok").inc()
        return await self.issue(
            kind="session",
            name=person.name,
            role=person.role,
            lifetime=self._session,
            by=Actor(f"user:{person.name}", person.name),
        )

    async def _check_password(self, name: str, password: str, address: str) -> Person:
        self._guesses.check(address)
        async with self._database.connection() as connection:
            person = await access.find_person(connection, name)
        if person is not None and person.locked_until is not None:
            wait = (person.locked_until - datetime.now(UTC)).total_seconds()
            if wait > 0:
                LOGINS.labels("limited").inc()
                raise TooManyGuesses(max(1, round(wait)))
        if person is None or not await self._passwords.fits(person, password):
            if person is None:
                await self._passwords.fits(None, password)
            await self._note_failure(name, address)
            raise WrongCredentials
        if person.failed_logins:
            async with self._database.transaction() as connection:
                await access.forget_failed_logins(connection, name)
        return person

    async def _note_failure(self, name: str, address: str) -> None:
        self._guesses.add(address)
        LOGINS.labels("refused").inc()
        log.warning("login_refused", address=address)
        async with self._database.transaction() as connection:
            await access.count_failed_login(connection, name, free=_FREE_FAILURES)

    async def issue(
        self, *, kind: str, name: str, role: str, lifetime: timedelta | None, by: Actor
    ) -> tuple[Token, str]:
        """A token, shown this once: only its digest is stored.

        Raises: NameInUse.
        """
        token = USER_TOKEN_PREFIX + secrets.token_urlsafe(32)
        token_id = f"{time.time_ns() // 1_000_000:013d}-{secrets.token_hex(6)}"
        expires_at = datetime.now(UTC) + lifetime if lifetime is not None else None
        async with self._database.transaction() as connection:
            if kind == "token" and await access.find_person(connection, name) is not None:
                raise NameInUse(name)
            await access.purge_tokens(connection)
            await access.add_token(
                connection,
                token_id=token_id,
                digest=_digest(token),
                kind=kind,
                name=name,
                role=role,
                created_by=by.name,
                expires_at=expires_at,
            )
            await trail.add_entry(
                connection,
                actor=by.subject,
                action=f"{kind}.created",
                reason=f"{name}, {role}",
            )
        created_at = datetime.now(UTC)
        return Token(token_id, kind, name, role, created_at, by.name, expires_at), token

    async def revoke(self, token_id: str, by: Actor) -> None:
        """Raises: TokenNotFound."""
        async with self._database.transaction() as connection:
            name = await access.revoke_token(connection, token_id)
            await trail.add_entry(connection, actor=by.subject, action="token.revoked", reason=name)

    async def recognise(self, token: str, address: str) -> Actor:
        """Whose token it is.

        Raises: WrongCredentials, TooManyGuesses.
        """
        async with self._database.connection() as connection:
            found = await access.find_valid_token(connection, _digest(token))
        if found is None:
            # A valid token works on from an address from which others guess.
            self._guesses.check(address)
            self._guesses.add(address)
            raise WrongCredentials
        subject = f"user:{found.name}" if found.kind == "session" else f"token:{found.id}"
        return Actor(subject, found.name, found.role)

    async def recognise_basic(self, name: str, secret: str, address: str) -> Actor:
        """Basic credentials: a name with its password, or any name with a token.

        Raises: WrongCredentials, TooManyGuesses.
        """
        if secret.startswith(USER_TOKEN_PREFIX):
            return await self.recognise(secret, address)
        person = await self._check_password(name, secret, address)
        return Actor(f"user:{person.name}", person.name, person.role)


def _digest(token: str) -> bytes:
    # The token has 256 random bits: nothing to gain from a slow hash.
    return hashlib.sha256(token.encode()).digest()
