"""The types that plugin authors write against; standard library only, part of every runtime.

A plugin is a function. The runner calls it once for a run, in a container of its own:

    def run(input: Input, context: Context) -> Output: ...
"""

import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from heimnetz_sdk.serving import Request

JSON: TypeAlias = bool | int | float | str | list["JSON"] | dict[str, "JSON"] | None
Input: TypeAlias = Mapping[str, Any]
Output: TypeAlias = Mapping[str, Any]


class Storage(Protocol):
    """What a plugin keeps between its runs, within the bytes that it was granted.

    A key has 1 to 200 of `A-Z a-z 0-9 . _ / : @ -`, and no `..`; a value has at most 1 MiB. Without
    the grant every call raises PermissionError.
    """

    def get(self, key: str) -> bytes | None:
        """None where nothing was put."""

    def put(self, key: str, value: bytes | str) -> None:
        """Raises: OSError with ENOSPC, when the grant is used up; ValueError."""

    def delete(self, key: str) -> None:
        """Also fine when there is nothing."""

    def keys(self, prefix: str = "") -> list[str]:
        """In order; all that begin with `prefix`."""


class Response(Protocol):
    """An answer, whatever its status; `headers` has its names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str: ...

    def json(self) -> Any: ...


class Context(Protocol):
    """What the platform hands to one run."""

    @property
    def config(self) -> Mapping[str, Any]:
        """The installation's configuration, valid by the manifest's schema, secrets in clear."""

    @property
    def files(self) -> Mapping[str, Path]:
        """The files of this run by the name they were sent with; read-only."""

    @property
    def out(self) -> Path:
        """An empty directory; what is in it at the end is kept with the run."""

    @property
    def storage(self) -> Storage: ...

    @property
    def run_id(self) -> str: ...

    @property
    def trace_id(self) -> str:
        """32 hexadecimal digits; the same trace reaches from the gateway to this run's log."""

    def fetch(
        self,
        url: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes | str | None = None,
        timeout: float = 30.0,
    ) -> Response:
        """One HTTP request to a host that was granted. A redirect is answered, not followed.

        A secret that the manifest names a host for is a placeholder in the configuration. Put it
        into the URL or a header, `Authorization: Basic` included, and the host gets the value.

        Raises: PermissionError without the grant, ConnectionError when nobody answers or a cap is
        reached, ValueError for what is no URL or an answer of more than 16 MiB.
        """

    def serve(self, handle: "Callable[[Request], Any]", /) -> None:
        """For a service: answer each request, in a thread of its own, until the container ends.

        What `handle` returns is sent: a `heimnetz_sdk.serving.Response`; bytes; text, as HTML; or
        anything else as JSON. What it raises is 500, and goes to the log.
        """

    @property
    def listener(self) -> socket.socket:
        """For a service with a server of its own: the socket to accept connections from."""

    def publish(self, event: str, data: Mapping[str, Any]) -> None:
        """Announce an event of a type that the plugin may publish; whoever listens for it is run.

        Raises: PermissionError without the grant, ValueError beyond 64 KiB, ConnectionError beyond
        100 events of a run.
        """

    def call(self, plugin: str, input: Input | None = None) -> Any:  # noqa: A002
        """The result of another plugin that this one may call.

        Raises: PermissionError without the grant; an error with `outcome`, when that run failed;
        ValueError, when calls go too deep.
        """

    def log(self, message: str, /) -> None:
        """Add a line to the run's log, which is capped (256 KiB unless the manifest asks)."""


class Plugin(Protocol):
    """The shape of an entry point."""

    def __call__(self, input: Input, context: Context, /) -> Output: ...  # noqa: A002
