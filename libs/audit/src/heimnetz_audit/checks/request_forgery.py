"""Text from outside decides which host the server talks to.

The server stands inside the network: it reaches routers, cameras and cloud metadata that a stranger
cannot. Compare the host with a list before the request.

Found in `app.py`:

    from flask import Flask, request
    import requests

    app = Flask(__name__)


    @app.route('/x')
    def x():
        return requests.get(request.args['url']).text

Not found in `app.py`:

    from flask import Flask, request
    import requests

    app = Flask(__name__)


    @app.route('/x')
    def x():
        return requests.get('https://example.org/', params={'q': request.args['q']}).text
"""

from heimnetz_audit.model import Call, Check, Severity, Value
from heimnetz_audit.model.checks import REMOTE
from heimnetz_audit.model.questions import leads, on, tainted
from heimnetz_audit.model.values import Taint

_MESSAGE = "The server sends a request where {} says."
_CLIENTS = (
    "requests", "httpx", "requests.Session()", "requests.session()", "httpx.Client()",
    "httpx.AsyncClient()", "aiohttp.ClientSession()", "urllib3.PoolManager()",
)  # fmt: skip


def _chooses_host(_call: Call, value: Value, taint: Taint) -> bool:
    if leads(value, taint):
        return True
    return "/" not in value.prefix.partition("://")[2]


_FIRST = tainted("ssrf", _MESSAGE, 0, "url", sources=REMOTE, condition=_chooses_host)
_SECOND = tainted("ssrf", _MESSAGE, 1, "url", sources=REMOTE, condition=_chooses_host)

CHECK = Check(
    rule="request-forgery",
    title="Request to a host from outside",
    cwe=918,
    severity=Severity.HIGH,
    remedy="Compare the host with a fixed list before the request.",
    calls={
        **{
            f"{client}.{method}": _FIRST
            for client in _CLIENTS
            for method in ("get", "post", "put", "patch", "delete", "head", "options")
        },
        **{f"{client}.{method}": _SECOND for client in _CLIENTS for method in ("request", "stream")},
        **on("urllib.request.urlopen urllib.request.urlretrieve urllib.request.Request "
             "wget.download socket.create_connection http.client.HTTPConnection "
             "http.client.HTTPSConnection websockets.connect", _FIRST),
    },
)  # fmt: skip
