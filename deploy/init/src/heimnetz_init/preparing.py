"""Writes the secrets of each party into its own volume. What exists stays, until it is renewed."""

import base64
import fcntl
import json
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from heimnetz_common.tokens import generate_private_key
from heimnetz_init import issuing, rights, signing
from heimnetz_init.channels import Rendered
from heimnetz_init.model import DataVolume, Party

#: Folder of Alertmanager's volume with the secrets of the owner's channels.
CHANNELS = "channels"
_PASSWORD_BYTES = 32  # as many bits as a key: nobody types these


def _make_password() -> str:
    return secrets.token_urlsafe(_PASSWORD_BYTES)


def _make_encryption_key() -> str:
    return base64.b64encode(os.urandom(32)).decode("ascii")


_MAKERS: dict[str, Callable[[], str]] = {
    "encryption.key": _make_encryption_key,
    "trail.key": generate_private_key,
    "publisher.key": generate_private_key,
    "catalogue.key": generate_private_key,
}


class Room:
    """One party's volume: a directory that only its user can read."""

    def __init__(self, folder: Path, uid: int) -> None:
        self.folder = folder
        self._uid = uid

    def open(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        os.chown(self.folder, self._uid, self._uid)

    def read(self, name: str) -> str | None:
        path = self.folder / name
        return path.read_text(encoding="utf-8") if path.exists() else None

    def keep(self, name: str, make: Callable[[], str]) -> str:
        """The secret that is there, or else a new one."""
        found = self.read(name)
        if found:
            return found
        made = make()
        self.write(name, made)
        return made

    def write(self, name: str, text: str) -> None:
        """Replace the file in one step, unless it says this already."""
        if self.read(name) == text:
            return
        path = self.folder / name
        if path.parent != self.folder:
            Room(path.parent, self._uid).open()
        new = path.with_name(f".{path.name}.new")
        new.unlink(missing_ok=True)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            os.fchown(file.fileno(), self._uid, self._uid)
            file.flush()
            os.fsync(file.fileno())
        new.rename(path)

    def keep_only(self, folder: str, names: Iterable[str]) -> None:
        """Remove what else is in a folder of the room."""
        wanted = set(names)
        for path in (self.folder / folder).glob("*"):
            if path.name not in wanted:
                path.unlink()


class House:
    """All volumes below one directory, `secrets/<party>` and `data/<volume>`."""

    def __init__(
        self, root: Path, parties: Iterable[Party], lifetime: timedelta = issuing.LIFETIME
    ) -> None:
        self._root = root
        self._lifetime = lifetime
        self._parties = tuple(parties)
        self._rooms = {
            item.name: Room(root / "secrets" / item.name, item.uid) for item in self._parties
        }
        self._authority = Room(root / "secrets" / "ca", os.geteuid())

    def prepare(self) -> None:
        """Make what is missing, in every volume."""
        for room in (self._authority, *self._rooms.values()):
            room.open()
        for party in self._parties:
            for name in party.makes:
                self._rooms[party.name].keep(name, _MAKERS.get(name, _make_password))
        self.renew_certificates()
        self.renew_signing_keys()
        self._write_role_passwords()
        self._write_nats_users()
        self._share("monitor", "alertmanager-webhook-token", "alertmanager")

    def renew_certificates(self) -> list[str]:
        """Issue the certificates that are missing or end soon; whose they are."""
        ca_key = self._authority.read("ca.key")
        ca = self._authority.read("ca.crt")
        if not ca or not ca_key:
            ca, ca_key = issuing.make_authority()
            # The key first: a certificate without its key would be taken for a whole authority.
            self._authority.write("ca.key", ca_key)
            self._authority.write("ca.crt", ca)
        renewed = []
        for party in self._parties:
            room = self._rooms[party.name]
            room.write("ca.crt", ca)
            if not party.has_certificate:
                continue
            certificate, key = room.read("tls.crt") or "", room.read("tls.key") or ""
            if issuing.is_due(certificate, key, ca, lifetime=self._lifetime):
                certificate, key = issuing.issue(ca, ca_key, party.name, lifetime=self._lifetime)
                room.write("tls.key", key)
                room.write("tls.crt", certificate)
                renewed.append(party.name)
        return renewed

    def renew_signing_keys(
        self, *, is_forced: bool = False, now: datetime | None = None
    ) -> list[str]:
        """Replace the keys that are missing or old, or all of them; whose they are."""
        now = now or datetime.now(UTC)
        signers = {party.name: self._rooms[party.name] for party in self._parties if party.signs}
        renewed: dict[str, str] = {}
        with self._alone():
            keys = signing.KeySet.read(next(iter(signers.values())).read("service-keys.json"))
            keys.drop_ended(now)
            for name, room in signers.items():
                private = room.read("signing.key")
                if private:
                    keys.add(name, private, now)
                if not private or is_forced or keys.is_due(name, now):
                    renewed[name] = generate_private_key()
                    keys.add(name, renewed[name], now)
            # Everybody knows a key before it signs.
            for room in signers.values():
                room.write("service-keys.json", keys.write())
            for name, private in renewed.items():
                signers[name].write("signing.key", private)
        return list(renewed)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """The renewing process and a person may both wish for new keys."""
        folder = os.open(self._authority.folder, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)

    def write_channels(self, rendered: Rendered) -> None:
        """Give Alertmanager its configuration, and the secrets that it names."""
        room = self._rooms["alertmanager"]
        for name, text in rendered.secrets.items():
            room.write(f"{CHANNELS}/{name}", text)
        # JSON is YAML; what the file says last is what it was made of.
        room.write("alertmanager.yml", json.dumps(rendered.configuration, indent=2) + "\n")
        room.keep_only(CHANNELS, rendered.secrets)

    def own(self, volumes: Iterable[DataVolume]) -> None:
        """Give the roots of the data volumes to their users; what lies in them is not touched."""
        for volume in volumes:
            folder = self._root / "data" / volume.name
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(volume.mode)
            os.chown(folder, volume.uid, volume.gid)

    def _write_role_passwords(self) -> None:
        migrate = self._rooms.get("migrate")
        if migrate is None:
            return
        self._share("postgres", "admin-password", "migrate", "postgres-admin-password")
        for party in self._parties:
            if party.has_role:
                password = self._rooms[party.name].keep("postgres-password", _make_password)
                migrate.write(f"roles/{party.role}", password)

    def _write_nats_users(self) -> None:
        speakers = [party for party in self._parties if party.speaks_nats]
        passwords = {
            party.name: self._rooms[party.name].keep("nats-password", _make_password)
            for party in speakers
        }
        if "nats" in self._rooms:
            text = rights.users_configuration(speakers, passwords)
            self._rooms["nats"].write("users.conf", text)

    def _share(self, owner: str, name: str, reader: str, as_name: str | None = None) -> None:
        """Copy one party's secret to another that must know it too."""
        if owner not in self._rooms or reader not in self._rooms:
            return
        secret = self._rooms[owner].read(name)
        if secret is not None:
            self._rooms[reader].write(as_name or name, secret)
