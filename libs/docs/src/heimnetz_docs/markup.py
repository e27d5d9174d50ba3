"""Markdown of strangers as safe HTML and as safe Markdown.

HTML is sanitised after rendering, by an allow-list (nh3); Markdown is made safe in its tokens.
Links leave with `rel="noopener nofollow"`, pictures come from the package or not at all.
"""

import html
import posixpath
import re
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from itertools import pairwise
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

import nh3
from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdformat.renderer import MDRenderer, RenderContext, RenderTreeNode

from heimnetz_docs.model import Prose
from heimnetz_docs.text import slug, visible

_PARSER = MarkdownIt("commonmark", {"html": True, "maxNesting": 16}).enable(
    ["table", "strikethrough"]
)
_TAGS = {
    *("a", "abbr", "b", "blockquote", "br", "caption", "cite", "code", "dd", "del"),
    *("details", "div", "dl", "dt", "em", "figcaption", "figure", "h2", "h3", "h4", "h5"),
    *("h6", "hr", "i", "img", "ins", "kbd", "li", "mark", "ol", "p", "pre", "q", "s"),
    *("samp", "small", "span", "strong", "sub", "summary", "sup", "table", "tbody", "td"),
    *("tfoot", "th", "thead", "tr", "u", "ul", "var"),
}
_DROPPED_WITH_CONTENT = {
    *("script", "style", "iframe", "object", "embed", "noscript", "template", "textarea"),
    *("title", "svg", "math", "select", "xmp", "noembed", "noframes", "plaintext"),
}
_ATTRIBUTES: dict[str, set[str]] = {
    "*": {"title", "lang", "dir"},
    "a": {"href", "id"},
    "img": {"src", "alt", "width", "height"},
    "ol": {"start"},
    "details": {"open"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan"},
    **{f"h{level}": {"id"} for level in range(2, 7)},
}
_NUMBERS = {"width", "height", "start", "colspan", "rowspan"}
_ALIGNMENTS = {"text-align:right": "right", "text-align:center": "center"}
_HEADING_TAG = re.compile(r"<(/?)h([1-6])(?=[\s/>])", re.IGNORECASE)
_EMPTY_ANCHOR = "#"


def to_html(prose: Prose) -> str:
    tokens = _PARSER.parse(visible(prose.markdown))
    _demote(tokens, prose.level)
    for token in _walk(tokens):
        token.children = [_shown_picture(child, prose) for child in token.children or []] or None
    for token in _walk(tokens):
        if token.type in {"html_block", "html_inline"}:
            token.content = _demote_tags(token.content, prose.level)
        elif token.type in {"td_open", "th_open"} and token.attrs.get("style") in _ALIGNMENTS:
            token.attrs = {"class": _ALIGNMENTS[str(token.attrs["style"])]}
    rendered = _PARSER.renderer.render(tokens, _PARSER.options, {})
    return nh3.clean(
        str(rendered),
        tags=_TAGS,
        clean_content_tags=_DROPPED_WITH_CONTENT,
        attributes=_ATTRIBUTES,
        attribute_filter=_attribute_filter(prose),
        set_tag_attribute_values={"pre": {"tabindex": "0"}},
        allowed_classes={"td": {"right", "center"}, "th": {"right", "center"}},
        link_rel="noopener nofollow",
        url_schemes={"http", "https", "mailto"},
        id_prefix=prose.prefix + "-",
    )


def plain_html(prose: Prose) -> str:
    return f'<pre class="plain" tabindex="0">{html.escape(visible(prose.markdown))}</pre>'


def to_markdown(prose: Prose) -> str:
    tokens = _PARSER.parse(visible(prose.markdown))
    _demote(tokens, prose.level)
    for token in _walk(tokens):
        if token.children:
            token.children = _safe_inline(token.children, prose)
        if token.type == "html_block":
            token.type, token.tag, token.info, token.markup = "fence", "code", "html", "```"
    options: MutableMapping[str, Any] = {"mdformat": {}, "parser_extension": [_Tables]}
    return MDRenderer().render(tokens, options, {}).strip()


def plain_markdown(text: str) -> str:
    """Any text as a fenced block that it cannot leave."""
    longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}text\n{text}\n{fence}"


def link_target(href: str, prose: Prose) -> str | None:
    """Where a link of the author may lead: outside by http(s) or mail, or inside the page."""
    # As a browser reads it: https://url.spec.whatwg.org/#url-parsing, steps 1 to 3.
    href = re.sub("[\t\r\n]", "", href).strip("".join(map(chr, range(33))))
    try:
        parts = urlsplit(href)
    except ValueError:
        return None
    if parts.scheme or parts.netloc:
        is_web = parts.scheme in {"http", "https"} and bool(parts.hostname)
        return href if is_web or parts.scheme == "mailto" else None
    return _inner_target(parts, prose)


def _inner_target(parts: SplitResult, prose: Prose) -> str | None:
    if not parts.path:
        return f"#{prose.prefix}-{slug(unquote(parts.fragment))}" if parts.fragment else None
    target = prose.links.get(_normal(parts.path))
    if target is None or target.startswith("#") or not parts.fragment:
        return target
    return f"{target}#{prose.prefix}-{slug(unquote(parts.fragment))}"


def image_target(src: str, prose: Prose) -> str | None:
    """The copy of a picture beside the page, or None for one that is not in the package."""
    path = image_path(src)
    return prose.images.get(path) if path else None


def image_path(src: str) -> str | None:
    try:
        parts = urlsplit(src.strip())
    except ValueError:
        return None
    if parts.scheme or parts.netloc or not parts.path:
        return None
    return _normal(parts.path)


