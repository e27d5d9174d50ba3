"""Bad input gets a clear answer, and leaves nothing half-written."""

import os
import uuid
import zipfile
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest

from heimnetz_manifest.packing import pack_files

from ..conftest import Stack, package

pytestmark = [pytest.mark.stack, pytest.mark.timeout(1200)]
CODE = "def run(input, context):\n    return {}\n"
MIB = 1024 * 1024


@pytest.fixture
def name() -> str:
    return f"bad-{uuid.uuid4().hex[:8]}"


Send = Callable[..., httpx.Response]


@pytest.fixture
def send(http: httpx.Client, name: str) -> Send:
    def post(
        body: bytes, media_type: str = "application/gzip", plugin: str = name
    ) -> httpx.Response:
        return http.post(
            f"/api/registry/v1/plugins/{plugin}/versions",
            content=body,
            headers={"Content-Type": media_type},
        )

    return post


@pytest.fixture
def viewer(stack: Stack) -> Iterator[httpx.Client]:
    token = stack.heimnetz("token", f"v-{uuid.uuid4().hex[:8]}", "--role", "viewer").out.strip()
    with stack.http(token) as client:
        yield client


def problem(answer: httpx.Response) -> dict[str, Any]:
    assert answer.headers["content-type"].startswith("application/problem+json"), answer.text
    document: dict[str, Any] = answer.json()
    assert document["status"] == answer.status_code
    assert document["type"].startswith("https://heimnetz.example/problems/")
    return document


def nothing_is_left(http: httpx.Client, name: str) -> bool:
    return http.get(f"/api/registry/v1/plugins/{name}").status_code == 404


@pytest.mark.parametrize("size_bytes", [20 * MIB + 1, 22 * MIB])
def test_a_package_over_the_cap_is_413(
    send: Send, http: httpx.Client, name: str, size_bytes: int
) -> None:
    body = b"\x1f\x8b\x08\0\0\0\0\0\x02\xff" + os.urandom(size_bytes - 10)

    answer = send(body)

    assert answer.status_code == 413
    problem(answer)
    assert nothing_is_left(http, name)


def a_zip() -> bytes:
    data = BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("plugin.yaml", "manifest: 1\n")
    return data.getvalue()


@pytest.mark.parametrize("media_type", ["application/gzip", "application/zip", "text/plain"])
def test_another_format_is_415(send: Send, http: httpx.Client, name: str, media_type: str) -> None:
    answer = send(a_zip(), media_type)

    assert answer.status_code == 415
    problem(answer)
    assert nothing_is_left(http, name)


def test_a_broken_archive_is_422(send: Send, http: httpx.Client, name: str) -> None:
    answer = send(package(name, CODE)[:-20])

    assert answer.status_code == 422
    problem(answer)
    assert nothing_is_left(http, name)


def test_each_mistake_of_a_manifest_has_its_pointer_and_line(
    send: Send, http: httpx.Client, name: str
) -> None:
    answer = send(package(name, CODE, runtime="pyton", limits="{memory: 4 TiB}"))

    assert answer.status_code == 422
    errors = {error["pointer"]: error for error in problem(answer)["errors"]}
    assert errors["/runtime"]["line"] == 9
    assert errors["/limits/memory"]["line"] == 11
    assert nothing_is_left(http, name)


def test_a_package_without_a_manifest_is_422(send: Send) -> None:
    assert send(pack_files({"src/made.py": b""})).status_code == 422


@pytest.mark.parametrize("path", ["../made.py", "/etc/passwd", "a/../../b"])
def test_an_archive_that_leaves_its_place_is_422(send: Send, name: str, path: str) -> None:
    import gzip
    import tarfile

    data = BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for member in ("plugin.yaml", path):
            info = tarfile.TarInfo(member)
            info.size = 4
            tar.addfile(info, BytesIO(b"a: 1"))

    answer = send(gzip.compress(data.getvalue()))

    assert answer.status_code == 422
    problem(answer)


