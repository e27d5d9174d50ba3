"""Dependencies: from a hashed lock, wheels only, by the builder, from an index of the test's own."""

import errno
import hashlib
import io
import json
import subprocess
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from heimnetz_common.testing import KeyRing, eventually_sync
from heimnetz_sandbox.broker.indexes import read_index
from heimnetz_sandbox.testing import BUILDER_IMAGE, Stand, ask_engine, package, standing

pytestmark = pytest.mark.engine


@dataclass
class Index:
    """A simple repository (PEP 503); files by name, and where else one is than here."""

    files: dict[str, bytes] = field(default_factory=dict)
    moved: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    port: int = 0
    # Cleared while no answer is to be given.
    answers: threading.Event = field(default_factory=threading.Event)

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.port}"

    def answer(self, path: str) -> bytes | None:
        self.asked.append(path)
        assert self.answers.wait(30)
        parts = path.strip("/").split("/")
        if parts[0] == "files":
            return self.files.get(parts[1])
        links = [
            f'<a href="{self.moved.get(name, "")}/files/{name}">{name}</a>'
            for name in self.files
            if name.split("-")[0].replace("_", "-") == parts[1]
        ]
        return f"<!DOCTYPE html><html><body>{''.join(links)}</body></html>".encode()

    def lock(self, name: str, file: str, digest: str | None = None) -> str:
        sha256 = digest or hashlib.sha256(self.files[file]).hexdigest()
        return f"{name}==1.0 --hash=sha256:{sha256}\n"


