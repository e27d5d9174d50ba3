"""A proxy on a Unix socket of one container's own: CONNECT for anything, URLs in full form.

For an https:// URL the broker itself makes the TLS connection, and can put secrets in.

What is asked of the broker itself (`/storage/…`, `/events/…`, `/plugins/…`) is answered here too.

Who speaks is known by the socket, so that nothing that the plugin says of itself is believed. Names
are resolved here, once a connection, and the address that was checked is the one connected to.
"""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import h11

from heimnetz_common.logs import get_logger
from heimnetz_manifest import Destination
from heimnetz_sandbox import metrics
from heimnetz_sandbox.broker import answering, hello
from heimnetz_sandbox.broker.answering import MAX_BODY_BYTES, Answer, Answering
from heimnetz_sandbox.broker.holding import Echo, Held, fill
from heimnetz_sandbox.broker.rules import Refused, Rules, Target, parse
from heimnetz_sandbox.broker.talking import CHUNK_BYTES, Pipes, Talk

CONNECT_SECONDS = 10.0
OVERLAP_BYTES = 256
# Connections beyond the cap, as a factor, that are told why and not only closed.
PATIENCE = 4
STATUS = {
    "malformed": 400,
    "not_granted": 403,
    "bad_address": 403,
    "wrong_name": 403,
    "unreachable": 502,
    "capped": 429,
    "echoed": 502,
}

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Caps:
    """Of one container; `byte_count` is both directions together."""

    connections: int = 32
    attempts: int = 2000
    byte_count: int = 512 << 20


@dataclass(frozen=True, slots=True)
class Attempt:
    """`kind` is `connect`, or what the broker itself was asked for: `storage`, `publish`, `call`.

    `secret` is one that was asked to go elsewhere or came back.
    """

    target: str
    is_granted: bool
    kind: str = "connect"


