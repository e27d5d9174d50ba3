"""Pages as Markdown, for people who read in a terminal or keep pages in a repository."""

import re
from collections.abc import Iterator

from heimnetz_docs import markup
from heimnetz_docs.model import (
    Block,
    Bullets,
    Care,
    Cell,
    Code,
    Facts,
    Group,
    Look,
    Notice,
    Page,
    Paragraph,
    Prose,
    Table,
)
from heimnetz_docs.text import visible

_SPECIAL = re.compile(r"([\\`*_\[\]<>#|~&!])")


def version(page: Page, care: Care) -> bytes:
    parts = [f"# {_plain(page.title)}", _plain(page.summary)]
    parts.append(" · ".join(_plain(mark.text) for mark in page.marks))
    if page.grade:
        parts.append(f"Audit: grade **{_plain(page.grade.letter)}**, score {page.grade.score:g}")
    parts += [f"> **Warning:** {_plain(warning)}" for warning in page.warnings]
    for section in page.sections:
        parts.append(f"## {_plain(section.title)}")
        for block in section.blocks:
            parts += _block(block, care, 3)
    parts.append(f"---\n\nPackage `{page.sha256}`")
    return ("\n\n".join(part for part in parts if part) + "\n").encode("utf-8", "replace")


def _block(block: Block, care: Care, level: int) -> Iterator[str]:
    match block:
        case Paragraph(cells):
            yield _cells(cells)
        case Prose():
            plain = care is Care.PLAIN
            yield (
                markup.plain_markdown(visible(block.markdown))
                if plain
                else markup.to_markdown(block)
            )
        case Code(text, language, caption):
            if caption:
                yield _plain(caption) + ":"
            yield markup.plain_markdown(visible(text)).replace(
                "```text", f"```{language or 'text'}", 1
            )
        case Table(caption, columns, rows):
            yield f"*{_plain(caption)}*"
            lines = [columns, ("---",) * len(columns)]
            body = [[_cell(cell) for cell in row] for row in rows]
            yield "\n".join(f"| {' | '.join(line)} |" for line in [*lines, *body])
        case Facts(items):
            yield "\n".join(f"- {_plain(name)}: {_cell(cell)}" for name, cell in items)
        case Notice(tone, text):
            yield f"> **{tone.value.capitalize()}:** {_plain(text)}"
        case Bullets(items):
            yield "\n".join(f"- {_cells(item)}" for item in items)
        case Group(_, title, blocks):
            yield f"{'#' * level} {_cell(title)}"
            for inner in blocks:
                yield from _block(inner, care, level + 1)


def _cells(cells: tuple[Cell, ...]) -> str:
    return "".join(_cell(cell) for cell in cells)


def _cell(cell: Cell) -> str:
    text = _code(cell.text) if cell.look is Look.CODE else _plain(cell.text)
    return f"[{text}]({cell.href})" if cell.href else text


def _code(text: str) -> str:
    flat = " ".join(visible(text).split("\n")).replace("|", "\\|")
    longest = max((len(run) for run in re.findall(r"`+", flat)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if flat.startswith("`") or flat.endswith("`") else ""
    return f"{fence}{pad}{flat}{pad}{fence}" if flat else ""


def _plain(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", " ".join(visible(text).split("\n")))
