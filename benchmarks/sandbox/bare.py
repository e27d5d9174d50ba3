"""The peer of a call: FastAPI and asyncpg, one row written and committed, one answer.

Arguments: the database's URL, and the port to listen on.
"""

import sys
import uuid

import asyncpg
import uvicorn
import uvloop
from fastapi import FastAPI, Request

app = FastAPI()


@app.post("/")
async def write(request: Request) -> dict[str, str]:
    await request.json()
    row = str(uuid.uuid4())
    await app.state.pool.execute("INSERT INTO bare (id) VALUES ($1)", row)
    return {"id": row}


async def main() -> None:
    app.state.pool = await asyncpg.create_pool(sys.argv[1], min_size=4, max_size=10)
    await app.state.pool.execute("CREATE TABLE IF NOT EXISTS bare (id text PRIMARY KEY)")
    config = uvicorn.Config(
        app, host="127.0.0.1", port=int(sys.argv[2]), log_level="error", access_log=False
    )
    await uvicorn.Server(config).serve()


uvloop.run(main())