@contextmanager
def serving() -> Iterator[Index]:
    index = Index()
    index.answers.set()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = index.answer(self.path)
            self.send_response(404 if body is None else 200)
            is_page = not self.path.startswith("/files")
            self.send_header("content-type", "text/html" if is_page else "application/zip")
            self.send_header("content-length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    index.port = server.server_port
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield index
    finally:
        index.answers.set()
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def index() -> Iterator[Index]:
    with serving() as index:
        yield index


@pytest.fixture(scope="module")
def files() -> Iterator[Index]:
    """Another server, which the owner named for files of the index."""
    with serving() as files:
        yield files


@pytest.fixture(scope="module")
def building(
    index: Index, files: Index, place: Path, postgres_url: str, key_ring: KeyRing
) -> Iterator[Stand]:
    settings = {
        "PACKAGE_INDEX_URL": f"http://{index.place}/simple",
        "PACKAGE_INDEX_HOSTS": files.place,
        # Nothing more than what is installed, and what is young.
        "DEPENDENCIES_BYTES": "0",
    }
    with standing(place, postgres_url, key_ring, **settings) as stand:
        yield stand


def wheel(name: str, files: dict[str, str]) -> bytes:
    data = io.BytesIO()
    info = f"{name}-1.0.dist-info"
    contents = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,\n" for path in [*contents, f"{info}/RECORD"])
    with zipfile.ZipFile(data, "w") as archive:
        for path, text in {**contents, f"{info}/RECORD": record}.items():
            archive.writestr(path, text)
    return data.getvalue()


def docker(*words: str) -> str:
    done = subprocess.run(["docker", *words], capture_output=True, text=True, check=True)
    return done.stdout


def install(stand: Stand, name: str, code: str, lock: str) -> None:
    stand.install(
        name, code, files={"requirements.lock": lock}, dependencies={"lock": "requirements.lock"}
    )


@pytest.mark.attack(row=61, what=".pth file, console script")
def test_a_wheel_is_imported_and_nothing_else_of_it_runs(building: Stand, index: Index) -> None:
    file = "good_dep-1.0-py3-none-any.whl"
    index.files[file] = wheel(
        "good_dep",
        {
            "good_dep/__init__.py": "VALUE = 42\n",
            "evil.pth": "import os; os.environ['PTH'] = 'ran'\n",
            "sitecustomize.py": "import os; os.environ['SITE'] = 'ran'\n",
            "good_dep-1.0.dist-info/entry_points.txt": "[console_scripts]\npython = good_dep:x\n",
        },
    )
    install(
        building,
        "depends",
        """
import os
from pathlib import Path
import good_dep

def run(input, context):
    try:
        Path("/deps/new").write_text("x")
        writes = True
    except OSError:
        writes = False
    return {
        "value": good_dep.VALUE,
        "ran": sorted({"PTH", "SITE"} & set(os.environ)),
        "bin": Path("/deps/bin").exists(),
        "writes": writes,
    }
""",
        index.lock("good-dep", file),
    )

    run = building.run("depends", wait=60)

    assert run["outcome"] == "ok", run
    assert run["result"] == {"value": 42, "ran": [], "bin": False, "writes": False}


def test_the_same_lock_is_fetched_once(building: Stand, index: Index) -> None:
    file = "shared_dep-1.0-py3-none-any.whl"
    index.files[file] = wheel("shared_dep", {"shared_dep.py": "VALUE = 1\n"})
    lock = index.lock("shared-dep", file)
    code = "import shared_dep\ndef run(input, context): return {'value': shared_dep.VALUE}"
    install(building, "first-user", code, lock)
    assert building.run("first-user")["outcome"] == "ok"
    del index.files[file]

    install(building, "second-user", code, lock)

    assert building.run("second-user")["result"] == {"value": 1}


@pytest.mark.attack(row=61, what="another hash")
def test_a_wheel_with_another_hash_is_refused(building: Stand, index: Index) -> None:
    file = "swapped_dep-1.0-py3-none-any.whl"
    index.files[file] = wheel("swapped_dep", {"swapped_dep.py": ""})
    install(
        building,
        "swapped-user",
        "def run(input, context): return {}",
        index.lock("swapped-dep", file, "0" * 64),
    )

    run = building.run("swapped-user")

    assert run["outcome"] == "refused"
    assert "dependencies could not be fetched" in run["reason"]
    assert "HASHES" in run["reason"]


@pytest.mark.attack(row=61, what="a setup script")
def test_a_source_distribution_is_never_built(building: Stand, index: Index) -> None:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        for name, text in (
            ("source_dep-1.0/setup.py", "raise SystemExit('ran')"),
            ("source_dep-1.0/PKG-INFO", "Metadata-Version: 2.1\nName: source-dep\nVersion: 1.0\n"),
        ):
            member = tarfile.TarInfo(name)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    index.files["source_dep-1.0.tar.gz"] = data.getvalue()
    install(
        building,
        "source-user",
        "def run(input, context): return {}",
        index.lock("source-dep", "source_dep-1.0.tar.gz"),
    )

    run = building.run("source-user")

    assert run["outcome"] == "refused"
    assert "No matching distribution" in run["reason"]


@pytest.mark.attack(row=61, what="path traversal in a wheel")
def test_a_wheel_that_leaves_its_folder_is_refused(building: Stand, index: Index) -> None:
    file = "climbing_dep-1.0-py3-none-any.whl"
    index.files[file] = wheel("climbing_dep", {"../../../../tmp/evil.py": "x = 1\n"})
    install(
        building,
        "climbing-user",
        "def run(input, context): return {}",
        index.lock("climbing-dep", file),
    )

    run = building.run("climbing-user")

    assert run["outcome"] == "refused"
    assert "outside" in run["reason"]


def builders(stand: Stand) -> list[str]:
    """What other plugins left waiting for calls is none."""
    labels = {"stack": stand.stack, "kind": "build"}
    filters = [f"--filter=label=heimnetz.{name}={value}" for name, value in labels.items()]
    return ask_engine(stand.engine, "ps", "-aq", *filters).split()


@pytest.mark.attack(row=61, what="a wheel that is too large")
def test_a_wheel_that_is_too_large_is_refused_and_others_run(building: Stand, index: Index) -> None:
    file = "huge_dep-1.0-py3-none-any.whl"
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("huge_dep/zeros.bin", "w", force_zip64=True) as member:
            for _ in range(600):
                member.write(bytes(1 << 20))
        archive.writestr(
            "huge_dep-1.0.dist-info/METADATA",
            "Metadata-Version: 2.1\nName: huge_dep\nVersion: 1.0\n",
        )
        archive.writestr(
            "huge_dep-1.0.dist-info/WHEEL",
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr("huge_dep-1.0.dist-info/RECORD", "")
    index.files[file] = data.getvalue()
    install(
        building,
        "huge-user",
        "def run(input, context): return {}",
        index.lock("huge-dep", file),
    )

    run = building.run("huge-user")

    assert run["outcome"] == "refused"
    eventually_sync(lambda: not builders(building), 30)


def test_a_file_on_a_further_host_that_the_owner_named_is_fetched(
    building: Stand, index: Index, files: Index
) -> None:
    file = "moved_dep-1.0-py3-none-any.whl"
    index.files[file] = files.files[file] = wheel("moved_dep", {"moved_dep.py": "VALUE = 7\n"})
    index.moved[file] = f"http://{files.place}"
    install(
        building,
        "moved-user",
        "import moved_dep\ndef run(input, context): return {'value': moved_dep.VALUE}",
        index.lock("moved-dep", file),
    )

    run = building.run("moved-user")

    assert run["result"] == {"value": 7}, run
    assert files.asked == [f"/files/{file}"]


@pytest.mark.attack(row=61, what="a file on another host than the index's")
def test_a_host_that_is_not_the_indexs_is_not_reached(building: Stand, index: Index) -> None:
    file = "strange_dep-1.0-py3-none-any.whl"
    index.files[file] = wheel("strange_dep", {"strange_dep.py": ""})
    with serving() as elsewhere:
        index.moved[file] = f"http://{elsewhere.place}"
        install(
            building,
            "strange-user",
            "def run(input, context): return {}",
            index.lock("strange-dep", file),
        )

        run = building.run("strange-user")

    assert run["outcome"] == "refused"
    assert f"{elsewhere.place} is none of the index's hosts" in run["reason"]
    assert elsewhere.asked == []


LOOK = """
import json, os, socket
try:
    socket.create_connection(("192.0.2.1", 443), 5)
except OSError as error:
    number = error.errno
print(json.dumps([sorted(os.listdir("/sys/class/net")), number]))
"""


@pytest.mark.attack(row=61, what="a builder's own connection")
def test_a_builder_has_no_network_but_the_brokers_socket(building: Stand, index: Index) -> None:
    index.answers.clear()
    try:
        install(
            building,
            "waiting-user",
            "def run(input, context): return {}",
            f"waiting-dep==1.0 --hash=sha256:{'0' * 64}\n",
        )
        building.ask("waiting-user")
        eventually_sync(lambda: "/simple/waiting-dep/" in index.asked, 30)
        (builder,) = docker("ps", "-q", "--filter", "label=heimnetz.plugin=waiting-user").split()

        seen = docker("exec", builder, "python3", "-c", LOOK)
    finally:
        index.answers.set()

    assert json.loads(seen) == [["lo"], errno.ENETUNREACH]


def test_the_builders_pip_has_the_default_index_that_is_let_through() -> None:
    ask = "from pip._internal.models.index import PyPI as p; print(p.netloc, p.file_storage_domain)"

    said = docker("run", "--rm", "--network=none", BUILDER_IMAGE, "python3", "-c", ask)

    assert [f"{host}:443" for host in said.split()] == [
        str(one) for one in read_index("", "").hosts
    ]


def test_a_lock_that_names_another_index_is_refused_before_anything_is_fetched(
    building: Stand,
) -> None:
    install(
        building,
        "redirecting-user",
        "def run(input, context): return {}",
        "--index-url https://evil.example/simple\n",
    )

    run = building.run("redirecting-user")

    assert run["outcome"] == "refused"
    assert "line 1 of the lock" in run["reason"]
    assert json.dumps(run["reason"]).isascii()


def test_what_is_not_installed_fetches_nothing_where_dependencies_have_no_room(
    building: Stand, index: Index
) -> None:
    for name in ("fits", "full"):
        index.files[f"{name}-1.0-py3-none-any.whl"] = wheel(name, {f"{name}.py": "VALUE = 1\n"})
    code = "import fits\ndef run(input, context): return fits.VALUE"
    install(building, "first", code, index.lock("fits", "fits-1.0-py3-none-any.whl"))
    assert building.run("first")["outcome"] == "ok"

    lock = index.lock("full", "full-1.0-py3-none-any.whl")
    more = {"dependencies": {"lock": "requirements.lock"}}
    data = package("draft", code, {"requirements.lock": lock}, **more)
    report = building.call("POST", "/v1/drafts", files={"file": ("draft.tar.gz", data)}).json()

    assert report["outcome"] == "refused"
    assert "no room for dependencies" in report["reason"]
