from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heimnetz_docs import markup
from heimnetz_docs.model import Prose

IMAGES = {"a.png": "img/1.png"}
LINKS = {"CHANGELOG.md": "#changelog", "guide.md": "guide.html"}


def html(markdown: str) -> str:
    return markup.to_html(Prose(markdown, "readme", 3, IMAGES, LINKS))


def markdown(text: str) -> str:
    return markup.to_markdown(Prose(text, "readme", 3, IMAGES, LINKS))


class Looker(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.bad: list[str] = []

    def handle_starttag(self, tag, attributes):
        if tag not in markup._TAGS:
            self.bad.append(tag)
        for name, value in attributes:
            if name.startswith("on") or name in {"style", "srcdoc", "formaction", "background"}:
                self.bad.append(name)
            if name == "href" and not (value or "").startswith(
                ("https://", "http://", "mailto:", "#", "guide.html")
            ):
                self.bad.append(f"{name}={value}")
            if name == "src" and value != "img/1.png":
                self.bad.append(f"{name}={value}")
            if name == "id" and not (value or "").startswith("readme-"):
                self.bad.append(f"{name}={value}")


@pytest.mark.parametrize(
    ("href", "kept"),
    [
        ("https://example.org/a?b#c", "https://example.org/a?b#c"),
        ("mailto:anna@example.org", "mailto:anna@example.org"),
        ("#Was ist neu", "#readme-was-ist-neu"),
        ("CHANGELOG.md", "#changelog"),
        ("./CHANGELOG.md", "#changelog"),
        ("guide.md#part", "guide.html#readme-part"),
        ("javascript:alert(1)", None),
        ("JaVaScRiPt:alert(1)", None),
        ("java\tscript:alert(1)", None),
        ("data:text/html,x", None),
        ("//evil.example/", None),
        ("/api/registry/v1/me", None),
        ("../../other/", None),
        ("http://", None),
        ("https://[broken", None),
        ("vbscript:x", None),
        ("file:///etc/passwd", None),
    ],
)
def test_links_lead_outside_by_http_or_stay_on_the_page(href, kept):
    assert markup.link_target(href, Prose("", "readme", 3, IMAGES, LINKS)) == kept


@pytest.mark.parametrize(
    "src", ["https://t.example/x.gif", "//t.example/x", "data:image/png;base64,AA", "../a.svg", ""]
)
def test_pictures_from_outside_the_package_are_not_shown(src):
    assert markup.image_target(src, Prose("", "readme", 3, IMAGES)) is None


def test_links_do_not_pass_on_who_is_reading():
    assert 'rel="noopener nofollow"' in html("[x](https://example.org)")


def test_headings_go_below_those_of_the_page_and_have_anchors_of_their_own():
    assert '<h3 id="readme-title">' in html("# Title\n\n## Part")
    assert '<h4 id="readme-part">' in html("# Title\n\n## Part")
    assert '<h3 id="readme-part">' in html("## Part")


def test_the_same_heading_twice_has_two_anchors():
    assert 'id="readme-part-2"' in html("# Part\n\n# Part")


def test_raw_html_is_kept_where_it_is_harmless():
    rendered = html("<details open><summary>More</summary>\n\ntext\n\n</details>")

    assert "<details" in rendered
    assert "<summary>More</summary>" in rendered


def test_the_look_of_the_page_cannot_be_borrowed():
    assert "class" not in html('<p class="mark good">approved</p> <span class="grade">A</span>')


def test_markdown_stays_markdown_and_loses_what_is_live():
    text = markdown(
        "# T\n\n| a | b |\n|---|---|\n| 1 | ~~2~~ |\n\n[x](https://e.org) ![p](https://t/x.gif) <b onclick=x>"
    )

    assert "### T" in text
    assert "| 1 | ~~2~~ |" in text
    assert "[x](https://e.org)" in text
    assert "[picture: p]" in text
    assert "\\<b onclick=x>" in text


def test_html_blocks_in_markdown_become_code():
    assert "```html" in markdown("<div>\n<script>x</script>\n</div>")


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("# Title\n\ntext", "text"),
        ("Title\n=====\n\ntext", "text"),
        ("text\n\n# Title", "text\n\n# Title"),
        ("## Part", "## Part"),
        ("", ""),
    ],
)
def test_a_leading_title_is_left_out(text, left):
    assert markup.without_title(text) == left


def test_bidirectional_characters_are_named_and_not_obeyed():
    assert "⟨U+202E⟩" in html("a\u202eb")


def test_text_cannot_leave_its_fence():
    fenced = markup.plain_markdown("```\nx\n````")

    assert fenced.startswith("`````text")
    assert fenced.endswith("`````")


PIECES = st.sampled_from(
    [
        *(
            "<script>",
            "</script>",
            "<img src=x onerror=alert(1)>",
            "<svg onload=alert(1)>",
            "javascript:alert(1)",
        ),
        *(
            "[x](",
            ")",
            "![",
            "](",
            "`",
            "```\n",
            "<a href='",
            "'>",
            '"',
            "<",
            ">",
            "&lt;",
            "\n\n",
            "# ",
            "> ",
            "- ",
        ),
        *(
            "<math>",
            "<style>",
            "<![CDATA[",
            "]]>",
            "<!--",
            "-->",
            "<iframe srcdoc=",
            "id=x ",
            "on",
            "a.png",
            "|",
            "\t",
        ),
        *(
            "<noscript>",
            "<template>",
            "<p title='",
            "<form>",
            "<base href=//e>",
            "&#x6a;avascript:",
            "\u0000",
            "<details ontoggle=x open>",
        ),
    ]
)


@settings(max_examples=400)
@given(st.lists(st.one_of(PIECES, st.text(max_size=8)), max_size=25).map("".join))
def test_no_text_makes_live_html(text):
    looker = Looker()

    looker.feed(html(text))

    assert looker.bad == []


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(PIECES, st.text(max_size=8)), max_size=15).map("".join))
def test_markdown_that_was_made_safe_stays_safe_wherever_it_is_rendered(text):
    from markdown_it import MarkdownIt

    looker = Looker()
    looker.feed(
        MarkdownIt("commonmark", {"html": False})
        .enable(["table", "strikethrough"])
        .render(markdown(text))
    )

    assert [bad for bad in looker.bad if bad.startswith(("src=", "href=")) and bad != "href="] == []
