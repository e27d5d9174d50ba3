"""What the tests of a plugin for Node need: Node, the SDK, and the manifest as it can read it."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from heimnetz_cli.exits import Exit, Failure
from heimnetz_cli.output import note

if TYPE_CHECKING:
    from heimnetz_manifest import Manifest

#: Where the tests find the file of `facts_of`.
VARIABLE = "HEIMNETZ_MANIFEST"
SDK = Path("node_modules", "heimnetz-sdk")
OLDEST = 20
MAX_MANIFEST_BYTES = MAX_PACKAGE_BYTES = 1 << 20
_RUNTIME = re.compile(r"""^\s*["']?runtime["']?:\s*["']?node\b""", re.MULTILINE)
_TEST_FILE = re.compile(r".*[.\-_]test\.[cm]?js|test(-.*)?\.[cm]?js")
_ENDINGS = frozenset({".js", ".mjs", ".cjs"})
_SKIPPED = frozenset({"node_modules"})
_INSTALL = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
_MAX_COMPLAINT_LINES = 15


def is_for_node(manifest: Path) -> bool:
    """A manifest with mistakes is no obstacle: then its line says it."""
    from heimnetz_manifest import ManifestError, parse_manifest

    with manifest.open("rb") as stream:
        data = stream.read(MAX_MANIFEST_BYTES)
    try:
        return parse_manifest(data).runtime == "node"
    except ManifestError:
        return _RUNTIME.search(data.decode("utf-8", "replace")) is not None


def find_node() -> Path:
    """Raises: Failure."""
    found = shutil.which("node")
    if found is None:
        raise Failure(f"there is no Node on the PATH; {OLDEST} or newer is needed")
    done = subprocess.run([found, "--version"], capture_output=True, text=True, check=False)  # noqa: S603 - no word of anybody else's
    version = re.match(r"v(\d+)\.", done.stdout)
    if version is None or int(version[1]) < OLDEST:
        said = done.stdout.strip()[:40] or "nothing"
        raise Failure(f"{found} says that it is {said}; Node {OLDEST} or newer is needed")
    return Path(found)


def prepare(project: Path) -> Path:
    """Find Node, install what package.json names, often nothing, and put the SDK beside it.

    Raises: Failure.
    """
    node = find_node()
    if _has_dependencies(project / "package.json"):
        npm = shutil.which("npm")
        if npm is None:
            raise Failure("package.json has dependencies, and there is no npm on the PATH")
        note("installing what package.json names; scripts of packages are not run")
        how = "ci" if (project / "package-lock.json").is_file() else "install"
        done = subprocess.run(  # noqa: S603 - no shell, and words of ours
            [npm, how, *_INSTALL],
            cwd=project,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip().splitlines()[-_MAX_COMPLAINT_LINES:]
            lines = ["what package.json names cannot be installed", *(f"  {one}" for one in said)]
            raise Failure("\n".join(lines), Exit.UNAVAILABLE)
    place_sdk(project)
    return node


def place_sdk(project: Path) -> None:
    """The SDK of this very installation, anew; what the author linked there is the author's."""
    place = project / SDK
    if place.is_symlink():
        return
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    source = sdk_folder()
    shutil.copy(source / "package.json", place)
    shutil.copytree(source / "src", place / "src")


def sdk_folder() -> Path:
    """Part of an installed command; in the platform's repository, a neighbour of this one."""
    here = Path(__file__).parent
    installed = here / "node_sdk"
    return installed if installed.is_dir() else here.parents[2] / "sdk" / "node"


def has_tests(project: Path) -> bool:
    """Whether Node finds any by their names, or in a folder `test`."""
    for path in _files(project):
        if _TEST_FILE.fullmatch(path.name) or (
            path.parent.name == "test" and path.suffix in _ENDINGS
        ):
            return True
    return False


def facts_of(manifest: "Manifest") -> dict[str, Any]:
    """What the stand-in of the platform in the project's tests has to know of the manifest."""
    from heimnetz_manifest import Grants

    schema = manifest.configuration_schema
    document = schema.document
    is_open = "patternProperties" in document or document.get("additionalProperties", False)
    return {
        "entry_point": manifest.entry_point,
        "is_service": manifest.kind == "service",
        "grants": Grants.all_of(manifest.permissions).sorted(),
        "result_bytes": manifest.limits.result_bytes,
        "configuration": {
            "defaults": schema.defaults(),
            "known": None if is_open is not False else list(document.get("properties", {})),
            "required": list(document.get("required", ())),
            "secrets": list(schema.secrets),
            "withheld": [
                {"name": one.name, "to": str(one.to)}
                for one in manifest.permissions.secrets
                if one.to is not None
            ],
        },
        "endpoints": [
            {"method": one.method, "path": one.path, "input": one.input, "output": one.output}
            for one in manifest.endpoints
        ],
        "examples": [
            {
                "name": one.name,
                "input": one.input,
                "files": list(one.files),
                "configuration": one.configuration,
                "output": one.output,
            }
            for one in manifest.examples
        ],
    }


def _files(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.name.startswith(".") or path.name in _SKIPPED or path.is_symlink():
            continue
        if path.is_dir():
            yield from _files(path)
        else:
            yield path


def _has_dependencies(file: Path) -> bool:
    if not file.is_file():
        return False
    try:
        with file.open("rb") as stream:
            document = json.loads(stream.read(MAX_PACKAGE_BYTES))
    except (ValueError, RecursionError):
        raise Failure(f"{file} is no JSON", Exit.REFUSED_INPUT) from None
    if not isinstance(document, dict):
        raise Failure(f"{file} is no JSON object", Exit.REFUSED_INPUT)
    return bool(document.get("dependencies") or document.get("devDependencies"))
