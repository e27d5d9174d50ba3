"""A plugin's storage in memory, with the platform's rules for keys, values and room."""

import errno
import re

MAX_KEYS = 10_000
MAX_VALUE_BYTES = 1 << 20
_KEY = re.compile(r"(?!.*\.\.)[A-Za-z0-9._/:@-]{1,200}")


class MemoryStorage:
    """Lasts for a test, over all runs in it. `quota_bytes` counts keys and values."""

    def __init__(self) -> None:
        self.items: dict[str, bytes] = {}
        self.quota_bytes = 0
        self.is_used = False
        self.is_refused = False

    def begin(self, quota_bytes: int) -> None:
        """A new run, with what it was granted."""
        self.quota_bytes = quota_bytes
        self.is_used = self.is_refused = False

    def get(self, key: str) -> bytes | None:
        self._enter(key)
        return self.items.get(key)

    def put(self, key: str, value: bytes | str) -> None:
        data = value.encode() if isinstance(value, str) else bytes(value)
        if len(data) > MAX_VALUE_BYTES:
            raise ValueError(f"a value has at most {MAX_VALUE_BYTES:,} bytes")
        self._enter(key)
        others = {name: held for name, held in self.items.items() if name != key}
        needed = sum(len(name) + len(held) for name, held in others.items()) + len(key) + len(data)
        if needed > self.quota_bytes:
            raise OSError(errno.ENOSPC, f"{needed:,} of {self.quota_bytes:,} bytes are needed")
        if len(others) >= MAX_KEYS:
            raise OSError(errno.ENOSPC, f"there are {MAX_KEYS:,} keys already")
        self.items[key] = data

    def delete(self, key: str) -> None:
        self._enter(key)
        self.items.pop(key, None)

    def keys(self, prefix: str = "") -> list[str]:
        self._enter(None)
        return sorted(key for key in self.items if key.startswith(prefix))

    def _enter(self, key: str | None) -> None:
        if not self.quota_bytes:
            self.is_refused = True
            raise PermissionError(errno.EACCES, "storage is not granted")
        if key is not None and not _KEY.fullmatch(key):
            raise ValueError("a key has 1 to 200 of A-Z a-z 0-9 . _ / : @ -, and no ..")
        self.is_used = True
