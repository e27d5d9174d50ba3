"""Text from outside is executed as code.

`eval` and `exec`, and in JavaScript `Function` and `vm`, do whatever the text says. Parse what you
expect instead: `int`, `json.loads`, `ast.literal_eval`, or a table of allowed functions.

Found in `app.py`:

    from flask import Flask, request

    app = Flask(__name__)


    @app.route('/x')
    def x():
        return str(eval(request.args['q']))

Not found in `app.py`:

    from flask import Flask, request

    app = Flask(__name__)


    @app.route('/x')
    def x():
        import ast
        return str(ast.literal_eval(request.args['q']))
"""

from heimnetz_audit.model import Check, Severity
from heimnetz_audit.model.questions import on, tainted

_MESSAGE = "Code is made from {} and executed."

CHECK = Check(
    rule="code-injection",
    title="Code from outside",
    cwe=94,
    severity=Severity.HIGH,
    remedy="Parse the expected form instead of executing text, or choose from a fixed table.",
    calls={
        **on(
            "exec eval compile execfile code.InteractiveInterpreter().runsource timeit.timeit "
            "code.InteractiveConsole().push builtins.exec builtins.eval types.FunctionType "
            "pandas.eval numexpr.evaluate asteval.Interpreter().eval runpy.run_path",
            tainted("code", _MESSAGE, 0, "source", "stmt"),
        ),
        **on(
            "__import__ importlib.import_module importlib.__import__",
            tainted("code", "A module is chosen by {}.", 0, "name"),
        ),
    },
)
