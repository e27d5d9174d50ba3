"""What exists, and who may do what."""

from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from heimnetz_sdk._transport import Transport, read_chunks
from heimnetz_sdk.errors import UnexpectedAnswer
from heimnetz_sdk.models import (
    Checkpoint,
    Grant,
    Installation,
    Me,
    Page,
    PluginSummary,
    Rollback,
    Session,
    SigningKey,
    Token,
    TrailLink,
    Transition,
    Verification,
    Version,
    decode,
    decode_page,
)

BASE = "/api/registry/v1"
UPLOAD_TIMEOUT_SECONDS = 120.0


class Registry:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def set_up(self, setup_token: str, name: str, password: str) -> Session:
        """Create the owner account; possible once.

        Raises: AlreadySetUp, Forbidden.
        """
        document = {"setup_token": setup_token, "name": name, "password": password}
        return decode(
            Session, self._transport.request("POST", f"{BASE}/setup", document=document).json()
        )

    def log_in(self, name: str, password: str) -> Session:
        document = {"name": name, "password": password}
        return decode(
            Session, self._transport.request("POST", f"{BASE}/sessions", document=document).json()
        )

    def get_me(self) -> Me:
        return decode(Me, self._transport.request("GET", f"{BASE}/me").json())

    def create_token(self, name: str, role: str, expires_in_days: int | None = None) -> Token:
        document: dict[str, object] = {"name": name, "role": role}
        if expires_in_days is not None:
            document["expires_in_days"] = expires_in_days
        return decode(
            Token, self._transport.request("POST", f"{BASE}/tokens", document=document).json()
        )

    def list_tokens(self, *, limit: int = 50, cursor: str | None = None) -> Page[Token]:
        query = {"limit": limit, "cursor": cursor}
        answer = self._transport.request("GET", f"{BASE}/tokens", query=query)
        return decode_page(Token, answer.json())

    def revoke_token(self, token_id: str) -> None:
        self._transport.request("DELETE", f"{BASE}/tokens/{quote(token_id, safe='')}")

    def publish(
        self, plugin: str, package: Path | bytes, *, envelope: bytes | None = None
    ) -> tuple[Version, bool]:
        """Upload a package; True with the version if these bytes were not there before.

        `envelope` is its signature, a DSSE envelope in JSON. Sending the same bytes again changes
        nothing, so a lost connection is retried.
        Raises: VersionExists, InvalidInput, TooLarge, UnsupportedMedia, Forbidden.
        """
        headers = {"Content-Type": "application/gzip"}
        if envelope is not None:
            headers["Heimnetz-Signature"] = b64encode(envelope).decode("ascii")
        body = (lambda: iter((package,))) if isinstance(package, bytes) else read_chunks(package)
        answer = self._transport.request(
            "POST",
            f"{BASE}/plugins/{quote(plugin, safe='')}/versions",
            content=body,
            headers=headers,
            is_idempotent=True,
            timeout_seconds=UPLOAD_TIMEOUT_SECONDS,
        )
        return decode(Version, answer.json()), answer.status == 201

    def list_plugins(
        self,
        query: str | None = None,
        *,
        category: str | None = None,
        asks: Sequence[str] = (),
        asks_not: Sequence[str] = (),
        min_score: int | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[PluginSummary]:
        """The best first; `asks` and `asks_not` are kinds of permissions."""
        wanted = {
            "q": query,
            "category": category,
            "asks": list(asks) or None,
            "asks_not": list(asks_not) or None,
            "min_score": min_score,
            "limit": limit,
            "cursor": cursor,
        }
        answer = self._transport.request("GET", f"{BASE}/plugins", query=wanted)
        return decode_page(PluginSummary, answer.json())

    def get_plugin(self, plugin: str) -> PluginSummary:
        path = f"{BASE}/plugins/{quote(plugin, safe='')}"
        return decode(PluginSummary, self._transport.request("GET", path).json())

    def list_versions(self, plugin: str) -> Page[Version]:
        path = f"{BASE}/plugins/{quote(plugin, safe='')}/versions"
        return decode_page(Version, self._transport.request("GET", path).json())

    def get_version(self, plugin: str, version: str) -> Version:
        return decode(Version, self._transport.request("GET", _version(plugin, version)).json())

    def download(self, plugin: str, version: str) -> Iterable[bytes]:
        with self._transport.stream(f"{_version(plugin, version)}/package") as stream:
            yield from stream.chunks()

    def set_state(self, plugin: str, version: str, state: str, reason: str) -> Version:
        """Raises: IllegalTransition."""
        answer = self._transport.request(
            "POST",
            f"{_version(plugin, version)}/state",
            document={"state": state, "reason": reason},
        )
        return decode(Version, answer.json())

    def delete_version(self, plugin: str, version: str) -> None:
        self._transport.request("DELETE", _version(plugin, version))

    def install(
        self,
        plugin: str,
        version: str,
        grants: Iterable[str],
        configuration: Mapping[str, Any],
        *,
        allow_downgrade: bool = False,
        allow_revoked_key: bool = False,
    ) -> Installation:
        """Put a version to use, in place of the one installed before."""
        document: dict[str, object] = {
            "version": version,
            "grants": sorted(grants),
            "configuration": dict(configuration),
            "allow_downgrade": allow_downgrade,
        }
        if allow_revoked_key:
            document["allow_revoked_key"] = True
        answer = self._transport.request(
            "PUT", f"{BASE}/installations/{quote(plugin, safe='')}", document=document
        )
        return decode(Installation, answer.json())

    def list_installations(
        self, *, limit: int = 50, cursor: str | None = None
    ) -> Page[Installation]:
        query = {"limit": limit, "cursor": cursor}
        answer = self._transport.request("GET", f"{BASE}/installations", query=query)
        return decode_page(Installation, answer.json())

    def get_installation(self, plugin: str) -> Installation:
        path = f"{BASE}/installations/{quote(plugin, safe='')}"
        return decode(Installation, self._transport.request("GET", path).json())

    def uninstall(self, plugin: str) -> None:
        self._transport.request("DELETE", f"{BASE}/installations/{quote(plugin, safe='')}")

    def set_update_policy(self, plugin: str, policy: str) -> Installation:
        """`manual`, or by itself `safe` or `always`: who puts newer versions to use."""
        answer = self._transport.request(
            "PUT",
            f"{BASE}/installations/{quote(plugin, safe='')}/update-policy",
            document={"update_policy": policy},
        )
        return decode(Installation, answer.json())

    def export_installation(self, plugin: str, passphrase: str | None = None) -> Mapping[str, Any]:
        """The installation as a file's content; its secrets too, if a passphrase seals them."""
        path = f"{BASE}/installations/{quote(plugin, safe='')}/export"
        document = {} if passphrase is None else {"passphrase": passphrase}
        found = self._transport.request("POST", path, document=document).json()
        if not isinstance(found, dict):
            raise UnexpectedAnswer("expected a JSON object")
        return found

    def import_installation(
        self,
        file: Mapping[str, Any],
        passphrase: str | None = None,
        configuration: Mapping[str, Any] | None = None,
        *,
        allow_downgrade: bool = False,
    ) -> Installation:
        """Put to use what `export_installation` gave; `configuration` goes before the file's.

        Raises: NotFound, when the version is not published there; Conflict, InvalidInput.
        """
        document: dict[str, object] = {
            "file": dict(file),
            "configuration": dict(configuration or {}),
            "allow_downgrade": allow_downgrade,
        }
        if passphrase is not None:
            document["passphrase"] = passphrase
        path = f"{BASE}/installations/{quote(str(file.get('plugin', '')), safe='')}/import"
        return decode(Installation, self._transport.request("POST", path, document=document).json())

    def get_rollback(self, plugin: str) -> Rollback:
        """What a rollback would bring.

        Raises: NotFound, Conflict, when there is nothing before what is installed.
        """
        path = f"{BASE}/installations/{quote(plugin, safe='')}/rollback"
        return decode(Rollback, self._transport.request("GET", path).json())

    def roll_back(self, plugin: str, revision: int | None = None) -> Installation:
        """Bring back version, grants and configuration from before the last update.

        With a revision only the installation that has it is changed.
        Raises: NotFound, Conflict.
        """
        path = f"{BASE}/installations/{quote(plugin, safe='')}/rollback"
        document = {} if revision is None else {"revision": revision}
        return decode(Installation, self._transport.request("POST", path, document=document).json())

    def list_trail(
        self, plugin: str | None = None, *, limit: int = 50, cursor: str | None = None
    ) -> Page[Transition]:
        query = {"plugin": plugin, "limit": limit, "cursor": cursor}
        return decode_page(
            Transition, self._transport.request("GET", f"{BASE}/trail", query=query).json()
        )

    def list_grants(self, reach: str | None = None) -> Page[Grant]:
        """All, or those that lead to `reach`, which is host:port or address:port."""
        answer = self._transport.request("GET", f"{BASE}/grants", query={"reach": reach})
        return decode_page(Grant, answer.json())

    def list_keys(
        self, publisher: str | None = None, *, limit: int = 200, cursor: str | None = None
    ) -> Page[SigningKey]:
        query = {"publisher": publisher, "limit": limit, "cursor": cursor}
        return decode_page(
            SigningKey, self._transport.request("GET", f"{BASE}/keys", query=query).json()
        )

    def get_key(self, key_id: str) -> SigningKey:
        path = f"{BASE}/keys/{quote(key_id, safe='')}"
        return decode(SigningKey, self._transport.request("GET", path).json())

    def register_key(self, name: str, public_key: bytes, proof: bytes) -> SigningKey:
        """Of the publisher who calls; `proof` is the key's signature over the publisher's name.

        Registering it again changes nothing, so a lost connection is retried.
        """
        answer = self._transport.request(
            "POST",
            f"{BASE}/keys",
            document=_new_key(name, public_key, proof),
            is_idempotent=True,
        )
        return decode(SigningKey, answer.json())

    def rotate_key(
        self, key_id: str, name: str, public_key: bytes, proof: bytes, handed_over: bytes
    ) -> SigningKey:
        """The successor; `handed_over` is the old key's signature over the new key's id.

        Asking for the same again changes nothing, so a lost connection is retried.
        """
        document = _new_key(name, public_key, proof)
        document["handed_over"] = b64encode(handed_over).decode("ascii")
        answer = self._transport.request(
            "POST",
            f"{BASE}/keys/{quote(key_id, safe='')}/rotation",
            document=document,
            is_idempotent=True,
        )
        return decode(SigningKey, answer.json())

    def revoke_key(self, key_id: str, reason: str) -> SigningKey:
        """What it signed is not believed any more. A second time changes nothing."""
        answer = self._transport.request(
            "POST",
            f"{BASE}/keys/{quote(key_id, safe='')}/revocation",
            document={"reason": reason},
            is_idempotent=True,
        )
        return decode(SigningKey, answer.json())

    def get_signature(self, plugin: str, version: str) -> bytes:
        """The envelope, as it was published.

        Raises: NotFound, when the version is not signed.
        """
        with self._transport.stream(f"{_version(plugin, version)}/signature") as stream:
            return b"".join(stream.chunks())

    def list_chain(self, *, limit: int = 200, cursor: str | None = None) -> Page[TrailLink]:
        """The trail in the order of its chain, the oldest first."""
        query = {"limit": limit, "cursor": cursor}
        return decode_page(
            TrailLink, self._transport.request("GET", f"{BASE}/trail/chain", query=query).json()
        )

    def list_checkpoints(self, *, limit: int = 200, cursor: str | None = None) -> Page[Checkpoint]:
        """The oldest first."""
        path, query = f"{BASE}/trail/checkpoints", {"limit": limit, "cursor": cursor}
        return decode_page(Checkpoint, self._transport.request("GET", path, query=query).json())

    def make_checkpoint(self) -> Checkpoint:
        """Of the end of the trail; the last one when nothing came since."""
        return decode(
            Checkpoint,
            self._transport.request("POST", f"{BASE}/trail/checkpoints", is_idempotent=True).json(),
        )

    def verify_trail(self) -> Verification:
        return decode(
            Verification, self._transport.request("GET", f"{BASE}/trail/verification").json()
        )


def _new_key(name: str, public_key: bytes, proof: bytes) -> dict[str, str]:
    return {
        "name": name,
        "public_key": b64encode(public_key).decode("ascii"),
        "proof": b64encode(proof).decode("ascii"),
    }


def _version(plugin: str, version: str) -> str:
    return f"{BASE}/plugins/{quote(plugin, safe='')}/versions/{quote(version, safe='')}"
