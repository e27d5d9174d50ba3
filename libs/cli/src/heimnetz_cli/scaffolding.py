"""A new plugin's directory from a template: whole, or not there at all."""

import json
import re
import shutil
import subprocess
import tempfile
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from heimnetz_cli.exits import Exit, Failure

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent / "templates"
SCHEMA_FILE = ".vscode/manifest.schema.json"
MAX_AUTHOR_CHARACTERS = 120
# A room for all templates and one for each; in it, what all languages share and what one has.
_COMMON, _ANY = "common", "any"
_ENDING = ".jinja"
# Words that YAML readers of other make take for something else than a text.
_NOT_PLAIN = frozenset({"true", "false", "yes", "no", "on", "off", "y", "n", "null"})


class Template(StrEnum):
    BASIC = "basic"
    ADVANCED = "advanced"
    API = "api"
    SECURITY = "security"


class Language(StrEnum):
    PYTHON = "python"
    NODE = "node"


_FIRST_CHANGES = {
    Template.BASIC: "Counts the words of texts and files.",
    Template.ADVANCED: "Announces when frost is on its way, and when it is over.",
    Template.API: "A shopping list, as an HTTP service.",
    Template.SECURITY: "Finds passwords asked for without encryption, and versions shown.",
}


def scaffold(
    name: str, template: Template, language: Language, folder: Path, author: str
) -> list[str]:
    """Make `folder/name`; the paths of its files, in order.

    Raises: Failure, and OSError where nothing can be written; then nothing is left behind.
    """
    plugin = _checked(name)
    target = folder / plugin
    if target.exists() or target.is_symlink():
        raise Failure(f"{target} is there already; nothing was changed", Exit.CONFLICT)
    files = render(plugin, template, language, author)
    # Made beside the target, so that the last step is one rename.
    made = Path(tempfile.mkdtemp(prefix=f".{plugin}.", dir=folder))
    try:
        for path, content in files.items():
            place = made / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
        made.chmod(0o755)
        made.rename(target)
    except OSError as error:
        if target.exists():
            raise Failure(f"{target} is there already", Exit.CONFLICT) from error
        raise
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return sorted(files)


def render(name: str, template: Template, language: Language, author: str) -> dict[str, bytes]:
    """Every file of a new plugin by its path.

    Raises: Failure, when the author's name cannot stand in a manifest.
    """
    from heimnetz_manifest import InvalidManifest, parse_manifest

    environment = _environment()
    values = {
        "name": name,
        "title": _title(name),
        "author": author,
        "language": language.value,
        "template": template.value,
        "first_change": _FIRST_CHANGES[template],
    }
    files = {SCHEMA_FILE: schema_text().encode()}
    for room in (_COMMON, template.value):
        for part in (_ANY, language.value):
            files |= _render_part(environment, f"{room}/{part}", values)
    try:
        parse_manifest(files["plugin.yaml"])
    except InvalidManifest as error:
        raise Failure(f"the author's name cannot be used: {error.detail}") from None
    return files


def _render_part(environment: "Environment", part: str, values: dict[str, str]) -> dict[str, bytes]:
    files, root = {}, TEMPLATES / part
    for source in sorted(root.rglob("*")):
        if source.is_dir():
            continue
        inner = source.relative_to(root).as_posix()
        path = re.sub(r"(^|/)dot_", r"\1.", inner.removesuffix(_ENDING))
        if inner.endswith(_ENDING):
            files[path] = environment.get_template(f"{part}/{inner}").render(values).encode()
        else:
            files[path] = source.read_bytes()
    return files


def _checked(name: str) -> str:
    from heimnetz_manifest import InvalidName, PluginName
    from heimnetz_manifest.names import is_reserved

    try:
        plugin = str(PluginName(name))
    except InvalidName as error:
        raise Failure(error.detail) from None
    if is_reserved(plugin):
        raise Failure(f"the name {plugin} is reserved for the platform; choose another")
    return plugin


def schema_text() -> str:
    """The manifest's schema, as the editor reads it."""
    from heimnetz_manifest import manifest_schema

    return json.dumps(manifest_schema(), indent=2, ensure_ascii=False) + "\n"


def find_author() -> str:
    """The name that Git knows, or one to be replaced."""
    git = shutil.which("git")
    if git is not None:
        done = subprocess.run(  # noqa: S603 - no word of anybody else's
            [git, "config", "user.name"], capture_output=True, text=True, check=False
        )
        name = done.stdout.strip()
        if name.isprintable() and 0 < len(name) <= MAX_AUTHOR_CHARACTERS:
            return name
    return "Your Name"


def _title(name: str) -> str:
    return name.replace("-", " ").strip().capitalize() or name


def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        autoescape=False,  # noqa: S701 - source code and Markdown; values are quoted where they stand
        keep_trailing_newline=True,
        loader=FileSystemLoader(TEMPLATES),
        trim_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters["scalar"] = _scalar
    environment.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
    return environment


def _scalar(text: str) -> str:
    is_plain = re.fullmatch(r"[a-z][a-z0-9-]*", text) and text not in _NOT_PLAIN
    return text if is_plain else json.dumps(text)
