"""Answers to requests: pages, redirects, files, headers and cookies."""

import re
from typing import Final

from heimnetz_audit.model.values import UNKNOWN, constant
from heimnetz_audit.tracing.scripts.speaking import Place, Spoken, Translation

#: A header that says that what follows is no page; a fact about the function as a whole.
PLAIN: Final = (0, "@plain")
_PLAIN_TYPES: Final = ("json", "text/plain", "octet-stream", "image/", "csv", "css", "javascript")
_WHOLE_PART: Final = re.compile(r"flask\.request\.(body|query|params|headers|cookies|files)$")


def _respond(place: Place, call: Spoken) -> list[Spoken]:
    if not call.args or place.is_object(call.args[0]) or PLAIN in place.state.facts:
        return [call]
    if _WHOLE_PART.match(call.args[0].name or "") and call.method == "send":
        # What was sent as an object is sent back as JSON.
        return [call]
    is_fastify = "fastify" in place.engine.frame.module.imports or ".code()" in call.name
    if call.method == "send" and is_fastify:
        # Of a text, this framework makes no page unless it is told to.
        return [call]
    return [Spoken("<response>", call.args[:1], {"name": constant(call.name)})]


def redirect(_place: Place, call: Spoken) -> list[Spoken]:
    args = call.args
    chosen = args[1:2] if len(args) > 1 and not isinstance(args[1].const, int) else args[:1]
    return [Spoken("flask.redirect", chosen)]


def _send_file(place: Place, call: Spoken) -> list[Spoken]:
    options = call.args[1] if len(call.args) > 1 else UNKNOWN
    if place.option(options, "root") is not None:
        return [call]
    return [Spoken("flask.send_file", call.args[:1])]


def _header(place: Place, call: Spoken) -> list[Spoken]:
    if call.method == "writeHead" and len(call.args) > 1:
        headers = place.state.heap.of(call.args[-1])
        pairs = [(constant(key), value) for key, value in headers.items.items()] if headers else []
    elif call.method in ("type", "contentType"):
        pairs = [(constant("content-type"), call.args[0])] if call.args else []
    else:
        pairs = [(call.args[0], call.args[1])] if len(call.args) > 1 else []
    found = [call]
    for name, value in pairs:
        key = (name.text or "").lower()
        if key == "location":
            found.append(Spoken("flask.redirect", (value,)))
        elif key == "content-type" and any(kind in value.prefix for kind in _PLAIN_TYPES):
            place.state.facts |= {PLAIN}
    return found


def _cookie(place: Place, call: Spoken) -> list[Spoken]:
    options = call.args[2] if len(call.args) > 2 else UNKNOWN
    keywords = {
        spoken: found
        for name, spoken in (("secure", "secure"), ("httpOnly", "httponly"))
        if (found := place.option(options, name)) is not None
    }
    if len(call.args) > 2 and not place.is_object(options):
        return [call]
    return [Spoken("flask.response.set_cookie", call.args[:2], keywords, call.receiver)]


def markup(_place: Place, call: Spoken) -> list[Spoken]:
    return [Spoken("markupsafe.Markup", call.args[:1])]


RESPONSE: Final[dict[str, Translation]] = {
    "send": _respond, "end": _respond, "write": _respond, "html": _respond,
    "redirect": redirect, "sendFile": _send_file, "sendfile": _send_file,
    "download": _send_file, "setHeader": _header, "header": _header, "set": _header,
    "append": _header, "writeHead": _header, "type": _header, "contentType": _header,
    "cookie": _cookie, "setCookie": _cookie,
}  # fmt: skip
