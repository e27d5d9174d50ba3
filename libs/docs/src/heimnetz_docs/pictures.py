"""Pictures of a package: only what can do nothing but be seen is copied beside a page."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from xml.etree import ElementTree as ET

from heimnetz_docs import markup

MAX_BYTES = 2 * 1024 * 1024
MAX_PICTURES = 50

_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpg"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
)
_SVG = "{http://www.w3.org/2000/svg}"
_XLINK_HREF = "{http://www.w3.org/1999/xlink}href"
_SVG_ELEMENTS = {
    *("svg", "g", "path", "rect", "circle", "ellipse", "line", "polyline", "polygon"),
    *("text", "tspan", "title", "desc", "defs", "stop", "symbol", "use", "linearGradient"),
    *("radialGradient", "clipPath", "mask", "pattern", "marker"),
}
_PLAIN_ATTRIBUTE = re.compile(r"(?!on)[A-Za-z][A-Za-z0-9-]{0,40}\Z")
_SAFE_VALUE = re.compile(r"(?:[^\\@<>()]|(?<!url)\(|\)|url\(#)*\Z")


def beside_page(
    files: Mapping[str, bytes], sources: Iterable[str]
) -> tuple[dict[str, str], dict[str, bytes], list[str]]:
    """Where each picture of the text will be, the pictures themselves, and those left out."""
    places: dict[str, str] = {}
    pictures: dict[str, bytes] = {}
    missing: list[str] = []
    for source in sources:
        path = markup.image_path(source)
        data = files.get(path) if path else None
        found = harmless(data) if data is not None and len(places) < MAX_PICTURES else None
        if path is None or found is None:
            missing.append(source)
            continue
        ending, safe = found
        name = f"img/{hashlib.sha256(safe).hexdigest()[:16]}.{ending}"
        places[path] = name
        pictures[name] = safe
    return places, pictures, missing


def harmless(data: bytes) -> tuple[str, bytes] | None:
    """The format by its first bytes, and the bytes; an SVG is written anew from what is allowed."""
    if len(data) > MAX_BYTES:
        return None
    for magic, ending in _MAGIC:
        if data.startswith(magic):
            return ending, data
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp", data
    svg = _harmless_svg(data)
    return None if svg is None else ("svg", svg)


def _harmless_svg(data: bytes) -> bytes | None:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    text = re.sub(r"<!DOCTYPE svg PUBLIC [^>\[]{0,200}>", "", text, count=1)
    # Without a document type there are no entities, and so nothing to expand or to fetch.
    if "<svg" not in text or re.search(r"<!(?!--|\[CDATA\[)", text):
        return None
    try:
        root = ET.fromstring(text)  # noqa: S314 - no document type, see above
    except (ET.ParseError, ValueError, RecursionError):
        return None
    if root.tag != f"{_SVG}svg":
        return None
    _prune(root)
    ET.register_namespace("", _SVG[1:-1])
    safe: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=False)
    return safe


def _prune(root: ET.Element) -> None:
    waiting = [root]
    while waiting:
        element = waiting.pop()
        for name, value in list(element.attrib.items()):
            if not _may_stay(name, value):
                del element.attrib[name]
        for child in list(element):
            tag = str(child.tag)
            if tag.startswith(_SVG) and tag[len(_SVG) :] in _SVG_ELEMENTS:
                waiting.append(child)
            else:
                element.remove(child)


def _may_stay(name: str, value: str) -> bool:
    if name in {"href", _XLINK_HREF}:
        return value.startswith("#")
    return bool(_PLAIN_ATTRIBUTE.match(name.lower())) and bool(_SAFE_VALUE.match(value.lower()))
