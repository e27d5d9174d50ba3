"""Text from outside is used as a regular expression.

Some expressions take years on a short text, and the process stands still. Use `re.escape`, or
search for plain text.

Found in `app.py`:

    import re

    from flask import Flask, request

    app = Flask(__name__)


    @app.route('/x')
    def x():
        return str(re.search(request.args['p'], 'text'))

Not found in `app.py`:

    import re

    from flask import Flask, request

    app = Flask(__name__)


    @app.route('/x')
    def x():
        return str(re.search(re.escape(request.args['p']), 'text'))
"""

from heimnetz_audit.model import Check, Severity
from heimnetz_audit.model.checks import REMOTE
from heimnetz_audit.model.questions import on, tainted

CHECK = Check(
    rule="regex-injection",
    title="Regular expression from outside",
    cwe=1333,
    severity=Severity.MEDIUM,
    remedy="Escape the text with re.escape, or search for plain text.",
    calls=on(
        "re.compile re.match re.search re.fullmatch re.findall re.finditer re.sub re.split",
        tainted("regex", "A regular expression is made from {}.", 0, "pattern",
                sources=REMOTE, severity=Severity.MEDIUM),
    ),
)  # fmt: skip
