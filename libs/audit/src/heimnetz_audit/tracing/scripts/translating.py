"""Calls whose arguments stand otherwise in Node than where the checks know them from."""

import re
from dataclasses import replace
from typing import Final

from heimnetz_audit.model.values import UNKNOWN, Value, constant
from heimnetz_audit.tracing import folding
from heimnetz_audit.tracing.scripts import answering, vocabulary
from heimnetz_audit.tracing.scripts.speaking import Place, Spoken, Translation

_SQL: Final = re.compile(
    r"^\s*(select\b|insert\s+into\b|update\s+\S+\s+set\b|delete\s+from\b|replace\s+into\b|drop\s|"
    r"create\s+(table|view|index|database|user)\b|alter\s+table\b|with\s+\w+\s+as\b|call\s|exec\s|"
    r"truncate\s|grant\s|merge\s+into\b)|\b(from|where|values|order\s+by)\b",
    re.IGNORECASE,
)
_STATEMENTS: Final = frozenset(
    "query execute raw run all get each exec prepare queryRawUnsafe $queryRawUnsafe any one none "
    "$executeRawUnsafe many oneOrNone manyOrNone whereRaw orderByRaw havingRaw unsafe batch".split()
)
_DATABASES: Final = re.compile(
    r"npm:(mysql2?|pg|sqlite3|better-sqlite3|sequelize|knex|mssql|oracledb|typeorm|postgres|mariadb|"
    r"pg-promise|tedious|@prisma/client)\b|\?(\w+\.)*(db|database|pool|conn|connection|sequelize|"
    r"knex|mysql|pg|sql)\b",
    re.IGNORECASE,
)
_MONGO: Final = frozenset({"mongodb", "mongoose", "monk", "mongojs", "mongoist"})
_FINDERS: Final = frozenset(
    "find findOne findOneAndUpdate findOneAndDelete findOneAndReplace updateOne updateMany "
    "deleteOne deleteMany countDocuments count remove update".split()
)
_LOGGERS: Final = re.compile(
    r"^(node:console|console|npm:(winston|pino|bunyan|log4js|loglevel|signale|consola)[\w.()-]*)"
    r"\.(log|info|warn|error|debug|trace|fatal|verbose|notice)$"
)
_HTML_METHODS: Final = frozenset({"html", "append", "prepend", "after", "before"})


def translate(place: Place, call: Spoken) -> list[Spoken]:
    """What the call is put to the checks as; the first also decides what it is worth."""
    found = _TRANSLATIONS.get(call.name)
    if found is not None:
        return found(place, call)
    owner = call.name.rpartition(".")[0]
    if owner in vocabulary.CLIENTS or call.name in vocabulary.CLIENTS:
        return _client(place, call)
    by_owner = _BY_OWNER.get(owner)
    if by_owner is not None:
        found = by_owner.get(call.method)
        return found(place, call) if found is not None else [call]
    if _LOGGERS.match(call.name):
        return [replace(call, name="logging.info")]
    if call.receiver is not None:
        return _by_method(place, call)
    return [call]


def _by_method(place: Place, call: Spoken) -> list[Spoken]:
    method, args = call.method, call.args
    if method in _STATEMENTS and args:
        statement = place.option(args[0], "text", "sql") or args[0]
        name = (call.receiver.name or "") if call.receiver is not None else ""
        if any(map(_SQL.search, statement.texts())) or _DATABASES.search(name):
            if call.name.startswith("node:"):
                return [call]
            return [call, replace(call, name=f"{name or '?'}.execute", args=(statement, *args[1:]))]
    elif method in _FINDERS and args and place.is_object(args[0]):
        return [call, *_finder(place, call)]
    elif method == "constructor" and args:
        # The constructor of any function makes functions from text.
        return [call, Spoken("exec", args[-1:])]
    elif method == "insertAdjacentHTML" and len(args) == 2:
        return [Spoken("markupsafe.Markup", args[1:])]
    elif method in _HTML_METHODS and (call.name.startswith(("$().", "jQuery().", "npm:jquery()."))):
        return [Spoken("markupsafe.Markup", args)]
    return [call]


