"""A cookie that travels unencrypted, or that scripts may read.

Set `secure=True`, `httponly=True` and `samesite`, so that nobody on the way and no injected script
gets the session.

Found in `app.py`:

    from flask import Flask, make_response, session

    app = Flask(__name__)


    @app.route('/x')
    def x():
        r = make_response('')
        r.set_cookie('session', 'x', secure=False)
        return r

Not found in `app.py`:

    from flask import Flask, make_response, session

    app = Flask(__name__)


    @app.route('/x')
    def x():
        r = make_response('')
        r.set_cookie('session', 'x', secure=True, httponly=True)
        return r
"""

from collections.abc import Iterator

from heimnetz_audit.model import Call, Check, Hit, Severity


def _ask(call: Call) -> Iterator[Hit]:
    if "**" in call.keywords or call.has_more:
        return
    secure = call.argument(6, "secure")
    if secure is None or (secure.consts is not None and not all(secure.consts)):
        yield Hit(message="The cookie is also sent without encryption.")
        return
    http_only = call.argument(7, "httponly")
    if http_only is None or (http_only.consts is not None and not all(http_only.consts)):
        yield Hit(
            message="Scripts of the page can read the cookie.", cwe=1004, severity=Severity.LOW
        )


CHECK = Check(
    rule="insecure-cookie",
    title="Cookie without protection",
    cwe=614,
    severity=Severity.MEDIUM,
    remedy="Set secure=True, httponly=True and samesite on the cookie.",
    calls={".set_cookie": _ask},
)
