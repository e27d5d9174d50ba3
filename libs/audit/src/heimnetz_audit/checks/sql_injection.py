"""Text from outside becomes part of an SQL statement.

A quote ends the text, and what follows is SQL. Pass values as parameters (`?`, `%s`, `:name`);
names of tables and columns come from a list of your own.

Found in `app.py`:

    import sqlite3

    from flask import Flask, request

    app = Flask(__name__)


    @app.route('/x')
    def x():
        c = sqlite3.connect('x')
        c.execute('select * from t where a = ' + request.args['a'])
        return ''

Not found in `app.py`:

    import sqlite3

    from flask import Flask, request

    app = Flask(__name__)


    @app.route('/x')
    def x():
        c = sqlite3.connect('x')
        c.execute('select * from t where a = ?', (request.args['a'],))
        return ''
"""

from heimnetz_audit.model import Call, Check, Severity, Value
from heimnetz_audit.model.questions import on, tainted
from heimnetz_audit.model.values import Taint

_MESSAGE = "An SQL statement is built from {}."
_NO_DATABASES = ("executor", "pool.submit", "redis", "ldap", "driver", "browser", "selenium")


def _is_statement(call: Call, value: Value, taint: Taint) -> bool:
    owner = (call.receiver.name or "").lower() if call.receiver is not None else ""
    if any(word in owner for word in _NO_DATABASES):
        return False
    return not (taint.lacks("'", call.facts) and _is_quoted(value, taint))


def _is_quoted(value: Value, taint: Taint) -> bool:
    parts = value.parts or ()
    for before, part in zip(("", *parts), parts, strict=False):
        if isinstance(part, Value) and any(t.chain[0] == taint.chain[0] for t in part.taints):
            return isinstance(before, str) and before.endswith("'")
    return False


_ASK = tainted(
    "sql", _MESSAGE, 0, "sql", "query", "statement", "operation", condition=_is_statement
)

CHECK = Check(
    rule="sql-injection",
    title="SQL from outside",
    cwe=89,
    severity=Severity.HIGH,
    remedy="Pass values as parameters of the statement.",
    calls={
        **on(
            ".execute .executemany .executescript .raw .extra .fetchrow .fetchval .execute_sql "
            ".exec_driver_sql .read_sql .mogrify",
            _ASK,
        ),
        **on("sqlalchemy.text django.db.models.expressions.RawSQL sqlalchemy.sql.text "
             "django.db.models.RawSQL sqlalchemy.literal_column pandas.read_sql", _ASK),
    },
)  # fmt: skip