def _finder(place: Place, call: Spoken) -> list[Spoken]:
    """An object from a request in place of a text brings operators of the database along."""
    if place.engine.frame.module.imports.isdisjoint(_MONGO):
        return []
    item = place.state.heap.of(call.args[0])
    for value in item.items.values() if item is not None else ():
        if (value.name or "").startswith("flask.request."):
            name = f"{call.receiver.name if call.receiver else '?'}.execute"
            return [replace(call, name=name, args=(value,))]
    return []


# --- programs -------------------------------------------------------------------------------


def _shell(_place: Place, call: Spoken) -> list[Spoken]:
    return [Spoken("os.popen", call.args[:1])]


def _spawn(place: Place, call: Spoken) -> list[Spoken]:
    if not call.args:
        return [Spoken("subprocess.Popen", ())]
    program, *others = call.args
    given = others[0] if others else UNKNOWN
    elements = place.state.heap.elements(given)
    if elements is None:
        is_list = given.refs and not place.is_object(given)
        elements = (place.state.heap.content(given),) if is_list or given.taints else ()
    options = others[-1] if others and place.is_object(others[-1]) else UNKNOWN
    keywords: dict[str, Value] = {}
    for name, spoken in (("shell", "shell"), ("detached", "start_new_session")):
        found = place.option(options, name)
        if found is not None and found.const is not False:
            keywords[spoken] = found
    stdio = place.option(options, "stdio")
    if stdio is not None and stdio.const == "ignore":
        silent = Value(name="subprocess.DEVNULL")
        keywords |= {"stdin": silent, "stdout": silent, "stderr": silent}
    command = place.sequence(program, *elements)
    return [Spoken("subprocess.Popen", (command,), keywords)]


def _fork(place: Place, call: Spoken) -> list[Spoken]:
    return _spawn(place, replace(call, args=(constant("node"), place.sequence(*call.args[:1]))))


# --- code -----------------------------------------------------------------------------------


def _function(_place: Place, call: Spoken) -> list[Spoken]:
    return [Spoken("exec", call.args[-1:])]


def _worker(place: Place, call: Spoken) -> list[Spoken]:
    options = call.args[1] if len(call.args) > 1 else UNKNOWN
    runs = place.option(options, "eval")
    return [Spoken("exec", call.args[:1])] if runs is not None and runs.const is True else [call]


def _timer(_place: Place, call: Spoken) -> list[Spoken]:
    first = call.args[0] if call.args else UNKNOWN
    is_text = first.code is None and (first.parts is not None or first.text is not None)
    return [Spoken("exec", (first,))] if is_text or first.taints else [call]


def _buffer(_place: Place, call: Spoken) -> list[Spoken]:
    encoding = call.args[1].text if len(call.args) > 1 else None
    if encoding in ("base64", "base64url"):
        return [Spoken("base64.b64decode", call.args[:1])]
    if encoding == "hex":
        return [Spoken("bytes.fromhex", call.args[:1])]
    return [Spoken("str", call.args[:1])]


def _yaml(place: Place, call: Spoken) -> list[Spoken]:
    """Since its version 4 the package reads no functions."""
    schema = place.option(call.args[1], "schema") if len(call.args) > 1 else None
    name = (schema.name or "").lower() if schema is not None else ""
    if "safe" in name or "json" in name or "core" in name or "failsafe" in name:
        return [Spoken("yaml.safe_load", call.args[:1])]
    return [Spoken("yaml.load", call.args[:1])]


