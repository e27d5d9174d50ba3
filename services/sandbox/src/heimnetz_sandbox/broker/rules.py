"""What a plugin may connect to: asked for by name or address, and looked at again when resolved."""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from heimnetz_manifest import Destination

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

# Exactly as a grant writes it: no upper case, no trailing dot, no underscore, no number of hosts.
_NAME = re.compile(r"(?=.{1,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,62}")
_AUTHORITY = re.compile(r"(?:\[([0-9a-f:.]{2,45})\]|([a-z0-9.-]{1,253})):([1-9][0-9]{0,4})")
# Addresses that stand for others: 6to4, Teredo and NAT64 (RFC 3056, 4380, 6052, 8215).
_TRANSLATED = tuple(
    ipaddress.ip_network(text)
    for text in ("2002::/16", "2001::/32", "64:ff9b::/96", "64:ff9b:1::/48")
)


class Refused(Exception):
    """`verdict` is a label of the counter; the text is for the plugin's log."""

    def __init__(self, verdict: str, text: str) -> None:
        super().__init__(text)
        self.verdict = verdict


@dataclass(frozen=True, slots=True)
class Target:
    """What a plugin asks for; `address` where it names one."""

    host: str
    port: int
    address: Address | None

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse(authority: str) -> Target:
    """`name:port`, `address:port` or `[address]:port`. Raises: Refused."""
    match = _AUTHORITY.fullmatch(authority)
    if match is None or int(match[3]) > 65_535:
        raise Refused("malformed", f"{authority[:100]!a} is not host:port in lower case")
    host, port = match[1] or match[2], int(match[3])
    try:
        # Takes no octal, hexadecimal or shortened forms; a zone has a percent sign.
        return Target(host, port, ipaddress.ip_address(host))
    except ValueError:
        if match[1] or not _NAME.fullmatch(host):
            raise Refused("malformed", f"{host[:100]!a} is no host name or address") from None
        return Target(host, port, None)


@dataclass(frozen=True, slots=True)
class Rules:
    """`near` are the networks that the sandbox itself is in: the platform's own."""

    destinations: tuple[Destination, ...]
    near: tuple[Network, ...] = ()

    def find(self, target: Target) -> Destination:
        """The grant that covers what is asked for. Raises: Refused."""
        on_port = [one for one in self.destinations if one.port == target.port]
        for one in on_port:
            if one.names(target.host) or _holds(one.network, target.address):
                return one
        for one in on_port:
            if one.is_lan:
                return one
        raise Refused("not_granted", f"{target} is not granted")

    def check(self, target: Target, destination: Destination, address: Address) -> Address:
        """The address to connect to. Raises: Refused."""
        plain = getattr(address, "ipv4_mapped", None) or address
        if not self.is_allowed(destination, plain):
            leads = "" if target.address is not None else f" leads to {plain}, which"
            raise Refused("bad_address", f"{target}{leads} is not reachable by this grant")
        return plain

    def is_allowed(self, destination: Destination, address: Address) -> bool:
        if self.is_special(address):
            return False
        if destination.is_lan:
            return address.is_private
        if destination.network is not None:
            return _holds(destination.network, address)
        return address.is_global

    def is_special(self, address: Address) -> bool:
        """Whether it is of this machine, of the platform, or no one host's."""
        return (
            address.is_loopback
            or address.is_link_local
            or address.is_multicast
            or address.is_unspecified
            or address.is_reserved
            or any(_holds(network, address) for network in (*_TRANSLATED, *self.near))
        )


def _holds(network: Network | None, address: Address | None) -> bool:
    return (
        network is not None
        and address is not None
        and network.version == address.version
        and address in network
    )


def read_near(routes: Path = Path("/proc/net/route")) -> tuple[Network, ...]:
    """The networks that this machine is directly in, by the kernel's table (proc(5))."""
    try:
        lines = routes.read_text(encoding="ascii").splitlines()[1:]
    except OSError:
        return ()
    return tuple(_networks(line.split() for line in lines))


def _networks(rows: Iterable[list[str]]) -> Iterable[Network]:
    for row in rows:
        destination, gateway, mask = row[1], row[2], row[7]
        # A route with a gateway leads further; one without is a network that we are in.
        if int(gateway, 16) == 0 and int(mask, 16) != 0:
            base = ipaddress.IPv4Address(int(destination, 16).to_bytes(4, "little"))
            bits = int(mask, 16).bit_count()
            yield ipaddress.ip_network(f"{base}/{bits}", strict=False)
