"""Starts the proxy: a Unix socket in front of the engine's."""

import asyncio
import contextlib
import os
import signal

from heimnetz_engine_proxy import metrics
from heimnetz_engine_proxy.serving import Proxy
from heimnetz_engine_proxy.settings import load


async def show_readiness(proxy: Proxy) -> None:
    while True:
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(5):
                status, _, _ = await proxy.ask("GET", "/_ping", b"")
            if status == 200:
                proxy.settings.ready_file.touch()
        await asyncio.sleep(2)


async def run(proxy: Proxy) -> None:
    proxy.settings.socket.unlink(missing_ok=True)
    # Readable by owner and group alone from its first moment; the group is the sandbox's.
    os.umask(0o117)
    server = await asyncio.start_unix_server(proxy.serve, str(proxy.settings.socket))
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    metrics.log("info", "listening", socket=str(proxy.settings.socket))
    readiness = asyncio.create_task(show_readiness(proxy))
    try:
        await stop.wait()
    finally:
        readiness.cancel()
        server.close()


def main() -> None:
    asyncio.run(run(Proxy(load())))


if __name__ == "__main__":
    main()