def _cipher(_place: Place, call: Spoken) -> list[Spoken]:
    kind = (call.args[0].text or "").lower() if call.args else ""
    if kind.startswith(("des", "rc4", "rc2", "bf", "blowfish", "idea")):
        return [Spoken("Crypto.Cipher.DES.new", call.args)]
    if kind.endswith("-ecb"):
        return [Spoken("cryptography.hazmat.primitives.ciphers.modes.ECB", call.args)]
    return [call]


# --- files ----------------------------------------------------------------------------------


def _read(_place: Place, call: Spoken) -> list[Spoken]:
    return [Spoken("open", (*call.args[:1], constant("r")))]


def _write(_place: Place, call: Spoken) -> list[Spoken]:
    return [Spoken("open", (*call.args[:1], constant("w")))]


def _open(_place: Place, call: Spoken) -> list[Spoken]:
    mode = call.args[1].text if len(call.args) > 1 else None
    return [Spoken("open", (*call.args[:1], constant("w" if mode and mode[0] in "wa" else "r")))]


# --- requests -------------------------------------------------------------------------------


def _request(
    place: Place, address: Value, options: Value, data: Value | None = None, *, sends: bool = False
) -> Spoken:
    keywords: dict[str, Value] = {}
    for name, spoken in (("body", "data"), ("data", "data"), ("json", "json"), ("form", "data"),
                         ("headers", "headers"), ("params", "params"), ("qs", "params"),
                         ("searchParams", "params")):  # fmt: skip
        found = place.option(options, name)
        if found is not None:
            keywords[spoken] = found
    if data is not None:
        keywords["data"] = data
    method = place.option(options, "method")
    sends = sends or "data" in keywords or "json" in keywords
    if method is not None and (method.text or "").upper() not in ("", "GET", "HEAD"):
        sends = True
    return Spoken("requests.post" if sends else "requests.get", (address,), keywords)


def _address(place: Place, value: Value) -> Value:
    """Of an address, or of an object that has its parts."""
    if not place.is_object(value):
        return value
    whole = place.option(value, "url", "uri", "href")
    if whole is not None:
        return whole
    host = place.option(value, "hostname", "host")
    if host is None:
        path = place.option(value, "socketPath")
        return path if path is not None else Value(name="?address")
    port, path = place.option(value, "port"), place.option(value, "path")
    pieces = [constant("https://"), host]
    if port is not None and port.const is not ...:
        pieces += [constant(":"), port]
    pieces += [constant("/")] if path is None or path.prefix[:1] != "/" else []
    pieces += [path] if path is not None else []
    return folding.concat(place.engine, place.node, tuple(pieces))


def _fetch(place: Place, call: Spoken) -> list[Spoken]:
    if not call.args:
        return [Spoken("requests.get", ())]
    options = call.args[1] if len(call.args) > 1 else call.args[0]
    return [_request(place, _address(place, call.args[0]), options)]


def _client(place: Place, call: Spoken) -> list[Spoken]:
    """`axios.post(url, data, config)` and its like."""
    method, args = call.method, call.args
    if not args or method in ("create", "defaults", "extend", "agent", "jar", "isAxiosError"):
        return [call]
    if method in ("post", "put", "patch") and call.name.rpartition(".")[0] in vocabulary.CLIENTS:
        data = args[1] if len(args) > 1 and args[1].code is None else None
        options = args[2] if len(args) > 2 else args[-1]
        return [_request(place, _address(place, args[0]), options, data, sends=True)]
    if method == "ajax" or place.is_object(args[0]):
        return [_request(place, _address(place, args[0]), args[0])]
    if call.name in ("$", "jQuery", "npm:jquery") or (
        call.name.startswith(("$.", "jQuery.")) and method not in ("get", "getJSON", "post")
    ):
        return [call]
    return _fetch(place, call)


def _http(place: Place, call: Spoken) -> list[Spoken]:
    plain = [each for each in call.args if each.code is None]
    if not plain:
        return [Spoken("requests.get", ())]
    spoken = _request(place, _address(place, plain[0]), plain[-1])
    return [replace(spoken, name="requests.get")]


