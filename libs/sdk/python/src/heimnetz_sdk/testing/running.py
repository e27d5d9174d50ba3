"""One call of a plugin's function, and what it did."""

import contextlib
import importlib
import json
import secrets
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from heimnetz_manifest import MANIFEST_NAME, Grants, Manifest, parse_manifest
from heimnetz_sdk.serving import Handle, Request, Response, answer
from heimnetz_sdk.testing.clock import Clock
from heimnetz_sdk.testing.network import Held, Network
from heimnetz_sdk.testing.others import Others
from heimnetz_sdk.testing.storing import MemoryStorage


@dataclass(frozen=True)
class Run:
    """What a run answered, and what it touched.

    Permissions are grant keys, such as `network:api.example.org:443`. `refused` is what it tried
    and was not granted, in order.
    """

    result: Any
    log: list[str]
    events: list[tuple[str, dict[str, Any]]]
    files: Mapping[str, Path]
    granted: frozenset[str]
    used: frozenset[str]
    refused: tuple[str, ...]
    secrets: Mapping[str, str] = field(repr=False)

    def assert_permissions_fit(self) -> None:
        """Everything that was granted was used, and nothing else was tried."""
        said = [f"tried without a grant: {key}" for key in self.refused]
        said += [f"granted and not used: {key}" for key in sorted(self.granted - self.used)]
        if said:
            raise AssertionError("the permissions do not fit\n" + "\n".join(said))

    def assert_no_secret_shown(self) -> None:
        """No secret of the configuration stands in the log, the result or a file."""
        places: dict[str, bytes] = {
            "the log": "\n".join(self.log).encode(),
            "the result": json.dumps(self.result, ensure_ascii=False).encode(),
            **{f"the file {name}": path.read_bytes() for name, path in self.files.items()},
        }
        for secret, value in self.secrets.items():
            for place, data in places.items():
                if value and value.encode() in data:
                    raise AssertionError(f"the secret {secret} is shown in {place}")


