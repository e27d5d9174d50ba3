"""Data from outside is turned into objects by a format that can call any function.

`pickle`, `marshal`, `shelve`, `jsonpickle`, `dill` and YAML with a full loader run code that the
data names. Use JSON, or YAML's `safe_load`; for your own data, check a signature first.

Found in `app.py`:

    import pickle

    from flask import Flask, request

    app = Flask(__name__)


    @app.route('/x')
    def x():
        return str(pickle.loads(request.data))

Not found in `app.py`:

    import json

    from flask import Flask, request

    app = Flask(__name__)


    @app.route('/x')
    def x():
        return str(json.loads(request.data))
"""

from collections.abc import Iterator

from heimnetz_audit.model import Call, Check, Confidence, Hit, Severity, Value
from heimnetz_audit.model.checks import OUTSIDE
from heimnetz_audit.model.questions import on, tainted, weigh

_MESSAGE = "Objects are made from {} by a format that can run code."
_SAFE_LOADERS = ("SafeLoader", "CSafeLoader", "BaseLoader", "CBaseLoader")


def _is_known(value: Value | None) -> bool:
    return value is not None and value.consts is not None


def _ask_yaml(call: Call) -> Iterator[Hit]:
    loader = call.argument(1, "Loader")
    name = (loader.name or "") if loader is not None else ""
    if name.endswith(_SAFE_LOADERS) or "Safe" in name:
        return
    value = call.argument(0, "stream")
    taints = call.live(value, "deserialise", OUTSIDE | {"decoded"}) if value is not None else ()
    if taints:
        level, sure = weigh(taints[0], Severity.HIGH)
        yield Hit(
            message=_MESSAGE.format("outside"), severity=level, confidence=sure, taint=taints[0]
        )
    elif loader is not None and name.startswith("yaml.") and not _is_known(value):
        yield Hit(
            message="YAML is read by a loader that can run code.",
            severity=Severity.MEDIUM,
            confidence=Confidence.MEDIUM,
        )


CHECK = Check(
    rule="unsafe-deserialisation",
    title="Objects from outside",
    cwe=502,
    severity=Severity.HIGH,
    remedy="Use JSON or yaml.safe_load; check a signature before reading pickled data.",
    calls={
        **on(
            "pickle.loads pickle.load pickle.Unpickler marshal.loads marshal.load dill.loads "
            "dill.load cloudpickle.loads jsonpickle.decode jsonpickle.loads shelve.open "
            "pandas.read_pickle joblib.load torch.load numpy.load _pickle.loads cPickle.loads "
            "yaml.unsafe_load yaml.unsafe_load_all pickle.Unpickler().load yaml.full_load "
            "yaml.full_load_all jsonpickle.unpickler.decode",
            tainted("deserialise", _MESSAGE, 0, "data"),
        ),
        **on("yaml.load yaml.load_all", _ask_yaml),
    },
)
