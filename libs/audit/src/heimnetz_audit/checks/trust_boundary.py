"""Data from a request becomes a key or a value of the session.

Code that reads the session takes its content for something that was checked. Check the value first,
and use fixed keys.

Found in `app.py`:

    from flask import Flask, request, session

    app = Flask(__name__)


    @app.route('/x')
    def x():
        session['role'] = request.args['role']
        return ''

Not found in `app.py`:

    from flask import Flask, session

    app = Flask(__name__)


    @app.route('/x')
    def x():
        session['role'] = 'viewer'
        return ''
"""

from heimnetz_audit.model import Check, Severity
from heimnetz_audit.model.checks import REMOTE
from heimnetz_audit.model.questions import on, tainted

_MESSAGE = "The session takes over a value from {} unchecked."

CHECK = Check(
    rule="trust-boundary",
    title="Session holds what a request said",
    cwe=501,
    severity=Severity.MEDIUM,
    remedy="Check the value against what is allowed before it enters the session.",
    calls=on(
        "flask.session.__setitem__ flask.session.update flask.session.setdefault "
        "flask.request.session.__setitem__ django.request.session.__setitem__ "
        "quart.session.__setitem__ flask.session.__setattr__ flask.request.session.update",
        tainted("session", _MESSAGE, 0, 1, sources=REMOTE, severity=Severity.MEDIUM, every=True),
    ),
)
