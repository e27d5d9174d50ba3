"""An XML parser that follows external entities reads files and addresses that the document names.

Switch entities off (`resolve_entities=False`, `feature_external_ges` false) or parse with
`defusedxml`.

Found in `app.py`:

    from flask import Flask, request
    from lxml import etree

    app = Flask(__name__)


    @app.route('/x')
    def x():
        p = etree.XMLParser(resolve_entities=True)
        return str(etree.fromstring(request.data, p))

Not found in `app.py`:

    from flask import Flask, request
    from lxml import etree

    app = Flask(__name__)


    @app.route('/x')
    def x():
        p = etree.XMLParser(resolve_entities=False, no_network=True)
        return str(etree.fromstring(request.data, p))
"""

from collections.abc import Iterator

from heimnetz_audit.model import Call, Check, Confidence, Hit, Severity, Value
from heimnetz_audit.model.checks import REMOTE
from heimnetz_audit.model.questions import on

_MESSAGE = "XML entities are followed."


def _is_live(call: Call, value: Value | None) -> bool:
    return value is not None and bool(call.live(value, "xml", REMOTE))


def _ask_parser(call: Call) -> Iterator[Hit]:
    """lxml's parser: entities are on unless switched off (5.0 and later: internal ones only)."""
    entities = call.keywords.get("resolve_entities")
    network = call.keywords.get("no_network")
    loads = call.keywords.get("load_dtd")
    if entities is not None and entities.consts in ((True,), (1,)):
        yield Hit(message=_MESSAGE, confidence=Confidence.MEDIUM, severity=Severity.MEDIUM)
    elif network is not None and network.const is False:
        yield Hit(message="The parser may load from the network.", severity=Severity.MEDIUM)
    elif loads is not None and loads.const is True and entities is None:
        yield Hit(message=_MESSAGE, confidence=Confidence.MEDIUM, severity=Severity.MEDIUM)


def _ask_feature(call: Call) -> Iterator[Hit]:
    feature, state = call.argument(0), call.argument(1)
    if feature is None or state is None:
        return
    name = feature.name or feature.text or ""
    is_on = state.consts is None or any(state.consts)
    if is_on and name.endswith(("feature_external_ges", "external-general-entities",
                                "feature_external_pes", "external-parameter-entities")):  # fmt: skip
        yield Hit(message=_MESSAGE)


def _ask_parse(call: Call) -> Iterator[Hit]:
    """lxml without a parser of its own, on a document from outside."""
    parser = call.argument(1, "parser")
    if parser is None and _is_live(call, call.argument(0)):
        yield Hit(message=_MESSAGE, severity=Severity.MEDIUM, confidence=Confidence.LOW)


CHECK = Check(
    rule="xml-entities",
    title="External XML entities",
    cwe=611,
    severity=Severity.HIGH,
    remedy="Parse with defusedxml, or switch entities off.",
    calls={
        **on("lxml.etree.XMLParser lxml.etree.XMLPullParser lxml.etree.ETCompatXMLParser "
             "lxml.etree.iterparse", _ask_parser),
        ".setFeature": _ask_feature,
        **on("lxml.etree.fromstring lxml.etree.parse lxml.etree.XML", _ask_parse),
    },
)  # fmt: skip
