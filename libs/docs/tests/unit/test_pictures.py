import pytest

from heimnetz_docs import pictures

SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"{attributes}>{inner}</svg>'


def svg(inner: str = "", attributes: str = "") -> bytes | None:
    found = pictures.harmless(SVG.format(inner=inner, attributes=attributes).encode())
    return None if found is None else found[1]


@pytest.mark.parametrize(
    ("data", "ending"),
    [
        (b"\x89PNG\r\n\x1a\n", "png"),
        (b"\xff\xd8\xff\xe0", "jpg"),
        (b"GIF89a", "gif"),
        (b"RIFF\0\0\0\0WEBP", "webp"),
    ],
)
def test_the_format_is_read_from_the_bytes(data, ending):
    found = pictures.harmless(data + b"\0" * 20)

    assert found is not None
    assert found[0] == ending


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html><script>x</script>",
        b"MZ",
        b"%PDF-1.7",
        b"\x89PNG\r\n\x1a\n" + b"\0" * 3_000_000,
    ],
)
def test_other_files_are_no_pictures(data):
    assert pictures.harmless(data) is None


def test_a_drawing_is_kept():
    kept = svg('<path d="M1 1h3" fill="red"/><text x="1">Hi</text>')

    assert kept is not None
    assert b'd="M1 1h3"' in kept
    assert b">Hi</" in kept


@pytest.mark.parametrize(
    "inner",
    [
        "<script>alert(1)</script>",
        '<g onclick="alert(1)"/>',
        '<a href="javascript:alert(1)"><text>x</text></a>',
        "<foreignObject><body xmlns='http://www.w3.org/1999/xhtml' onload='x'/></foreignObject>",
        '<image href="https://t.example/x.png"/>',
        '<use href="https://t.example/x.svg#a"/>',
        '<use xmlns:xlink="http://www.w3.org/1999/xlink" xlink:href="data:image/svg+xml,x"/>',
        "<style>@import url(https://t.example/x.css);</style>",
        '<rect style="background:url(https://t.example/x)"/>',
        '<rect fill="URL(https://t.example/x)"/>',
        '<set attributeName="onmouseover" to="alert(1)"/>',
        '<animate attributeName="href" values="javascript:alert(1)"/>',
        '<x:script xmlns:x="http://www.w3.org/2000/svg">alert(1)</x:script>',
        '<h:script xmlns:h="http://www.w3.org/1999/xhtml">alert(1)</h:script>',
    ],
)
def test_nothing_of_a_drawing_can_act_or_fetch(inner):
    kept = svg(inner)

    assert kept is not None
    for word in (b"script", b"alert", b"t.example", b"import", b"data:", b"onload", b"onclick"):
        assert word not in kept.lower()


@pytest.mark.parametrize(
    "data",
    [
        b'<!DOCTYPE svg [<!ENTITY a "b">]><svg xmlns="http://www.w3.org/2000/svg">&a;</svg>',
        '<svg xmlns="http://www.w3.org/2000/svg"/>'.encode("utf-16"),
        b"<svg><path/></svg>",
        b'<svg xmlns="http://www.w3.org/2000/svg"><g></svg>',
        b"<svg " + b"<g>" * 100_000,
    ],
)
def test_a_drawing_that_is_not_plain_svg_is_refused(data):
    assert pictures.harmless(data) is None


def test_at_most_fifty_pictures_are_copied():
    files = {f"{number}.gif": b"GIF89a" + bytes([number]) for number in range(60)}

    places, copies, missing = pictures.beside_page(files, files)

    assert len(places) == len(copies) == 50
    assert len(missing) == 10