def images_of(markdown: str) -> list[str]:
    """Every picture that the text wants to show, as written, in order."""
    wanted = [
        str(token.attrs.get("src", ""))
        for token in _walk(_PARSER.parse(visible(markdown)))
        if token.type == "image"
    ]
    found: list[str] = []
    if "<img" in markdown.lower():

        def remember(tag: str, attribute: str, value: str) -> str:
            if tag == "img" and attribute == "src":
                found.append(value)
            return value

        nh3.clean(
            _PARSER.render(markdown),
            attributes={"img": {"src"}},
            attribute_filter=remember,
            url_schemes={"http", "https", "data"},
        )
    return list(dict.fromkeys([*wanted, *found]))


def without_title(markdown: str) -> str:
    """The text without a leading level-1 heading, which would repeat the page's own."""
    tokens = _PARSER.parse(markdown)
    first = tokens[0] if tokens else None
    if first is None or first.type != "heading_open" or first.tag != "h1" or first.map is None:
        return markdown
    return "\n".join(markdown.split("\n")[first.map[1] :]).lstrip("\n")


def links_of(markdown: str) -> list[str]:
    """Paths that the text links to, in order."""
    tokens = _walk(_PARSER.parse(markdown))
    hrefs = [str(token.attrs.get("href", "")) for token in tokens if token.type == "link_open"]
    return [_normal(href.partition("#")[0]) for href in hrefs if "://" not in href]


def title_and_summary(markdown: str) -> tuple[str, str]:
    """The text's first heading and first paragraph, without their markup."""
    tokens = _PARSER.parse(markdown)
    title = summary = ""
    for before, token in pairwise(tokens):
        if before.type == "heading_open" and not title:
            title = _text(token.children or [])
        elif before.type == "paragraph_open" and before.level == 0:
            summary = _text(token.children or [])
            break
    return title, summary


def _normal(path: str) -> str:
    return posixpath.normpath(unquote(path)).lstrip("/")


def _walk(tokens: Sequence[Token]) -> list[Token]:
    flat: list[Token] = []
    for token in tokens:
        flat.append(token)
        if token.children:
            flat.extend(_walk(token.children))
    return flat


def _demote(tokens: Sequence[Token], level: int) -> None:
    """Set headings below the page's own, the topmost of the text at `level`, and name them."""
    present = [int(token.tag[1]) for token in tokens if token.type == "heading_open"]
    shift = level - min(present, default=level)
    seen: dict[str, int] = {}
    for index, token in enumerate(tokens):
        if token.type not in {"heading_open", "heading_close"}:
            continue
        token.tag = f"h{max(2, min(6, int(token.tag[1]) + shift))}"
        token.markup = "#" * int(token.tag[1])
        if token.type == "heading_open":
            name = slug(_text(tokens[index + 1].children or []))
            seen[name] = seen.get(name, 0) + 1
            token.attrs = {"id": name if seen[name] == 1 else f"{name}-{seen[name]}"}


def _text(children: Sequence[Token]) -> str:
    kinds = {"text": None, "code_inline": None, "softbreak": " ", "hardbreak": " "}
    return "".join(kinds[token.type] or token.content for token in children if token.type in kinds)


def _demote_tags(source: str, level: int) -> str:
    return _HEADING_TAG.sub(
        lambda match: f"<{match[1]}h{min(6, int(match[2]) + level - 1)}", source
    )


def _attribute_filter(prose: Prose) -> Callable[[str, str, str], str | None]:
    def keep(_tag: str, attribute: str, value: str) -> str | None:
        if attribute == "href":
            return link_target(value, prose)
        if attribute == "src":
            return image_target(value, prose)
        if attribute == "id":
            return slug(value)
        if attribute in _NUMBERS:
            return value if value.isascii() and value.isdigit() and len(value) <= 4 else None
        if attribute == "dir":
            return value if value in {"ltr", "rtl", "auto"} else None
        return value

    return keep


def _safe_inline(children: Sequence[Token], prose: Prose) -> list[Token]:
    safe: list[Token] = []
    for token in children:
        if token.type == "image":
            token = _shown_picture(token, prose)  # noqa: PLW2901
            if token.type == "image":
                token.attrs = {"src": image_target(str(token.attrs["src"]), prose) or ""}
        elif token.type == "html_inline":
            token = Token("text", "", 0, content=token.content)  # noqa: PLW2901
        elif token.type == "link_open":
            target = link_target(str(token.attrs.get("href", "")), prose)
            token.attrs = {"href": target or _EMPTY_ANCHOR}
            token.info = token.markup = ""
        if token.type == "text" and safe and safe[-1].type == "text":
            safe[-1].content += token.content
        else:
            safe.append(token)
    return safe


def _shown_picture(token: Token, prose: Prose) -> Token:
    """The token, or words in place of a picture that is not shown."""
    if token.type != "image" or image_target(str(token.attrs.get("src", "")), prose):
        return token
    return Token("text", "", 0, content=f"[picture: {token.content}]")


def _table(node: RenderTreeNode, context: RenderContext) -> str:
    rows = [
        [cell.children[0].render(context).replace("|", "\\|") for cell in row.children]
        for part in node.children
        for row in part.children
    ]
    head, body = rows[0], rows[1:]
    lines = [head, ["---"] * len(head), *body]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _strikethrough(node: RenderTreeNode, context: RenderContext) -> str:
    return "~~" + "".join(child.render(context) for child in node.children) + "~~"


class _Tables:
    """What mdformat's core does not write: tables and struck text."""

    RENDERERS: Mapping[str, Any] = {"table": _table, "s": _strikethrough}
    POSTPROCESSORS: Mapping[str, Any] = {}
