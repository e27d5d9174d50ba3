from heimnetz_docs import generate_guides, read_guides

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


def test_a_guide_is_summarised_by_its_first_paragraph():
    guide = read_guides(FILES)[1]

    assert (guide.title, guide.summary) == ("Installing", "How to begin. See why.")


def test_a_guide_in_a_folder_finds_the_style_sheet():
    assert (
        b'href="../../_static/docs.css"' in generate_guides(read_guides(FILES))["adr/0001-why.html"]
    )
