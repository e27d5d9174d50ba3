"""Pages for browsers: static files that need no server, no other host and no script to be read."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from heimnetz_docs import markup
from heimnetz_docs.guides import Guide
from heimnetz_docs.model import Block, Care, Cell, Entry, Group, Page, Prose, Section
from heimnetz_docs.renderers import viewer
from heimnetz_docs.text import visible

STATIC = "_static"


def version(page: Page, care: Care) -> tuple[bytes, bytes]:
    """The page in the version's own directory, and the one above, where the latest is found."""
    shown: dict[int, Markup] = {}

    def prose(block: Prose, here: str) -> Markup:
        if care is Care.PLAIN:
            return Markup(markup.plain_html(block))  # noqa: S704 - escaped
        if block.images:
            images = {path: here + place for path, place in block.images.items()}
            return Markup(markup.to_html(replace(block, images=images)))  # noqa: S704 - sanitised
        if id(block) not in shown:
            shown[id(block)] = Markup(markup.to_html(block))  # noqa: S704 - sanitised
        return shown[id(block)]

    return (
        _version(page, prose, root="../../", here="", up="../"),
        _version(page, prose, root="../", here=f"{page.version}/", up=""),
    )


def interface(page: Page, document: Mapping[str, Any]) -> bytes:
    """The OpenAPI document for people, in the version's own directory."""
    return _render(
        "interface.html.j2",
        root="../../",
        up="../",
        page=page,
        sections=viewer.sections(document),
        prose=None,
    )


def versions(entries: Sequence[Entry], latest: Entry) -> bytes:
    return _render("versions.html.j2", root="../", plugin=latest, entries=entries)


def site(plugins: Sequence[Entry], guides: Sequence[Guide]) -> bytes:
    return _render(
        "site.html.j2",
        root="",
        plugins=plugins,
        guides=[guide for guide in guides if not guide.folder],
    )


def guide(item: Guide, guides: Sequence[Guide]) -> bytes:
    depth = item.path.count("/")
    body = markup.to_html(item.prose)
    return _render(
        "guide.html.j2",
        root="../" * (depth + 1),
        base="../" * depth,
        guide=item,
        groups=_by_folder(guides),
        body=Markup(body),  # noqa: S704 - sanitised
    )


def static_files() -> dict[str, bytes]:
    """Style sheet, script and icon, which every page links to."""
    folder = files("heimnetz_docs") / "static"
    return {
        f"{STATIC}/{item.name}": item.read_bytes() for item in folder.iterdir() if item.is_file()
    }


def _version(
    page: Page, prose: Callable[[Prose, str], Markup], *, root: str, here: str, up: str
) -> bytes:
    return _render(
        "version.html.j2",
        root=root,
        up=up,
        page=page,
        prose=lambda block: prose(block, here),
        here=here,
        has_voice={section.anchor: _has_prose(section) for section in page.sections},
    )


def _has_prose(section: Section) -> bool:
    return any(isinstance(block, Prose) for block in _flat(section.blocks))


def _flat(blocks: Sequence[Block]) -> Iterator[Block]:
    for block in blocks:
        yield block
        if isinstance(block, Group):
            yield from _flat(block.blocks)


def _by_folder(guides: Sequence[Guide]) -> Mapping[str, list[Guide]]:
    groups: dict[str, list[Guide]] = {}
    for item in guides:
        groups.setdefault(item.folder, []).append(item)
    return dict(sorted(groups.items()))


def _render(template: str, **values: Any) -> bytes:
    text: str = (
        _environment().get_template(template).render(static=values["root"] + STATIC, **values)
    )
    return text.encode("utf-8", "replace")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("heimnetz_docs"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["visible"] = visible
    environment.tests["kind"] = lambda block, name: type(block).__name__ == name
    environment.globals["grade_tone"] = lambda letter: _GRADE_TONES.get(letter, "danger")
    environment.globals["state_tone"] = lambda state: _STATE_TONES.get(state, "warning")
    environment.globals["Cell"] = Cell
    return environment


_GRADE_TONES = {"A": "good", "B": "good", "C": "warning", "D": "warning"}
_STATE_TONES = {
    "approved": "good",
    "rejected": "danger",
    "yanked": "danger",
    "quarantined": "danger",
}
