import dataclasses
import json
from datetime import UTC, datetime

import pytest
from openapi_spec_validator import validate

from heimnetz_docs import (
    Care,
    Entry,
    Known,
    Subject,
    describe,
    entry_of,
    generate,
    generate_front,
    generate_site,
)

ANCHORS = [
    *("readme", "usage", "permissions", "configuration", "triggers", "limits", "examples"),
    *("http-api", "code", "changelog", "audit", "package"),
]


def test_the_same_input_gives_the_same_bytes(make_subject):
    assert generate(make_subject()) == generate(make_subject())


def test_a_version_has_a_page_for_people_and_for_programs(make_subject):
    files = generate(make_subject())

    assert {"index.html", "index.md", "index.json", "openapi.json"} <= files.keys()


def test_anchors_of_sections_never_change(make_subject):
    page = describe(make_subject())

    assert [section.anchor for section in page.sections] == ANCHORS


def test_html_and_markdown_tell_the_same_story(make_subject):
    files = generate(make_subject())

    for word in ("lamps.example.org:443", "Reads the lamps", "256 MiB", "0 6 * * *", "lamps"):
        assert word in files["index.html"].decode()
        assert (
            word.replace("*", r"\*") in files["index.md"].decode()
            or word in files["index.md"].decode()
        )


def test_json_has_the_facts_of_each_section(make_subject):
    document = json.loads(generate(make_subject())["index.json"])

    assert document["sections"]["permissions"] == [
        {"permission": "network:lamps.example.org:443", "reason": "Reads the lamps"}
    ]
    assert document["sections"]["audit"]["grade"] == "A"


def test_keywords_are_on_the_page(make_package, known):
    package = make_package()
    manifest = package.manifest.model_copy(update={"keywords": ["lamp", "smart-home"]})

    files = generate(Subject(dataclasses.replace(package, manifest=manifest), known))

    assert "lamp, smart-home" in files["index.html"].decode()
    assert json.loads(files["index.json"])["sections"]["package"]["keywords"] == [
        "lamp",
        "smart-home",
    ]


def test_openapi_is_valid_and_names_the_route(make_subject):
    document = json.loads(generate(make_subject())["openapi.json"])

    validate(document)
    assert "/api/sandbox/v1/plugins/lamp-report/runs" in document["paths"]


def test_a_secret_setting_is_marked(make_subject):
    html = generate(make_subject())["index.html"].decode()

    assert "token (secret)" in html
    assert "nested.depth" in html
    assert "must be given" in html


def test_the_authors_code_is_explained_from_its_docstrings(make_subject):
    html = generate(make_subject())["index.html"].decode()

    assert "def run(input: dict[str, Any], context: object) -&gt; dict[str, int]" in html
    assert "Count the lamps." in html


def test_pictures_of_the_package_are_copied_and_shown(make_subject):
    files = generate(make_subject())
    pictures = [path for path in files if path.startswith("img/")]

    assert len(pictures) == 1
    assert f'src="{pictures[0]}"' in files["index.html"].decode()
    assert f'src="1.0.0/{pictures[0]}"' in files["front.html"].decode()


def test_a_link_to_the_changelog_leads_to_its_section(make_subject):
    assert 'href="#changelog"' in generate(make_subject())["index.html"].decode()


@pytest.mark.parametrize(
    ("changes", "warning"),
    [
        ({"README.md": None}, "no README"),
        ({"README.md": b"\xff\xfe broken \x80"}, "not UTF-8"),
        ({"README.md": ""}, "is empty"),
        ({"README.md": "![x](https://tracker.example/p.gif)"}, "picture not in the package"),
        ({"README.md": "x" * 300_000}, "shown in part"),
        ({"src/lamp_report/main.py": "def run(:\n"}, "cannot be read as Python"),
        ({"src/lamp_report/main.py": "x = " + "-" * 100_000 + "1"}, "cannot be read as Python"),
    ],
)
def test_a_broken_text_gives_a_page_with_a_warning(make_subject, changes, warning):
    subject = make_subject(changes)

    page = describe(subject)

    assert any(warning in text for text in page.warnings)
    assert b"things the author should repair" in generate(subject)["index.html"] or (
        b"thing the author should repair" in generate(subject)["index.html"]
    )


def test_plain_care_shows_the_text_as_it_is_written(make_subject):
    files = generate(make_subject({"README.md": "**bold** <b>x</b>"}, care=Care.PLAIN))

    assert "**bold** &lt;b&gt;x&lt;/b&gt;" in files["index.html"].decode()
    assert "took too long" in files["index.html"].decode()


def test_what_changed_starts_with_permissions(make_package):
    old, new = make_package(permissions="  network: []"), make_package(version="1.1.0")
    subject = Subject(new, Known("approved", previous=old))

    page = describe(subject)

    changes = next(section for section in page.sections if section.anchor == "changes")
    assert changes.facts["permissions_added"] == ["network:lamps.example.org:443"]
    assert any(tile.answer == "Asks for 1 more" for tile in page.tiles)


def test_a_version_without_audit_says_so(make_package):
    html = generate(Subject(make_package(), Known("submitted")))["index.html"].decode()

    assert "not been audited yet" in html


def test_the_front_page_is_the_latest_version(make_subject, known):
    subject = make_subject()
    files = generate(subject)
    newest = entry_of(describe(subject), known)

    front = generate_front(
        [dataclasses.replace(newest, version="1.1.0-rc.1"), newest], newest, files
    )

    assert front["index.html"] == files["front.html"]
    assert b'href="1.1.0-rc.1/index.html"' in front["versions.html"]
    assert front["latest.js"] == b'window.heimnetzLatest="1.0.0";\n'


def test_the_site_lists_every_plugin_and_can_be_searched_without_a_server(known):
    entry = Entry(
        "lamp-report",
        "1.0.0",
        "Lamp report",
        "Counts </script> lamps",
        "approved",
        "A",
        datetime(2026, 1, 1, tzinfo=UTC),
    )

    site = generate_site([entry])

    assert b'href="lamp-report/index.html"' in site["index.html"]
    index = site["_static/search-index.js"].decode()
    assert index.startswith("window.heimnetzSearch=")
    assert "</script>" not in index


def test_an_empty_site_says_what_to_do_next():
    assert b"heimnetz publish" in generate_site([])["index.html"]


def test_no_page_asks_another_host_for_anything(make_subject):
    files = generate(make_subject()) | generate_site([])
    texts = [
        data.decode() for path, data in files.items() if path.endswith((".html", ".css", ".js"))
    ]

    for text in texts:
        assert "//cdn" not in text
        assert 'src="http' not in text
        assert "@import" not in text
        assert "url(" not in text
