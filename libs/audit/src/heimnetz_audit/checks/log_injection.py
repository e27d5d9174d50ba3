"""Text from outside is written to a log as it is.

A line break in it writes a line of its own, which the reader takes for the program's. Log with
`%r`, or remove line breaks.

Found in `app.py`:

    import logging

    from flask import Flask, request

    app = Flask(__name__)


    @app.route('/x')
    def x():
        logging.warning('user ' + request.args['u'])
        return ''

Not found in `app.py`:

    import logging

    from flask import Flask

    app = Flask(__name__)


    @app.route('/x')
    def x():
        logging.warning('no user')
        return ''
"""

from heimnetz_audit.model import Check, Severity
from heimnetz_audit.model.checks import REMOTE
from heimnetz_audit.model.questions import on, tainted

_METHODS = ("debug", "info", "warning", "error", "critical", "exception", "warn")

CHECK = Check(
    rule="log-injection",
    title="Log line from outside",
    cwe=117,
    severity=Severity.LOW,
    remedy="Log the value with %r, or remove line breaks from it.",
    calls=on(
        " ".join(
            f"{owner}.{method}"
            for owner in ("logging", "logging.getLogger()", "flask.current_app.logger")
            for method in _METHODS
        ),
        tainted("log", "A log line is written from {}.", 0, 1, 2, sources=REMOTE,
                severity=Severity.LOW),
    ),
)  # fmt: skip
