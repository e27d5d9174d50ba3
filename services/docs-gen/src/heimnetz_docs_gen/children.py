"""Starts the process that draws, and ends it when its time is over."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from heimnetz_common.errors import Unavailable
from heimnetz_common.logs import get_logger
from heimnetz_docs import Care
from heimnetz_docs_gen.errors import NotDrawable

# Importing what draws takes 1.2 s on two busy cores (2026-11); a small board is slower.
START_SECONDS = 60
_SHOWN_ERROR_BYTES = 2000

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """`draw_seconds` counts from the moment at which the process is ready to work."""

    draw_seconds: float
    memory_bytes: int


async def draw(
    folder: Path, request: Mapping[str, Any], limits: Limits
) -> tuple[dict[str, Any], Care]:
    """Draw what `folder` holds; what it became, and with how much care for the author's text.

    Raises: NotDrawable, Unavailable.
    """
    error = ""
    for care in (Care.FULL, Care.PLAIN):
        document = {**request, "care": care.value}
        await asyncio.to_thread((folder / "request.json").write_text, json.dumps(document))
        error = await _attempt(folder, limits)
        if not error:
            result = await asyncio.to_thread((folder / "result.json").read_bytes)
            return json.loads(result), care
        log.warning("drawing_failed", care=care.value, error=error)
    raise NotDrawable(f"no pages can be made of this package: {error}")


async def _attempt(folder: Path, limits: Limits) -> str:
    """Why it failed; nothing where it worked."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-m", "heimnetz_docs_gen.drawing", str(folder)),
        *(str(limits.memory_bytes), str(int(START_SECONDS + limits.draw_seconds))),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"LANG": "C.UTF-8"},
        cwd=folder,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    complaining = asyncio.create_task(_last(process.stderr))
    try:
        await asyncio.wait_for(process.stdout.readline(), START_SECONDS)
        try:
            status = await asyncio.wait_for(process.wait(), limits.draw_seconds)
        except TimeoutError:
            return f"it took longer than {limits.draw_seconds:g} s"
    except TimeoutError as error:
        raise Unavailable(f"drawing did not start within {START_SECONDS} s") from error
    finally:
        await _end(process)
        complaint = await complaining
    if status == 0:
        return ""
    last = complaint.strip().rpartition("\n")[2][:200]
    return last or f"the process ended with status {status}"


async def _last(stream: asyncio.StreamReader) -> str:
    """The end of what the process complained, however much it was."""
    kept = b""
    while chunk := await stream.read(65536):
        kept = (kept + chunk)[-_SHOWN_ERROR_BYTES:]
    return kept.decode("utf-8", "replace")


async def _end(process: asyncio.subprocess.Process) -> None:
    """End it and everything that it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
