"""Text from outside is compiled as a template.

Templates can reach Python objects, so that this is code from outside. Keep the template fixed and
pass the text as a variable.

Found in `app.py`:

    from flask import Flask, render_template_string, request

    app = Flask(__name__)


    @app.route('/x')
    def x():
        return render_template_string('Hi ' + request.args['n'])

Not found in `app.py`:

    from flask import Flask, render_template_string, request

    app = Flask(__name__)


    @app.route('/x')
    def x():
        return render_template_string('Hi {{ n }}', n=request.args['n'])
"""

from heimnetz_audit.model import Check, Severity
from heimnetz_audit.model.checks import REMOTE
from heimnetz_audit.model.questions import on, tainted

CHECK = Check(
    rule="template-injection",
    title="Template from outside",
    cwe=1336,
    severity=Severity.HIGH,
    remedy="Keep the template fixed and pass the text as a variable.",
    calls=on(
        "flask.render_template_string jinja2.Template jinja2.Environment().from_string "
        "mako.template.Template django.template.Template jinja2.environment.Template "
        "jinja2.sandbox.SandboxedEnvironment().from_string tornado.template.Template "
        "quart.render_template_string bottle.template chevron.render",
        tainted("template", "A template is made from {}.", 0, "source", sources=REMOTE),
    ),
)
