"""Text from outside is sent to a browser as HTML, unescaped.

A script in it runs with the rights of the reader. Leave escaping to the template engine, or call
`markupsafe.escape`; send data as JSON.

Found in `app.py`:

    from flask import Flask, request

    app = Flask(__name__)


    @app.route('/x')
    def x():
        return '<p>' + request.args['name'] + '</p>'

Not found in `app.py`:

    import html

    from flask import Flask, request

    app = Flask(__name__)


    @app.route('/x')
    def x():
        return '<p>' + html.escape(request.args['name']) + '</p>'
"""

from collections.abc import Iterator

from heimnetz_audit.model import Call, Check, Hit, Severity
from heimnetz_audit.model.checks import REMOTE
from heimnetz_audit.model.questions import on, tainted

_MESSAGE = "A page shows text from {} without escaping."
_TYPES = ("json", "text/plain", "octet-stream", "xml+rss", "csv", "image/", "javascript-safe")
_BASE = tainted("html", _MESSAGE, 0, "response", "content", "body", "text", sources=REMOTE)


def _ask(call: Call) -> Iterator[Hit]:
    for keyword in ("mimetype", "content_type", "media_type"):
        kind = call.keywords.get(keyword)
        if kind is not None and kind.text is not None and any(t in kind.text for t in _TYPES):
            return
    if call.name.startswith("aiohttp.") and "content_type" not in call.keywords:
        return
    yield from _BASE(call)


CHECK = Check(
    rule="cross-site-scripting",
    title="Unescaped text in a page",
    cwe=79,
    severity=Severity.HIGH,
    remedy="Escape the text, or render it with a template that escapes.",
    calls={
        **on(
            "<response> flask.make_response flask.Response django.http.HttpResponse "
            "quart.make_response quart.Response starlette.responses.HTMLResponse "
            "fastapi.responses.HTMLResponse aiohttp.web.Response werkzeug.wrappers.Response "
            "bottle.HTTPResponse sanic.response.html fastapi.Response starlette.responses.Response "
            "flask.render_template_string",
            _ask,
        ),
        **on(
            "markupsafe.Markup flask.Markup django.utils.safestring.mark_safe jinja2.Markup "
            "django.utils.safestring.SafeString",
            tainted("html", _MESSAGE, 0, sources=REMOTE),
        ),
    },
)
