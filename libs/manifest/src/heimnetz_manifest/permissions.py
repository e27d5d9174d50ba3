"""What a plugin asks to reach, and what it was given."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from heimnetz_manifest.errors import NotAsked, shown
from heimnetz_manifest.names import PluginName
from heimnetz_manifest.values import KIB, Line, SizeBytes, is_public_host, refuse

_PORT = re.compile(r"[1-9][0-9]{0,4}\Z")
_EVENT = re.compile(r"[a-z][a-z0-9_-]{0,40}(?:\.[a-z][a-z0-9_-]{0,40}){1,6}\Z")
_SECRET = re.compile(r"[a-z][a-z0-9_]{0,62}\Z")

# Names that a loader, shell or interpreter obeys, should a runtime ever hand secrets over as
# environment variables.
_OBEYED = frozenset(
    [
        "path",
        "home",
        "user",
        "shell",
        "ifs",
        "env",
        "term",
        "lang",
        "tz",
        "tmpdir",
        "ssl_cert_file",
        "ssl_cert_dir",
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "no_proxy",
        "hostname",
        "pwd",
    ]
)
_OBEYED_PREFIXES = (
    *("ld_", "dyld_", "lc_", "python", "node_", "malloc_", "glibc_", "gconv_"),
    "heimnetz_",
)

LAN = "lan"


@dataclass(frozen=True, slots=True)
class Destination:
    """`host` is a DNS name, `*.` and one, an address or network in CIDR notation, or `lan`."""

    host: str
    port: int

    @property
    def network(self) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
        """The addresses that are meant, or None for names and the LAN."""
        try:
            return ipaddress.ip_network(self.host)
        except ValueError:
            return None

    @property
    def is_lan(self) -> bool:
        return self.host == LAN

    def names(self, host: str) -> bool:
        """Whether it is this name, or of a wildcard one below it, however deep."""
        return self.host == host or (
            self.host.startswith("*.") and host.endswith(self.host[1:]) and "*" not in host
        )

    def reaches(self, other: Destination) -> bool:
        """Whether a grant of this one leads to the other, whose host may be a network too.

        A name that was granted leads to addresses of the internet that nobody knows beforehand.
        """
        if self.port != other.port:
            return False
        if self.names(other.host):
            return True
        there = other.network
        if there is None:
            return False
        if self.is_lan:
            return there.is_private
        here = self.network
        return here is not None and here.version == there.version and here.overlaps(there)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises: PydanticCustomError, which is a ValueError."""
        host, _, port = text.rpartition(":")
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        elif ":" in host:
            raise refuse(
                "manifest-invalid-network", f"{shown(text)!r}: an IPv6 address stands in brackets"
            )
        if not _PORT.match(port) or int(port) > 65_535:
            raise refuse(
                "manifest-invalid-network",
                f"{shown(text)!r} is not host:port with a port from 1 to 65535",
            )
        return cls(_host(host), int(port))


def _host(host: str) -> str:
    if host == LAN:
        return host
    if host.startswith("*."):
        if "." in host[2:] and is_public_host(host[2:]):
            return host
        raise refuse(
            "manifest-invalid-network",
            f"{shown(host)!r}: what follows *. is a host name in lower case of two parts at least",
        )
    try:
        network = ipaddress.ip_network(host)
    except ValueError:
        if host == "localhost" or host.endswith(".localhost") or not is_public_host(host):
            raise refuse(
                "manifest-invalid-network",
                f"{shown(host)!r} is not a host name in lower case, an address, "
                "or a network like 192.168.1.0/24",
            ) from None
        return host
    _check_network(network)
    return str(network.network_address) if network.num_addresses == 1 else str(network)


def _check_network(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> None:
    mapped = (
        isinstance(network, ipaddress.IPv6Network)
        and network.network_address.ipv4_mapped is not None
    )
    if (
        mapped
        or network.is_loopback
        or network.is_link_local
        or network.is_multicast
        or network.is_unspecified
    ):
        raise refuse("manifest-invalid-network", f"{network} is never reachable for a plugin")
    widest = 16 if network.version == 4 else 32
    if network.prefixlen < widest and not network.is_private:
        raise refuse(
            "manifest-invalid-network",
            f"{network} is too wide; /{widest} is the widest public network",
        )
    if network.prefixlen < 7 or network.network_address.is_unspecified:
        raise refuse("manifest-invalid-network", f"{network} is too wide")


def _destination(value: str) -> str:
    return str(Destination.parse(value))


def check_event(value: str) -> str:
    """A full event type without wildcards, so that it can never be a NATS pattern."""
    if len(value) > 160 or not _EVENT.match(value):
        raise refuse(
            "manifest-invalid-event",
            f"{shown(value)!r} is not an event type like heimnetz.run.finished.v1",
        )
    return value


def _own_event(value: str) -> str:
    if check_event(value).startswith("heimnetz."):
        raise refuse(
            "manifest-invalid-event",
            "events beginning with heimnetz. are announced by the platform alone",
        )
    return value


def _secret_name(value: str) -> str:
    if not _SECRET.match(value):
        raise refuse(
            "manifest-invalid-secret", f"{shown(value)!r} is not a name in lower case like api_key"
        )
    if value in _OBEYED or value.startswith(_OBEYED_PREFIXES):
        raise refuse(
            "manifest-invalid-secret",
            f"{shown(value)!r} is a name that programs obey; choose another",
        )
    return value


def _one_host(value: str) -> str:
    destination = Destination.parse(value)
    network = destination.network
    is_many = destination.host.startswith("*.") or (network and network.num_addresses > 1)
    if destination.is_lan or is_many:
        raise refuse(
            "manifest-invalid-secret", f"{shown(value)!r} is not one host, which a secret is for"
        )
    return str(destination)


EventType = Annotated[str, StringConstraints(max_length=160), AfterValidator(check_event)]

_STRICT = ConfigDict(frozen=True, extra="forbid", strict=True)


class _Asked(BaseModel):
    model_config = _STRICT

    reason: Line = Field(description="Why; the owner reads it before saying yes")


class NetworkPermission(_Asked):
    to: Annotated[str, StringConstraints(max_length=300), AfterValidator(_destination)] = Field(
        description="host:port, *.host:port, address:port, CIDR:port, or lan:port"
    )

    @property
    def destination(self) -> Destination:
        return Destination.parse(self.to)


class StoragePermission(_Asked):
    size_bytes: Annotated[SizeBytes, Field(ge=KIB, le=1024 * 1024 * KIB)] = Field(
        alias="size", description="Room of the plugin's own key-value storage"
    )

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, validate_by_name=True, validate_by_alias=True
    )


