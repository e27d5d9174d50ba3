"""Text from outside decides where a browser is sent.

A link to your site that leads to somebody else's is what phishing needs. Allow only paths of your
own site, or hosts from a list, compared as a whole.

Found in `app.py`:

    from flask import Flask, redirect, request

    app = Flask(__name__)


    @app.route('/x')
    def x():
        return redirect(request.args['next'])

Not found in `app.py`:

    from flask import Flask, redirect

    app = Flask(__name__)


    @app.route('/x')
    def x():
        return redirect('/home')
"""

from heimnetz_audit.model import Call, Check, Severity, Value
from heimnetz_audit.model.checks import REMOTE
from heimnetz_audit.model.questions import leads, on, tainted
from heimnetz_audit.model.values import Taint

_MESSAGE = "A browser is sent where {} says."


def _chooses_host(_call: Call, value: Value, taint: Taint) -> bool:
    """Behind `https://host/` or `/path/` a text cannot choose the host any more."""
    if leads(value, taint):
        return True
    prefix = value.prefix
    rest = prefix.partition("://")[2] if "://" in prefix else prefix[1:]
    return not (
        "/" in rest or "?" in rest or "#" in rest or (rest and not prefix.startswith("http"))
    )


def _is_location(call: Call, value: Value, taint: Taint) -> bool:
    key = call.args[0].text if call.args else None
    return key is not None and key.lower() == "location" and _chooses_host(call, value, taint)


CHECK = Check(
    rule="open-redirect",
    title="Redirect from outside",
    cwe=601,
    severity=Severity.HIGH,
    remedy="Allow only paths of your own site, or hosts from a fixed list.",
    calls={
        **on(
            "flask.redirect django.shortcuts.redirect werkzeug.utils.redirect bottle.redirect "
            "django.http.HttpResponseRedirect django.http.HttpResponsePermanentRedirect "
            "starlette.responses.RedirectResponse fastapi.responses.RedirectResponse "
            "aiohttp.web.HTTPFound aiohttp.web.HTTPSeeOther quart.redirect sanic.response.redirect "
            "fastapi.RedirectResponse flask.current_app.redirect",
            tainted(
                "redirect", _MESSAGE, 0, "location", "url", "to", "redirect_to",
                sources=REMOTE, condition=_chooses_host,
            ),
        ),
        ".redirect": tainted("redirect", _MESSAGE, 0, "location", "url", sources=REMOTE,
                             condition=lambda c, v, t: c.name != "flask.redirect"
                             and (c.receiver is not None and (c.receiver.name or "").endswith(
                                 ("self", "response", "()", "app"))) and _chooses_host(c, v, t)),
        ".__setitem__": tainted("redirect", _MESSAGE, 1, sources=REMOTE, condition=_is_location),
    },
)  # fmt: skip
