"""The platform's own documentation: Markdown files as pages that link to each other."""

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass

from heimnetz_docs import markup, text
from heimnetz_docs.model import Prose

FIRST = "index"


@dataclass(frozen=True, slots=True)
class Guide:
    """`path` is that of the page without its ending, with `/` for folders."""

    path: str
    title: str
    summary: str
    prose: Prose
    markdown: str

    @property
    def folder(self) -> str:
        return posixpath.dirname(self.path)


def read_guides(files: Mapping[str, bytes]) -> list[Guide]:
    """Guides in the order in which `index.md` links to them, the others after them by path."""
    texts = {
        path.removesuffix(".md"): text.decode(data)[0]
        for path, data in files.items()
        if path.endswith(".md")
    }
    order = [FIRST, *markup.links_of(texts.get(FIRST, ""))]
    rank = {path.removesuffix(".md"): at for at, path in reversed(list(enumerate(order)))}
    paths = sorted(texts, key=lambda path: (rank.get(path, len(rank)), path))
    return [_guide(path, texts) for path in paths]


def _guide(path: str, texts: Mapping[str, str]) -> Guide:
    markdown = texts[path]
    title, summary = markup.title_and_summary(markdown)
    here = posixpath.dirname(path)
    links = {}
    for other in texts:
        written = posixpath.relpath(f"{other}.md", here or ".")
        links[written] = posixpath.relpath(f"{other}.html", here or ".")
    prose = Prose(markup.without_title(markdown), "s", level=2, links=links)
    return Guide(path, text.line(title or path), text.line(summary, 300), prose, markdown)