class SecretPermission(_Asked):
    name: Annotated[str, StringConstraints(max_length=63), AfterValidator(_secret_name)] = Field(
        description="A secret field of the configuration"
    )
    to: Annotated[str, StringConstraints(max_length=300), AfterValidator(_one_host)] | None = Field(
        default=None,
        description="host:port that it is for: the plugin gets a placeholder, and the broker puts "
        "the value into what `context.fetch` sends there, and nowhere else",
    )


class PublishPermission(_Asked):
    event: Annotated[str, StringConstraints(max_length=160), AfterValidator(_own_event)] = Field(
        description="Type of an event that the plugin announces"
    )


class CallPermission(_Asked):
    plugin: PluginName = Field(description="Another plugin that this one calls")


class Permissions(BaseModel):
    """Everything a plugin asks to reach; what is not here it cannot reach."""

    model_config = _STRICT

    network: list[NetworkPermission] = Field(default_factory=list, max_length=64)
    storage: StoragePermission | None = None
    secrets: list[SecretPermission] = Field(default_factory=list, max_length=32)
    publish: list[PublishPermission] = Field(default_factory=list, max_length=32)
    call: list[CallPermission] = Field(default_factory=list, max_length=32)

    def asked(self) -> Iterator[tuple[str, str]]:
        """Each permission as a grant key with its reason.

        Keys: `network:HOST:PORT`, `storage:BYTES`, `secrets:NAME`, `secrets:NAME@HOST:PORT`,
        `publish:EVENT`, `call:PLUGIN`.
        """
        for network in self.network:
            yield f"network:{network.to}", network.reason
        if self.storage is not None:
            yield f"storage:{self.storage.size_bytes}", self.storage.reason
        for secret in self.secrets:
            place = "" if secret.to is None else f"@{secret.to}"
            yield f"secrets:{secret.name}{place}", secret.reason
        for publish in self.publish:
            yield f"publish:{publish.event}", publish.reason
        for call in self.call:
            yield f"call:{call.plugin}", call.reason

    def keys(self) -> frozenset[str]:
        return frozenset(key for key, _ in self.asked())

    def beyond(self, grants: Grants) -> frozenset[str]:
        """What is asked and was not granted: a version that has any waits for a new yes."""
        return frozenset(key for key in self.keys() if not grants.covers(key))


class Grants(frozenset[str]):
    """Keys that the owner granted; a subset of what the manifest asks."""

    @classmethod
    def of(cls, permissions: Permissions, keys: Iterable[str]) -> Self:
        """Raises: NotAsked."""
        wanted = frozenset(keys)
        surplus = wanted - permissions.keys()
        if surplus:
            raise NotAsked(surplus)
        return cls(wanted)

    @classmethod
    def all_of(cls, permissions: Permissions) -> Self:
        return cls(permissions.keys())

    def covers(self, key: str) -> bool:
        """Less storage than granted is covered too; everything else has to be the same."""
        kind, _, value = key.partition(":")
        return key in self or (kind == "storage" and int(value) <= self.storage_bytes)

    @property
    def network(self) -> tuple[Destination, ...]:
        return tuple(Destination.parse(value) for value in self._values("network"))

    @property
    def storage_bytes(self) -> int:
        return max((int(value) for value in self._values("storage")), default=0)

    @property
    def held(self) -> tuple[tuple[str, Destination], ...]:
        """Secrets that the broker sends for the plugin: the name, and to whom."""
        pairs = [value.partition("@") for value in self._values("secrets")]
        return tuple((name, Destination.parse(to)) for name, _, to in pairs if to)

    @property
    def publish(self) -> tuple[str, ...]:
        return self._values("publish")

    @property
    def call(self) -> tuple[str, ...]:
        return self._values("call")

    def _values(self, kind: str) -> tuple[str, ...]:
        return tuple(sorted(key.partition(":")[2] for key in self if key.startswith(kind + ":")))

    def sorted(self) -> list[str]:
        """As APIs and events carry them."""
        return sorted(self)


def _describe_secret(name: str, to: str = "") -> str:
    return f"send the secret {name} to {to}, without seeing it" if to else f"read the secret {name}"


def describe(key: str) -> str:
    """One permission in words, for a person who decides."""
    kind, _, value = key.partition(":")
    words: dict[str, Any] = {
        "network": f"connect to {value}".replace("*.", "every host, whoever has it, below "),
        "storage": f"keep up to {int(value) if value.isdigit() else 0:,} bytes of its own data",
        "secrets": _describe_secret(*value.split("@", 1)),
        "publish": f"announce events of type {value}",
        "call": f"call the plugin {value}",
    }
    if value.startswith(f"{LAN}:"):
        return f"connect to every device in the home network on port {value.partition(':')[2]}"
    return str(words.get(kind, key))
