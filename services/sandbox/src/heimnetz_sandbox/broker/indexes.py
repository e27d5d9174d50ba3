"""What the builder may reach: the configured index of packages and the hosts that have its files.

The owner named them, so that an address in the home network is as good as any.
"""

import importlib.util
import re
import runpy
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from heimnetz_manifest import Destination
from heimnetz_sandbox.broker.rules import Address, Refused, Rules, Target, parse

MAX_REFUSALS = 5
_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class Index:
    """`url` is empty for pip's own default."""

    url: str
    hosts: tuple[Destination, ...]


def read_index(url: str, more: str) -> Index:
    """`more` are hosts beside the URL's: host[:port], separated by commas; the port is else 443.

    Raises: ValueError.
    """
    named = [one.strip() for one in more.split(",") if one.strip()]
    own = [_host_of(url)] if url else _hosts_of_pip()
    return Index(url, tuple(_destination(one) for one in (*own, *named)))


def _host_of(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError("an index is an http(s):// URL")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{host}:{parts.port or _PORTS[parts.scheme]}"


def _hosts_of_pip() -> list[str]:
    """Of its index and its files. The file alone is run: pip's package sets up logging."""
    pip = importlib.util.find_spec("pip")
    if pip is None or pip.origin is None:
        raise ValueError("there is no pip here that knows a default index")
    known = runpy.run_path(str(Path(pip.origin).parent / "_internal/models/index.py"))["PyPI"]
    return [_host_of(known.url), known.file_storage_domain]


def _destination(text: str) -> Destination:
    has_port = re.search(r":[0-9]+\Z", text) is not None
    try:
        target = parse((text if has_port else f"{text}:443").lower())
    except Refused as refusal:
        raise ValueError(str(refusal)) from refusal
    return Destination(target.host, target.port)


@dataclass(frozen=True, slots=True)
class IndexRules(Rules):
    """Only an address that is written as such leads to this machine or into its networks."""

    def find(self, target: Target) -> Destination:
        for one in self.destinations:
            if (one.host, one.port) == (target.host, target.port):
                return one
        raise Refused("not_granted", f"{target} is none of the index's hosts")

    def is_allowed(self, destination: Destination, address: Address) -> bool:
        return destination.network is not None or not self.is_special(address)


class Refusals:
    """The first of what the broker said against a build: why pip could not, in words that help."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def hear(self, text: str) -> None:
        if text.startswith("refused: ") and text not in self.found:
            self.found = [*self.found, text][:MAX_REFUSALS]