def test_the_same_bytes_are_200_and_other_bytes_409(
    send: Send, http: httpx.Client, name: str
) -> None:
    first, same = send(package(name, CODE)), send(package(name, CODE))
    other = send(package(name, CODE + "# changed\n"))

    assert (first.status_code, same.status_code, other.status_code) == (201, 200, 409)
    assert problem(other)["type"].endswith("/version-exists")
    kept = http.get(f"/api/registry/v1/plugins/{name}/versions/1.0.0").json()
    assert kept["sha256"] == first.json()["sha256"] == same.json()["sha256"]


@pytest.mark.parametrize("bad", ["Bad_Name", "-x", "x" * 64, "a.b", "%2e%2e"])
def test_a_bad_name_is_422(send: Send, bad: str) -> None:
    answer = send(package("good", CODE), plugin=bad)

    assert answer.status_code == 422
    problem(answer)


def test_a_name_other_than_the_manifests_is_422(send: Send, name: str) -> None:
    assert send(package("another-name", CODE), plugin=name).status_code == 422


@pytest.mark.parametrize(
    "path",
    [
        "/api/registry/v1/plugins",
        "/api/auditor/v1/audits",
        "/api/sandbox/v1/runs",
        "/api/monitor/v1/status",
        "/api/docs-gen/v1/docs",
        "/prometheus/api/v1/query?query=up",
        "/alertmanager/api/v2/alerts",
    ],
)
def test_without_a_token_everything_is_401(stack: Stack, path: str) -> None:
    with stack.http() as anybody:
        assert anybody.get(path).status_code == 401


# Two guesses only: the registry slows down who guesses on.
@pytest.mark.parametrize("token", ["hnz_" + "x" * 43, "nonsense"])
def test_a_wrong_token_is_401(stack: Stack, token: str) -> None:
    with stack.http(token) as stranger:
        answer = stranger.get("/api/registry/v1/plugins")

    assert answer.status_code == 401
    problem(answer)


def test_too_little_right_is_403(viewer: httpx.Client, name: str, send: Send) -> None:
    publish = viewer.post(
        f"/api/registry/v1/plugins/{name}/versions",
        content=package(name, CODE),
        headers={"Content-Type": "application/gzip"},
    )
    run = viewer.post("/api/sandbox/v1/plugins/energy-report/runs", json={})
    token = viewer.post("/api/registry/v1/tokens", json={"name": "x", "role": "owner"})

    assert [a.status_code for a in (publish, run, token)] == [403, 403, 403]
    problem(publish)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/registry/v1/plugins/no-such"),
        ("GET", "/api/registry/v1/plugins/no-such/versions/1.0.0"),
        ("GET", "/api/auditor/v1/audits/no-such/1.0.0"),
        ("POST", "/api/sandbox/v1/plugins/no-such/runs"),
        ("GET", "/api/sandbox/v1/runs/01a21142-6232-74a3-83d0-9924a75ca01c"),
        ("GET", "/api/registry/metrics"),
        ("GET", "/api/registry/v1/nothing"),
        ("GET", "/api/nobody/v1/x"),
    ],
)
def test_what_is_not_there_is_404(http: httpx.Client, method: str, path: str) -> None:
    answer = http.request(method, path, json={} if method == "POST" else None)

    assert answer.status_code == 404
    problem(answer)


def test_the_cli_says_each_of_them_without_a_traceback(
    stack: Stack, name: str, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.tar.gz"
    broken.write_bytes(package(name, CODE, runtime="pyton"))
    zipped = tmp_path / "x.tar.gz"
    zipped.write_bytes(a_zip())

    said = {
        "mistakes": stack.heimnetz("publish", broken, "--name", name, check=False),
        "format": stack.heimnetz("publish", zipped, "--name", name, check=False),
        "absent": stack.heimnetz("show", "no-such", check=False),
        "not installed": stack.heimnetz("run", "no-such", check=False),
    }

    assert {what: s.code for what, s in said.items()} == {
        "mistakes": 7,
        "format": 7,
        "absent": 5,
        "not installed": 5,
    }
    assert "line 9" in said["mistakes"].err
    assert "/runtime" in said["mistakes"].err
    assert not any("Traceback" in s.err for s in said.values())
