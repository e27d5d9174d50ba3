"""Runs: started, waited for, followed, read."""

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from heimnetz_sdk._transport import Stream, Transport
from heimnetz_sdk.models import (
    Behaviour,
    Draft,
    Line,
    Page,
    Run,
    Services,
    Trial,
    decode,
    decode_page,
)

BASE = "/api/sandbox/v1"
TRIAL_SECONDS = 300.0
# Five minutes of a run, and dependencies that are fetched first.
DRAFT_SECONDS = 600.0


class Sandbox:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def try_out(self, plugin: str, version: str) -> Trial:
        """Run a version, approved or not, on its examples; nothing that it sends arrives."""
        answer = self._transport.request(
            "POST",
            f"{BASE}/trials",
            document={"plugin": plugin, "version": version},
            timeout_seconds=TRIAL_SECONDS,
        )
        return decode(Trial, answer.json())

    def run_draft(
        self,
        package: bytes,
        *,
        example: str | None = None,
        input: Mapping[str, Any] | None = None,  # noqa: A002 - the API's word
        configuration: Mapping[str, Any] | None = None,
    ) -> Draft:
        """Run a working copy once, with the caps of its manifest; nothing of it is kept.

        `example` is one of the manifest's, `input` takes the place of the example's.
        Raises: InvalidInput, TooLarge, TooMany, when another draft is under way.
        """
        document = {
            "example": example,
            "input": None if input is None else dict(input),
            "configuration": dict(configuration or {}),
        }
        answer = self._transport.request(
            "POST",
            f"{BASE}/drafts",
            form={"draft": json.dumps(document)},
            uploads=[("package.tar.gz", package)],
            timeout_seconds=DRAFT_SECONDS,
        )
        return decode(Draft, answer.json())

    def get_trial(self, plugin: str, version: str) -> Trial:
        """The last one of this version."""
        query = {"plugin": plugin, "version": version}
        return decode(Trial, self._transport.request("GET", f"{BASE}/trials", query=query).json())

    def get_behaviour(self, plugin: str) -> tuple[Mapping[str, Any], ...]:
        """What runs of the plugin did or tried at least once, newest first."""
        path = f"{BASE}/plugins/{quote(plugin, safe='')}/behaviour"
        return decode(Behaviour, self._transport.request("GET", path).json()).items

    def list_services(self) -> tuple[Mapping[str, Any], ...]:
        """Installed plugins of kind `service`, and how they are."""
        answer = self._transport.request("GET", f"{BASE}/services")
        return decode(Services, answer.json()).items

    def restart_service(self, plugin: str) -> None:
        path = f"{BASE}/services/{quote(plugin, safe='')}/restarts"
        self._transport.request("POST", path)

    def trace_memory(self, plugin: str) -> bool:
        """The next container's log names the lines that hold memory; whether a service has one."""
        path = f"{BASE}/plugins/{quote(plugin, safe='')}/memory-traces"
        return bool(self._transport.request("POST", path).json().get("is_service"))

    def start_run(
        self,
        plugin: str,
        input: Mapping[str, Any] | None = None,  # noqa: A002 - the API's word
        files: Sequence[Path] = (),
        *,
        wait_seconds: int = 0,
        key: str | None = None,
    ) -> Run:
        """Ask for one run; finished if it ended within `wait_seconds`.

        The `Idempotency-Key` (a fresh one unless `key` is given) makes a second try safe.
        """
        headers = {"Idempotency-Key": key or uuid.uuid4().hex}
        if wait_seconds > 0:
            headers["Prefer"] = f"wait={wait_seconds}"
        has_files = bool(files)
        answer = self._transport.request(
            "POST",
            f"{BASE}/plugins/{quote(plugin, safe='')}/runs",
            document=None if has_files else {"input": dict(input or {})},
            form={"input": json.dumps(dict(input or {}))} if has_files else None,
            uploads=[(file.name, file) for file in files],
            headers=headers,
            is_idempotent=True,
            timeout_seconds=wait_seconds + 60.0,
        )
        return decode(Run, answer.json())

    def get_run(self, run_id: str, *, wait_seconds: int = 0) -> Run:
        """The run as it is, or as it is when it ended within `wait_seconds`."""
        answer = self._transport.request(
            "GET",
            f"{BASE}/runs/{quote(run_id, safe='')}",
            headers={"Prefer": f"wait={wait_seconds}"} if wait_seconds > 0 else None,
            timeout_seconds=wait_seconds + 30.0,
        )
        return decode(Run, answer.json())

    def list_runs(
        self,
        plugin: str | None = None,
        outcome: str | None = None,
        *,
        limit: int = 20,
        cursor: str | None = None,
    ) -> Page[Run]:
        query = {"plugin": plugin, "outcome": outcome, "limit": limit, "cursor": cursor}
        return decode_page(Run, self._transport.request("GET", f"{BASE}/runs", query=query).json())

    def cancel_run(self, run_id: str) -> None:
        self._transport.request("DELETE", f"{BASE}/runs/{quote(run_id, safe='')}")

    def get_logs(self, run_id: str) -> str:
        return self._transport.request(
            "GET", f"{BASE}/runs/{quote(run_id, safe='')}/logs", headers={"Accept": "text/plain"}
        ).text

    def find_lines(
        self,
        plugin: str,
        *,
        contains: str | None = None,
        stream: str | None = None,
        limit: int = 200,
        cursor: str | None = None,
    ) -> Page[Line]:
        """Lines that all runs of a plugin wrote, newest first; upper and lower case are one."""
        path = f"{BASE}/plugins/{quote(plugin, safe='')}/logs"
        query = {"contains": contains, "stream": stream, "limit": limit, "cursor": cursor}
        return decode_page(Line, self._transport.request("GET", path, query=query).json())

    def follow_logs(self, run_id: str) -> Iterator[str]:
        """The run's log, line by line, until it ends."""
        path = f"{BASE}/runs/{quote(run_id, safe='')}/logs"
        with self._transport.stream(
            path, headers={"Accept": "text/event-stream"}, timeout_seconds=3600.0
        ) as stream:
            for event, data in server_sent_events(stream):
                if event in {"end", "finished"}:
                    return
                if event in {"message", "log", "line"}:
                    yield from data.splitlines() or [""]

    def download_file(self, run_id: str, name: str) -> Iterator[bytes]:
        path = f"{BASE}/runs/{quote(run_id, safe='')}/files/{quote(name, safe='')}"
        with self._transport.stream(path, headers={"Accept": "*/*"}) as stream:
            yield from stream.chunks()


def server_sent_events(stream: Stream) -> Iterator[tuple[str, str]]:
    """Event name and data, by the HTML standard's 9.2.6; an unfinished last event is dropped."""
    event, data = "message", list[str]()
    for line in stream.lines():
        if line == "":
            if data:
                yield event, "\n".join(data)
            event, data = "message", []
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            event = value or "message"
        elif name == "data":
            data.append(value)