class Plugin:
    """The plugin of a project directory. Storage lasts over the runs of one test."""

    def __init__(self, root: Path, work: Path, network: Network, clock: Clock) -> None:
        self.root = root
        self.network = network
        self.clock = clock
        self.storage = MemoryStorage()
        self.others = Others()
        self._work = work
        self._runs = 0
        self._serve: Callable[[Handle], None] = _not_a_service

    @cached_property
    def manifest(self) -> Manifest:
        """Raises: FileNotFoundError, InvalidManifest."""
        return parse_manifest((self.root / MANIFEST_NAME).read_bytes())

    def run(
        self,
        given: Mapping[str, Any] | None = None,
        *,
        config: Mapping[str, Any] | None = None,
        files: Mapping[str, bytes | str | Path] | None = None,
        grants: Iterable[str] | None = None,
    ) -> Run:
        """Call the function as the platform would, here and now.

        The configuration has the schema's defaults, and has to be valid; secrets are given as any
        other value. Without `grants`, all that the manifest asks for is granted. What the function
        raises is raised.

        Raises: InvalidConfiguration, NotAsked, TypeError and ValueError for a result that is no
        JSON, OverflowError for one that is too large.
        """
        manifest = self.manifest
        if manifest.runtime != "python":
            raise AssertionError(
                f"tests here call Python alone, not {manifest.runtime}: "
                "heimnetz test runs the tests of such a plugin, from tests/*.test.js"
            )
        schema = manifest.configuration_schema
        whole = schema.complete(dict(config or {}))
        asked = manifest.permissions
        granted = Grants.all_of(asked) if grants is None else Grants.of(asked, grants)
        self.storage.begin(granted.storage_bytes)
        self.network.allow(str(to) for to in granted.network)
        self.others.begin(granted)
        shown, self.network.held = _withheld(manifest, whole, granted)
        log: list[str] = []
        folder = self._folder()
        context = SimpleNamespace(
            config=shown,
            fetch=self.network.fetch,
            files=_placed(files or {}, folder / "in"),
            out=folder / "out",
            storage=self.storage,
            serve=self._serve,
            publish=self.others.publish,
            call=self.others.call,
            run_id=f"run-{self._runs}",
            trace_id=f"{self._runs:032x}",
            log=lambda message, /: log.append(str(message)),
        )
        call = json.loads(json.dumps(dict(given or {}), allow_nan=False))
        with (
            _importable(self.root),
            contextlib.chdir(folder / "tmp"),
            self.network.in_place(),
        ):
            result = self._checked(self._function()(call, context))
        if self.network.unanswered:
            missing = ", ".join(self.network.unanswered)
            raise AssertionError(f"the test gives no answer to {missing}: plugin.network.answer")
        _, hidden = schema.split(whole)
        return Run(
            result=result,
            log=log,
            events=self.others.events,
            files={path.name: path for path in sorted(context.out.iterdir()) if path.is_file()},
            granted=frozenset(granted),
            used=frozenset(self._used(granted)),
            refused=tuple(self._refused()),
            secrets={name: str(value) for name, value in hidden.items()},
        )

    def ask(
        self,
        method: str,
        target: str,
        *,
        body: bytes | str | Any = b"",
        headers: Mapping[str, str] | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> Response:
        """What a service answers to one request; a body that is no text is sent as JSON."""
        data = body.encode() if isinstance(body, str) else body
        named = {name.lower(): text for name, text in (headers or {}).items()}
        if not isinstance(data, bytes):
            data = json.dumps(body).encode()
            named.setdefault("content-type", "application/json")
        answers: list[Response] = []

        def serve(handle: Handle) -> None:
            answers.append(answer(handle, Request(method.upper(), target, named, data)))

        self._serve = serve
        try:
            self.run(config=config)
        finally:
            self._serve = _not_a_service
        return answers[0]

    def run_example(self, name: str) -> Run:
        """An example of the manifest; each member of its `output` has to be equal.

        Raises: KeyError, AssertionError, and what `run` raises.
        """
        example = {one.name: one for one in self.manifest.examples}[name]
        files = {Path(path).name: self.root / path for path in example.files}
        run = self.run(example.input, config=example.configuration, files=files)
        for key, value in (example.output or {}).items():
            found = run.result.get(key) if isinstance(run.result, dict) else run.result
            if found != value:
                raise AssertionError(f"example {name}: {key} is {found!r}, not {value!r}")
        return run

    def _folder(self) -> Path:
        self._runs += 1
        folder = self._work / str(self._runs)
        for name in ("in", "out", "tmp"):
            (folder / name).mkdir(parents=True)
        return folder

    def _function(self) -> Any:
        module, _, name = self.manifest.entry_point.partition(":")
        return getattr(importlib.import_module(module), name)

    def _checked(self, result: Any) -> Any:
        text = json.dumps(result, ensure_ascii=False, allow_nan=False)
        limit = self.manifest.limits.result_bytes
        if len(text) > limit:
            raise OverflowError(f"the result has {len(text):,} bytes, more than {limit:,}")
        return json.loads(text)

    def _used(self, granted: Grants) -> Iterator[str]:
        yield from self.network.used
        yield from self.others.used
        if self.storage.is_used:
            yield f"storage:{granted.storage_bytes}"
        # One that is read needs no asking for.
        yield from (key for key in granted if key.startswith("secrets:") and "@" not in key)

    def _refused(self) -> Iterator[str]:
        yield from self.network.refused
        yield from self.others.refused
        if self.storage.is_refused:
            yield "storage"


def _withheld(
    manifest: Manifest, whole: Mapping[str, Any], granted: Grants
) -> tuple[dict[str, Any], tuple[Held, ...]]:
    """The configuration with placeholders for secrets that the broker sends."""
    given, held = dict(whole), []
    destinations = dict(granted.held)
    for asked in manifest.permissions.secrets:
        value = whole.get(asked.name)
        if asked.to is not None and isinstance(value, str) and value:
            given[asked.name] = f"heimnetz-secret-{asked.name}-{secrets.token_hex(12)}"
            key = f"secrets:{asked.name}@{asked.to}"
            held.append(Held(given[asked.name], value, key, destinations.get(asked.name)))
    return given, tuple(held)


def _not_a_service(_handle: Handle) -> None:
    raise AssertionError("the plugin serves: ask it with plugin.ask")


@contextlib.contextmanager
def _importable(root: Path) -> Iterator[None]:
    """The folders that the runner searches, first."""
    folders = [str(folder) for folder in (root / "src", root) if folder.is_dir()]
    sys.path[:0] = folders
    try:
        yield
    finally:
        for folder in folders:
            sys.path.remove(folder)


def _placed(files: Mapping[str, bytes | str | Path], folder: Path) -> dict[str, Path]:
    placed = {}
    for name, content in files.items():
        path = folder / name
        if isinstance(content, Path):
            path.write_bytes(content.read_bytes())
        else:
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        path.chmod(0o444)
        placed[name] = path
    return placed
