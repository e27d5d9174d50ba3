"""A plugin's own key-value storage, within what it was granted: `/storage/KEY` on its socket."""

import json
import re
from urllib.parse import parse_qs, unquote, urlsplit

from heimnetz_common.database import Database
from heimnetz_common.errors import HeimnetzError
from heimnetz_sandbox.broker.answering import Answer
from heimnetz_sandbox.model import Touch
from heimnetz_sandbox.store import storage

MAX_KEYS = 10_000
_ROOT = "/storage"
# No path of anything, but keys may look like one.
_KEY = re.compile(r"(?!.*\.\.)[A-Za-z0-9._/:@-]{1,200}")


def touch(method: str, *, is_granted: bool) -> Touch:
    """Whether it reads or writes; its keys are the plugin's own affair, and as many as it likes."""
    return Touch("storage", "read" if method == "GET" else "write", is_granted)


class Storage:
    """Of one plugin; `quota_bytes` counts keys and values."""

    def __init__(self, database: Database, plugin: str, quota_bytes: int) -> None:
        self._database = database
        self._plugin = plugin
        self._quota = quota_bytes

    def touch(self, method: str, target: str) -> Touch:  # noqa: ARG002
        return touch(method, is_granted=self._quota > 0)

    async def answer(self, method: str, target: str, body: bytes) -> Answer:
        if not self._quota:
            return Answer(403, b"storage is not granted")
        parts = urlsplit(target)
        try:
            if parts.path == _ROOT and method == "GET":
                prefix = parse_qs(parts.query).get("prefix", [""])[0]
                return await self._list(prefix)
            key = unquote(parts.path.removeprefix(f"{_ROOT}/"), errors="strict")
            if parts.path == key or not _KEY.fullmatch(key):
                return Answer(400, b"a key has 1 to 200 of A-Z a-z 0-9 . _ / : @ -, and no ..")
            return await self._on_key(method, key, body)
        except UnicodeError:
            return Answer(400, b"a key is ASCII text")
        except HeimnetzError as error:
            return Answer(503, (error.detail or error.title).encode())

    async def _on_key(self, method: str, key: str, body: bytes) -> Answer:
        match method:
            case "GET":
                async with self._database.connection() as connection:
                    value = await storage.get(connection, self._plugin, key)
                return Answer(404) if value is None else Answer(200, value)
            case "PUT":
                return await self._put(key, body)
            case "DELETE":
                async with self._database.transaction() as connection:
                    await storage.delete(connection, self._plugin, key)
                return Answer(204)
        return Answer(405, b"GET, PUT or DELETE")

    async def _put(self, key: str, value: bytes) -> Answer:
        async with self._database.transaction() as connection:
            await storage.lock(connection, self._plugin)
            used = await storage.measure(connection, self._plugin, without=key)
            needed = used.byte_count + len(key) + len(value)
            if needed > self._quota:
                return Answer(507, f"{needed:,} of {self._quota:,} bytes are needed".encode())
            if used.keys >= MAX_KEYS:
                return Answer(507, f"there are {MAX_KEYS:,} keys already".encode())
            await storage.put(connection, self._plugin, key, value)
        return Answer(204)

    async def _list(self, prefix: str) -> Answer:
        if "\0" in prefix:
            return Answer(400, b"a key is ASCII text")
        async with self._database.connection() as connection:
            keys = await storage.list_keys(connection, self._plugin, prefix)
        return Answer(200, json.dumps(keys).encode())
