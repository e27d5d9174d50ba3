"""The code talks to an address of the kind that malware uses.

Services for throw-away uploads, chat hooks, tunnels and request recorders keep their user unknown;
an address of numbers has no owner to ask.

Found in `app.py`:

    import requests
    requests.get('http://198.51.100.77:8081/gate')

Not found in `app.py`:

    import requests
    requests.get('https://api.example.org/gate')
"""

import re
from collections.abc import Iterator

from heimnetz_audit.model import Call, Check, Confidence, Hit, Severity
from heimnetz_audit.model.questions import on
from heimnetz_audit.model.threats import PROCESSES, SENDERS, line_of, texts_of

_HOSTS = re.compile(
    r"https?://(?:[\w.-]*\.)?(?:(?P<hook>discord(?:app)?\.com/api/webhooks|api\.telegram\.org/bot|"
    r"hooks\.slack\.com/services|webhook\.site|requestbin|pipedream\.net|oast\.\w+|interact\.sh|"
    r"burpcollaborator\.net|oastify\.com|ngrok(?:-free)?\.(?:io|app|dev)|serveo\.net|"
    r"localhost\.run|trycloudflare\.com|canarytokens\.com|beeceptor\.com)|"
    r"(?P<drop>pastebin\.com/raw|paste\.ee|hastebin|transfer\.sh|file\.io|anonfiles|gofile\.io|"
    r"0x0\.st|catbox\.moe|bashupload|ghostbin|rentry\.co|termbin\.com|ix\.io|cdn\.discordapp\.com|"
    r"bit\.ly|tinyurl\.com|is\.gd|cutt\.ly|iplogger|grabify)|"
    r"(?P<odd>[\w-]+\.(?:onion|tk|ml|ga|cf|gq|xyz|top|zip|mov|bid|icu|pw|ws|cc|su|click|link))(?:[/:?]|$))",
    re.IGNORECASE,
)
_NUMBERS = re.compile(r"https?://(?!127\.|10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|0\.0\.0\.0|169\.254\.)"
                      r"\d{1,3}(\.\d{1,3}){3}\b")  # fmt: skip
_ADDRESS = re.compile(r"^(?!127\.|10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|0\.|224\.|239\.|255\.|1\.1\.1\.1$|"
                      r"8\.8\.[48]\.[48]$|169\.254\.)\d{1,3}(\.\d{1,3}){3}$")  # fmt: skip


def _ask(call: Call) -> Iterator[Hit]:
    for text in texts_of(call):
        if call.name in ("socket.gethostbyname", "socket.getaddrinfo"):
            return
        found = _HOSTS.search(text[:4_000])
        if found is not None:
            yield Hit(message=f"The code talks to {found.group(0)[:80]}.")
            return
        if _NUMBERS.search(text[:4_000]):
            yield Hit(
                message="The code talks to an address without a name.", confidence=Confidence.MEDIUM
            )
            return


def _ask_connect(call: Call) -> Iterator[Hit]:
    value = call.argument(0, "address")
    for text in [*texts_of(call), *(value.texts() if value is not None else ())]:
        if _ADDRESS.match(text):
            yield Hit(message="The code connects to an address without a name.")
            return
    const = value.const if value is not None else None
    if (
        isinstance(const, tuple)
        and const
        and isinstance(const[0], str)
        and _ADDRESS.match(const[0])
    ):
        yield Hit(message="The code connects to an address without a name.")


def _ask_process(call: Call) -> Iterator[Hit]:
    line = line_of(call)
    if _HOSTS.search(line) or _NUMBERS.search(line):
        yield Hit(message="A command talks to a suspicious address.")


CHECK = Check(
    rule="suspicious-address",
    title="Suspicious address",
    cwe=506,
    severity=Severity.MEDIUM,
    remedy="Talk to a host whose owner is known, and declare it in the manifest.",
    calls={
        **on(SENDERS + " urllib.request.urlretrieve wget.download", _ask),
        **on("socket.socket().connect socket.create_connection socket.socket().connect_ex "
             "socket.socket().sendto asyncio.open_connection", _ask_connect),
        **on(PROCESSES, _ask_process),
    },
)  # fmt: skip
