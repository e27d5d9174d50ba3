import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from heimnetz_sdk._transport import Transport
from heimnetz_sdk.client import Client
from heimnetz_sdk.errors import (
    Conflict,
    Forbidden,
    HeimnetzError,
    InvalidInput,
    NotFound,
    ServerError,
    TooLarge,
    TooMany,
    Unauthenticated,
    Unavailable,
    UnexpectedAnswer,
    UnsupportedMedia,
    VersionExists,
)

RUN = {"id": "r1", "plugin": "p", "state": "finished", "outcome": "ok", "result": {"a": 1}}


class Wire:
    """Answers in order, the last one for ever, and what was asked."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []
        self.pauses: list[float] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def client(self, **options: object) -> Client:
        transport = Transport(
            "http://heimnetz.test",
            token="hnz_secret",
            wire=httpx.MockTransport(self),
            sleep=self.pauses.append,
            **options,  # type: ignore[arg-type]
        )
        return Client("http://heimnetz.test", transport=transport)


def problem(status: int, kind: str, **more: object) -> httpx.Response:
    document = {"type": f"https://heimnetz.example/problems/{kind}", "status": status, **more}
    return httpx.Response(
        status, json=document, headers={"Content-Type": "application/problem+json"}
    )


@pytest.mark.parametrize(
    ("status", "kind", "error"),
    [
        (401, "unauthenticated", Unauthenticated),
        (403, "forbidden", Forbidden),
        (404, "plugin-not-found", NotFound),
        (409, "version-exists", VersionExists),
        (409, "something-newer", Conflict),
        (413, "package-too-large", TooLarge),
        (415, "unsupported-media", UnsupportedMedia),
        (422, "invalid-manifest", InvalidInput),
        (429, "too-many", TooMany),
        (500, "internal", ServerError),
    ],
)
def test_a_problem_becomes_the_error_of_its_type(
    status: int, kind: str, error: type[HeimnetzError]
) -> None:
    client = Wire(problem(status, kind, detail="no such luck")).client()

    with pytest.raises(error, match="no such luck") as caught:
        client.registry.get_me()

    assert (caught.value.problem, caught.value.status) == (kind, status)


def test_each_mistake_keeps_its_pointer_and_line() -> None:
    mistake = {"pointer": "/limits/memory", "line": 7, "column": 3, "detail": "too much"}
    client = Wire(problem(422, "invalid-manifest", errors=[mistake, "junk"])).client()

    with pytest.raises(InvalidInput) as caught:
        client.registry.publish("p", b"bytes")

    (found,) = caught.value.mistakes
    assert (found.pointer, found.line, found.column, found.detail) == (
        "/limits/memory",
        7,
        3,
        "too much",
    )


@pytest.mark.parametrize(
    ("call", "answer"),
    [
        (lambda c: c.registry.get_me(), {"subject": "user:a", "name": "a", "role": "owner"}),
        (lambda c: c.sandbox.start_run("p"), RUN),
        (
            lambda c: c.registry.publish("p", b"x"),
            {"plugin": "p", "version": "1.0.0", "sha256": "0", "size_bytes": 1, "state": "x"},
        ),
    ],
)
def test_a_call_that_may_be_sent_twice_is_retried_while_unavailable(
    call: Callable[[Client], object], answer: object
) -> None:
    wire = Wire(
        httpx.ConnectError("refused"),
        problem(503, "unavailable"),
        httpx.Response(502, text="<html>"),
        httpx.Response(200, json=answer),
    )

    call(wire.client())

    assert len(wire.requests) == 4
    assert len(wire.pauses) == 3


def test_a_retried_run_keeps_its_idempotency_key() -> None:
    wire = Wire(httpx.ReadError("broken"), httpx.Response(200, json=RUN))

    wire.client().sandbox.start_run("p")

    first, second = (request.headers["Idempotency-Key"] for request in wire.requests)
    assert first == second


def test_a_log_in_is_never_sent_twice() -> None:
    wire = Wire(problem(503, "unavailable"))

    with pytest.raises(Unavailable):
        wire.client().registry.log_in("a", "b")

    assert len(wire.requests) == 1


def test_the_last_failed_attempt_is_told() -> None:
    wire = Wire(problem(503, "unavailable", detail="database away"))

    with pytest.raises(Unavailable, match="database away"):
        wire.client(attempts=3).registry.get_me()

    assert len(wire.requests) == 3


def test_retry_after_is_honoured_up_to_a_limit() -> None:
    polite = problem(503, "unavailable")
    polite.headers["Retry-After"] = "2"
    greedy = problem(503, "unavailable")
    greedy.headers["Retry-After"] = "86400"
    wire = Wire(polite, greedy, httpx.Response(200, json={"items": []}))

    wire.client().registry.list_installations()

    assert wire.pauses == [2.0, 10.0]


def test_every_request_carries_token_and_trace() -> None:
    wire = Wire(httpx.Response(200, json={"items": []}))
    client = wire.client()

    client.sandbox.list_runs()
    client.sandbox.list_runs()

    traces = [request.headers["traceparent"].split("-") for request in wire.requests]
    assert [trace[1] for trace in traces] == [client.trace_id] * 2
    assert traces[0][2] != traces[1][2]
    assert wire.requests[0].headers["Authorization"] == "Bearer hnz_secret"


def test_names_cannot_leave_their_place_in_the_path() -> None:
    wire = Wire(problem(404, "not-found"))

    with pytest.raises(NotFound):
        wire.client().registry.get_version("../x", "1/../../y?z")

    assert (
        wire.requests[0].url.raw_path
        == b"/api/registry/v1/plugins/..%2Fx/versions/1%2F..%2F..%2Fy%3Fz"
    )


def test_a_file_is_uploaded_again_from_its_start(tmp_path: Path) -> None:
    package = tmp_path / "p.tar.gz"
    package.write_bytes(b"p" * 200_000)
    version = {"plugin": "p", "version": "1.0.0", "sha256": "0", "size_bytes": 1, "state": "x"}
    wire = Wire(problem(503, "unavailable"), httpx.Response(201, json=version))

    _, is_new = wire.client().registry.publish("p", package)

    assert is_new
    assert [len(request.content) for request in wire.requests] == [200_000, 200_000]
    assert wire.requests[0].headers["Transfer-Encoding"] == "chunked"


def test_files_of_a_run_travel_beside_their_input(tmp_path: Path) -> None:
    file = tmp_path / "year.csv"
    file.write_text("a;b\n")
    wire = Wire(httpx.Response(202, json={**RUN, "state": "queued"}))

    run = wire.client().sandbox.start_run("p", {"x": 1}, [file], wait_seconds=5)

    (request,) = wire.requests
    assert not run.is_finished
    assert request.headers["Prefer"] == "wait=5"
    assert request.headers["Content-Type"].startswith("multipart/form-data")
    assert b'filename="year.csv"' in request.content
    assert json.dumps({"x": 1}).encode() in request.content


def test_log_lines_are_followed_until_the_end_event() -> None:
    text = ": hi\n\ndata: one\n\nevent: log\ndata: two\ndata: three\n\nevent: end\ndata: {}\n\ndata: no\n\n"
    wire = Wire(httpx.Response(200, text=text))

    lines = list(wire.client().sandbox.follow_logs("r1"))

    assert lines == ["one", "two", "three"]


def test_a_page_that_is_not_heimnetz_is_named_so() -> None:
    client = Wire(httpx.Response(200, text="<html>router</html>")).client()

    with pytest.raises(UnexpectedAnswer, match="JSON"):
        client.registry.get_me()


def test_a_redirect_is_not_followed_with_the_token() -> None:
    wire = Wire(httpx.Response(302, headers={"Location": "https://evil.test/"}))

    with pytest.raises(UnexpectedAnswer):
        wire.client().registry.get_me()

    assert len(wire.requests) == 1


def test_an_answer_without_its_fields_is_unexpected() -> None:
    client = Wire(httpx.Response(200, json={"name": "x"})).client()

    with pytest.raises(UnexpectedAnswer, match="subject"):
        client.registry.get_me()


def test_unknown_fields_are_kept_in_the_document() -> None:
    client = Wire(httpx.Response(200, json={**RUN, "later": True})).client()

    run = client.sandbox.get_run("r1")

    assert run.is_ok
    assert run.document["later"] is True


@pytest.mark.parametrize("url", ["localhost", "ftp://x", "https://", ""])
def test_an_address_without_scheme_and_host_is_refused(url: str) -> None:
    with pytest.raises(UnexpectedAnswer, match="no address"):
        Client(url)


def test_a_missing_ca_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnexpectedAnswer, match=r"ca\.crt"):
        Client("https://localhost:1", ca_file=tmp_path / "ca.crt")