class Broker:
    """`say` puts a line into the run's log; `tell` hears of each attempt."""

    def __init__(
        self,
        plugin: str,
        rules: Rules,
        *,
        say: Callable[[str], None],
        tell: Callable[[Attempt], None],
        own: Mapping[str, Answering] | None = None,
        sink: Callable[[str, bytes], None] | None = None,
        caps: Caps | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._plugin = plugin
        self._rules = rules
        self._say = say
        self._tell = tell
        self._own = own or {}
        # Hears what is sent to a host, and nothing is passed on.
        self._sink = sink
        self._caps = caps or Caps()
        self._tls = tls or ssl.create_default_context()
        # Of the run that is served now.
        self.held: Sequence[Held] = ()
        self._attempts = 0
        self._bytes = 0
        self._has_told_cap = False
        self._open: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def open(self, path: Path) -> None:
        self._server = await asyncio.start_unix_server(self._accept, str(path), limit=CHUNK_BYTES)
        path.chmod(0o666)

    def renew(self) -> None:
        """For the next run of the same container: each has all of the caps."""
        self.refill(with_bytes=True)
        self.held = ()
        for task in self._open:
            task.cancel()

    def refill(self, *, with_bytes: bool) -> None:
        """For a run that has no end: its caps are rates."""
        self._attempts = 0
        self._has_told_cap = False
        if with_bytes:
            self._bytes = 0

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._open:
            task.cancel()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if len(self._open) >= self._caps.connections * PATIENCE:
            writer.close()
            return
        self._open.add(task)
        try:
            await self._serve(reader, writer)
        except (OSError, EOFError, TimeoutError, asyncio.CancelledError):
            pass
        finally:
            self._open.discard(task)
            # What was said last is sent on; the container's end takes the rest.
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = Talk(reader, writer)
        wanted = "a connection"
        try:
            request = await talk.read_head()
            if len(self._open) > self._caps.connections:
                raise Refused("capped", f"more than {self._caps.connections} connections at once")
            self._attempts += 1
            if self._attempts > self._caps.attempts:
                raise Refused("capped", f"more than {self._caps.attempts} connections in all")
            own = answering.find(self._own, request.target.decode("ascii", "replace"))
            if own is not None:
                await self._answer(own, talk, request)
                return
            target, is_tls = _target(request)
            wanted = str(target)
            filled = None
            if request.method != b"CONNECT":
                filled = fill(request, target, self.held, is_tls=is_tls)
                self._tell_kept_back(filled.kept_back, wanted)
            if self._sink is not None:
                await self._swallow(self._sink, talk, request, target)
                return
            upstream = await self._connect(target, self._tls if is_tls else None)
        except Refused as refusal:
            self._count(refusal.verdict, wanted, str(refusal))
            await talk.refuse(STATUS[refusal.verdict], refusal.verdict, str(refusal))
            return
        self._count("allowed", wanted)
        look = None
        if filled is not None and filled.texts:
            look = Echo(filled.texts, lambda: self._tell_echo(wanted)).take
        pipes = Pipes(reader, writer, *upstream, self._take)
        try:
            if filled is None:
                await talk.accept()
                await pipes.tunnel(talk.unread(), lambda data: _check_name(target, data))
            else:
                await talk.pass_on(filled.request, target, pipes, look)
        except Refused as refusal:
            self._count(refusal.verdict, wanted, str(refusal))
        finally:
            upstream[1].transport.abort()

    def _tell_kept_back(self, names: Sequence[str], wanted: str) -> None:
        for name in names:
            self._say(f"the secret {name} is not for {wanted}: only its placeholder was sent")
            self._tell(Attempt(f"{name} to {wanted}", is_granted=False, kind="secret"))

    def _tell_echo(self, wanted: str) -> None:
        self._tell(Attempt(f"back from {wanted}", is_granted=False, kind="secret"))

    async def _swallow(
        self,
        sink: Callable[[str, bytes], None],
        talk: Talk,
        request: h11.Request,
        target: Target,
    ) -> None:
        """As if somebody answered: what the plugin says is heard. Raises: Refused."""
        try:
            self._rules.find(target)
            is_granted = True
        except Refused:
            is_granted = False
        self._say(f"connected to {target}, which is a sink here")
        self._tell(Attempt(str(target), is_granted=is_granted))
        if request.method == b"CONNECT":
            await talk.accept()
            heard = talk.unread()
        else:
            head = b"".join(name + b": " + value + b"\n" for name, value in request.headers)
            heard = request.target + b"\n" + head + (await talk.read_body(MAX_BODY_BYTES) or b"")
        sink(str(target), heard)
        if request.method != b"CONNECT":
            await talk.answer(Answer(200))
            return
        while data := await talk.read_more():
            self._take(len(data), "sent")
            # What is looked for may come in two pieces.
            sink(str(target), heard[-OVERLAP_BYTES:] + data)
            heard = data

    async def _answer(self, own: Answering, talk: Talk, request: h11.Request) -> None:
        """What is asked of the broker itself."""
        body = await talk.read_body(MAX_BODY_BYTES)
        if body is None:
            await talk.answer(Answer(413, f"there is room for {MAX_BODY_BYTES:,} bytes".encode()))
            return
        method, target = request.method.decode("ascii"), request.target.decode("ascii", "replace")
        touch = own.touch(method, target)
        self._tell(Attempt(touch.target, is_granted=touch.is_granted, kind=touch.kind))
        await talk.answer(await own.answer(method, target, body))

    def _count(self, verdict: str, wanted: str, why: str = "") -> None:
        metrics.BROKER_ATTEMPTS.labels(self._plugin, verdict).inc()
        if verdict == "capped":
            if self._has_told_cap:
                return
            self._has_told_cap = True
        if verdict == "allowed":
            log.info("egress", plugin=self._plugin, target=wanted, verdict=verdict)
            self._say(f"connected to {wanted}")
            self._tell(Attempt(wanted, is_granted=True))
        else:
            # What was not granted may be anything, a secret as a name included.
            log.info("egress", plugin=self._plugin, verdict=verdict)
            self._say(f"refused: {why}")
        if verdict in ("not_granted", "bad_address", "wrong_name"):
            self._tell(Attempt(wanted, is_granted=False))

    def _take(self, count: int, direction: str) -> None:
        """Raises: Refused."""
        self._bytes += count
        metrics.BROKER_BYTES.labels(self._plugin, direction).inc(count)
        if self._bytes > self._caps.byte_count:
            raise Refused("capped", f"more than {self._caps.byte_count:,} bytes in all")

    async def _connect(
        self, target: Target, tls: ssl.SSLContext | None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Raises: Refused."""
        destination = self._rules.find(target)
        failure = "it does not answer"
        for address in await self._resolve(target, destination):
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    name = None if tls is None else target.host
                    return await asyncio.open_connection(
                        str(address), target.port, ssl=tls, server_hostname=name
                    )
            except TimeoutError:
                failure = "it does not answer"
            except ssl.SSLCertVerificationError as error:
                failure = f"its certificate is not valid: {error.verify_message}"
            except OSError as error:
                failure = (error.strerror or "it refuses").lower()
        raise Refused("unreachable", f"{target} cannot be reached: {failure}")

    async def _resolve(
        self, target: Target, destination: Destination
    ) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
        """Addresses that may be connected to, one at least. Raises: Refused."""
        if target.address is not None:
            return [self._rules.check(target, destination, target.address)]
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                found = await loop.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
        except (OSError, TimeoutError, UnicodeError) as error:
            raise Refused("unreachable", f"{target.host} has no address") from error
        allowed = []
        refusal: Refused | None = None
        for *_, place in found:
            try:
                address = ipaddress.ip_address(str(place[0]).partition("%")[0])
                allowed.append(self._rules.check(target, destination, address))
            except Refused as error:
                refusal = error
        if not allowed:
            raise refusal or Refused("unreachable", f"{target.host} has no address")
        return allowed


def _target(request: h11.Request) -> tuple[Target, bool]:
    """What the request is for, and whether it is to be reached by TLS. Raises: Refused."""
    text = request.target.decode("ascii", "replace")
    if request.method == b"CONNECT":
        return parse(text), False
    try:
        parts = urlsplit(text)
        is_tls = parts.scheme == "https"
        port = parts.port or (443 if is_tls else 80)
    except ValueError as error:
        raise Refused("malformed", "the target is no URL") from error
    if parts.scheme not in ("http", "https") or "@" in parts.netloc or not parts.hostname:
        raise Refused("malformed", "ask for http(s)://host/… in full, or CONNECT host:port")
    target = parse(f"{parts.netloc.removesuffix(f':{port}')}:{port}")
    hosts = [value.decode("latin-1") for name, value in request.headers if name == b"host"]
    if hosts != [parts.netloc]:
        raise Refused("wrong_name", f"the header names {str(hosts)[:100]}, the URL {target.host}")
    return target, is_tls


def _check_name(target: Target, data: bytes) -> bool:
    """Whether the first bytes are whole and in order. Raises: Refused."""
    if not hello.is_tls(data):
        return True
    try:
        name = hello.server_name(data)
    except hello.NotWhole:
        return False
    except hello.Malformed as error:
        raise Refused("wrong_name", f"{target}: a TLS greeting that cannot be read") from error
    if name != (target.host if target.address is None else None):
        raise Refused("wrong_name", f"TLS asks for {str(name)[:100]!a}, the connection {target}")
    return True
