import re
from pathlib import Path

from heimnetz_docs import generate_guides, read_guides

OWN = Path(__file__).parents[4] / "docs"

FILES = {
    "index.md": b"# Start\n\nRead [install](install.md), then [first](first-plugin.md).\n",
    "install.md": b"# Installing\n\nHow to *begin*. See [why](adr/0001-why.md#status).\n\n## Update\n\ntext\n",
    "first-plugin.md": b"# First plugin\n\ntext\n",
    "adr/0001-why.md": b"# Why\n\n## Status\n\nBack to [install](../install.md).\n",
    "picture.png": b"x",
}


def test_guides_are_in_the_order_of_the_index():
    assert [guide.path for guide in read_guides(FILES)] == [
        "index",
        "install",
        "first-plugin",
        "adr/0001-why",
    ]


def test_guides_link_to_each_other_as_pages():
    pages = generate_guides(read_guides(FILES))

    assert b'href="adr/0001-why.html#s-status"' in pages["install.html"]
    assert b'href="../install.html"' in pages["adr/0001-why.html"]
    assert b'id="s-update"' in pages["install.html"]


def test_guides_are_there_as_they_are_written_too():
    pages = generate_guides(read_guides(FILES))

    assert pages["adr/0001-why.md"] == FILES["adr/0001-why.md"]


def test_a_guide_is_summarised_by_its_first_paragraph():
    guide = read_guides(FILES)[1]

    assert (guide.title, guide.summary) == ("Installing", "How to begin. See why.")


def test_a_guide_in_a_folder_finds_the_style_sheet():
    assert (
        b'href="../../_static/docs.css"' in generate_guides(read_guides(FILES))["adr/0001-why.html"]
    )


def _links(path: Path) -> list[Path]:
    # What stands in code is no link.
    text = re.sub(r"```.*?```|`[^`]*`", "", path.read_text(), flags=re.DOTALL)
    found = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text)
    return [(path.parent / href).resolve() for href in found if "://" not in href]


def test_every_link_of_the_platforms_own_guides_leads_to_a_file():
    # The start page is made by the generator.
    made = {OWN.parent / "index.html"}

    broken = [
        (path.relative_to(OWN).as_posix(), target.name)
        for path in OWN.rglob("*.md")
        for target in _links(path)
        if not target.exists() and target not in made
    ]

    assert broken == []


def test_every_guide_is_named_on_the_start_page_of_the_guides():
    named = set(_links(OWN / "index.md"))

    assert [path.name for path in OWN.glob("*.md") if path not in named] == ["index.md"]


def test_every_anchor_of_the_guides_is_there():
    files = {path.relative_to(OWN).as_posix(): path.read_bytes() for path in OWN.rglob("*.md")}
    pages = {path: data.decode() for path, data in generate_guides(read_guides(files)).items()}

    missing = [
        (path, href, anchor)
        for path, page in pages.items()
        for href, anchor in re.findall(r'href="([^"#:]*\.html)?#([^"]+)"', page)
        if f'id="{anchor}"' not in pages[_beside(path, href)]
    ]

    assert missing == []


def _beside(path: str, href: str) -> str:
    if not href:
        return path
    return (OWN / path).parent.joinpath(href).resolve().relative_to(OWN).as_posix()
