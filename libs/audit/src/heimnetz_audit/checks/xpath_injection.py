"""Text from outside becomes part of an XPath expression.

A quote ends the text, and what follows is part of the question. Pass values as variables
(`root.xpath("//user[@name=$name]", name=value)`).

Found in `app.py`:

    from flask import Flask, request
    from lxml import etree

    app = Flask(__name__)


    @app.route('/x')
    def x():
        return str(etree.parse('x.xml').xpath("//u[@n='" + request.args['n'] + "']"))

Not found in `app.py`:

    from flask import Flask, request
    from lxml import etree

    app = Flask(__name__)


    @app.route('/x')
    def x():
        return str(etree.parse('x.xml').xpath('//u[@n=$n]', n=request.args['n']))
"""

from heimnetz_audit.model import Call, Check, Severity, Value
from heimnetz_audit.model.questions import on, tainted
from heimnetz_audit.model.values import Taint

_MESSAGE = "An XPath expression is built from {}."


def _breaks_out(call: Call, value: Value, taint: Taint) -> bool:
    parts = value.parts or ()
    for before, part in zip(("", *parts), parts, strict=False):
        if isinstance(part, Value) and any(t.chain[0] == taint.chain[0] for t in part.taints):
            mark = before[-1:] if isinstance(before, str) else ""
            return not (mark in ("'", '"') and taint.lacks(mark, call.facts))
    return True


def _is_xpath(call: Call, value: Value, taint: Taint) -> bool:
    text = "".join(value.texts())
    return ("/" in text or "[" in text or call.name.startswith(("lxml", "elementpath"))) and (
        _breaks_out(call, value, taint)
    )


CHECK = Check(
    rule="xpath-injection",
    title="XPath from outside",
    cwe=643,
    severity=Severity.HIGH,
    remedy="Pass values as XPath variables.",
    calls={
        **on(
            ".xpath lxml.etree.XPath lxml.etree.ETXPath",
            tainted("xpath", _MESSAGE, 0, "path", condition=_breaks_out),
        ),
        **on(
            "elementpath.select elementpath.iter_select elementpath.Selector",
            tainted("xpath", _MESSAGE, 0, 1, "path", condition=_breaks_out),
        ),
        **on(
            ".find .findall .findtext .iterfind .selectNodes",
            tainted("xpath", _MESSAGE, 0, "path", "match", condition=_is_xpath),
        ),
    },
)
