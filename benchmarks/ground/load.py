"""Loads the registry and its peer in turn, from another container; prints both as JSON.

Arguments: a token for the registry, and the plugin to read.
"""

import asyncio
import json
import ssl
import sys
import time

import httpx

CLIENTS, SECONDS = 8, 8.0
PATH = f"/v1/plugins/{sys.argv[2]}/versions/1.0.0"


async def load(base: str, token: str) -> dict[str, float]:
    tls = ssl.create_default_context(cafile="/run/heimnetz/secrets/ca.crt")
    limits = httpx.Limits(max_connections=CLIENTS)
    spent: list[float] = []
    failed = 0
    headers = {"authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(
        base_url=base, verify=tls, limits=limits, headers=headers
    ) as client:
        for _ in range(100):
            try:
                (await client.get(PATH)).raise_for_status()
                break
            except httpx.TransportError:
                await asyncio.sleep(0.1)
        end = time.perf_counter() + SECONDS

        async def ask() -> None:
            nonlocal failed
            while time.perf_counter() < end:
                began = time.perf_counter()
                answer = await client.get(PATH)
                spent.append(time.perf_counter() - began)
                failed += answer.status_code != 200

        await asyncio.gather(*(ask() for _ in range(CLIENTS)))
    ranked = sorted(spent)
    return {
        "per_second": len(spent) / SECONDS,
        "p95": ranked[int(len(ranked) * 0.95)],
        "failed": failed / len(spent),
    }


async def main() -> None:
    token = sys.argv[1]
    ours = await load("https://registry:8000", token)
    theirs = await load("https://registry:9000", token)
    print(json.dumps([ours, theirs]))


asyncio.run(main())