def _send(_place: Place, call: Spoken) -> list[Spoken]:
    return [Spoken("socket.socket().sendall", call.args[:1], receiver=call.receiver)]


def _connect(place: Place, call: Spoken) -> list[Spoken]:
    args = [each for each in call.args if each.code is None]
    if args and place.is_object(args[0]):
        host = place.option(args[0], "host") or constant("localhost")
        port = place.option(args[0], "port") or UNKNOWN
    else:
        host = args[1] if len(args) > 1 else constant("localhost")
        port = args[0] if args else UNKNOWN
    return [Spoken("socket.create_connection", (place.sequence(host, port),))]


_SOCKET: Final[dict[str, Translation]] = {"write": _send, "end": _send, "send": _send,
                                          "connect": _connect}  # fmt: skip
_BY_OWNER: Final[dict[str, dict[str, Translation]]] = {
    "node:response": answering.RESPONSE,
    "node:response.status()": answering.RESPONSE,
    "node:response.type()": answering.RESPONSE,
    "node:response.set()": answering.RESPONSE,
    "node:response.code()": answering.RESPONSE,
    "node:response.header()": answering.RESPONSE,
    "socket.socket()": _SOCKET,
    "socket.create_connection()": _SOCKET,
    "requests.get()": {"write": _send, "end": _send, "send": _send},
    "XMLHttpRequest()": {
        "open": lambda p, c: [_request(p, c.args[1] if len(c.args) > 1 else UNKNOWN, UNKNOWN)],
        "send": _send,
    },
    "WebSocket()": {"send": _send},
    "npm:ws()": {"send": _send},
    "npm:ws.WebSocket()": {"send": _send},
    "node:location": {"assign": answering.redirect, "replace": answering.redirect},
    "document": {"write": answering.markup, "writeln": answering.markup},
}  # fmt: skip


def _named(names: str, translation: Translation) -> dict[str, Translation]:
    return dict.fromkeys(names.split(), translation)


_TRANSLATIONS: Final[dict[str, Translation]] = {
    **_named("node:child_process.exec npm:shelljs.exec npm:execa.command npm:execa.execaCommand "
             "npm:child-process-promise.exec npm:node-cmd.run npm:node-cmd.get", _shell),
    **_named("node:child_process.spawn node:child_process.execFile npm:cross-spawn npm:execa "
             "npm:execa.execa npm:cross-spawn.spawn npm:cross-spawn.sync npm:execa.sync "
             "npm:child-process-promise.spawn npm:node-pty.spawn npm:tinyexec.x", _spawn),
    "node:child_process.fork": _fork,
    "Function": _function,
    "node:worker_threads.Worker": _worker,
    **_named("setTimeout setInterval setImmediate", _timer),
    **_named("Buffer.from Buffer node:buffer.Buffer.from", _buffer),
    **_named("npm:js-yaml.load npm:js-yaml.loadAll", _yaml),
    **_named("node:crypto.createCipheriv node:crypto.createCipher node:crypto.createDecipheriv",
             _cipher),
    **_named("node:fs.readFile node:fs.createReadStream npm:fs-jetpack.read", _read),
    **_named("node:fs.writeFile node:fs.appendFile node:fs.createWriteStream node:fs.outputFile",
             _write),
    "node:fs.open": _open,
    **_named("fetch node:context.fetch heimnetz.context.fetch npm:node-fetch npm:cross-fetch "
             "npm:undici.fetch npm:undici.request npm:isomorphic-fetch Request", _fetch),
    **_named("node:http.get node:http.request node:https.get node:https.request "
             "node:http2.connect npm:follow-redirects.http.get npm:follow-redirects.https.get "
             "npm:follow-redirects.http.request npm:follow-redirects.https.request", _http),
    **_named("socket.create_connection", _connect),
}  # fmt: skip
