"""The peer of the registry's read: the same statement, FastAPI and asyncpg, and nothing else.

Runs in the registry's container, with its certificate and its role, one worker as it has.
"""

import os
import ssl
from pathlib import Path

import asyncpg
import orjson
import uvicorn
import uvloop
from fastapi import FastAPI, Response

SECRETS = Path("/run/heimnetz/secrets")
SQL = """
SELECT plugin, version, sha256, size_bytes, state, reason, publisher, published_at,
       manifest, score, grade, verdict, audited_at
  FROM registry.versions
 WHERE plugin = $1
   AND version = $2
"""
app = FastAPI()


@app.get("/v1/plugins/{plugin}/versions/{version}")
async def get_version(plugin: str, version: str) -> Response:
    row = await app.state.pool.fetchrow(SQL, plugin, version)
    return Response(orjson.dumps(dict(row)), media_type="application/json")


async def main() -> None:
    app.state.pool = await asyncpg.create_pool(
        "postgresql://registry@postgres:5432/heimnetz",
        password=(SECRETS / "postgres-password").read_text().strip(),
        ssl=ssl.create_default_context(cafile=str(SECRETS / "ca.crt")),
        min_size=4,
        max_size=10,
    )
    config = uvicorn.Config(
        app, host="0.0.0.0", port=9000, log_level="error", access_log=False,
        ssl_certfile=SECRETS / "tls.crt", ssl_keyfile=SECRETS / "tls.key",
    )  # fmt: skip
    Path("/tmp/bare.pid").write_text(str(os.getpid()))
    await uvicorn.Server(config).serve()


uvloop.run(main())
