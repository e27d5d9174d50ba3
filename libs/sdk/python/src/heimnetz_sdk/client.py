"""One client for the platform's services, behind the gateway."""

from pathlib import Path
from types import TracebackType
from typing import Self

from heimnetz_sdk._transport import Transport
from heimnetz_sdk.auditor import Auditor
from heimnetz_sdk.catalogues import Catalogues
from heimnetz_sdk.docs import Docs
from heimnetz_sdk.monitor import Monitor
from heimnetz_sdk.operations import Operations
from heimnetz_sdk.registry import Registry
from heimnetz_sdk.sandbox import Sandbox


class Client:
    """The platform as one person or program sees it.

    All requests of one client share a trace; `trace_id` finds them in logs and runs.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        ca_file: Path | None = None,
        timeout_seconds: float = 30.0,
        transport: Transport | None = None,
    ) -> None:
        self.transport = transport or Transport(
            url, token=token, ca_file=ca_file, timeout_seconds=timeout_seconds
        )
        self.registry = Registry(self.transport)
        self.catalogues = Catalogues(self.transport)
        self.auditor = Auditor(self.transport)
        self.sandbox = Sandbox(self.transport)
        self.monitor = Monitor(self.transport)
        self.docs = Docs(self.transport)
        self.operations = Operations(self.transport)

    @property
    def trace_id(self) -> str:
        return self.transport.trace_id

    def close(self) -> None:
        self.transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
