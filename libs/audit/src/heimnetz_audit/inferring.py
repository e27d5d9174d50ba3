"""What the code can reach, and how that differs from what its author declared."""

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Final
from urllib.parse import urlsplit

from heimnetz_audit.checks import permissions
from heimnetz_audit.model import (
    Call,
    Check,
    DeclaredPermissions,
    Hit,
    InferredPermissions,
    PermissionDifference,
    Value,
)

_HTTP: Final = frozenset(
    f"{module}.{method}"
    for module in (
        "requests", "httpx", "requests.Session()", "requests.session()", "httpx.Client()",
        "httpx.AsyncClient()", "aiohttp.ClientSession()",
    )
    for method in ("get", "post", "put", "patch", "delete", "head", "options", "request", "stream")
) | {
    "urllib.request.urlopen", "urllib.request.urlretrieve", "urllib.request.Request",
    "urllib3.PoolManager().request", "urllib3.request", "wget.download", "websockets.connect",
    "websocket.create_connection", "pycurl.Curl().setopt",
}  # fmt: skip
_HOSTS: Final = {
    "socket.create_connection": 0, "socket.socket().connect": 0, "socket.socket().connect_ex": 0,
    "socket.socket().sendto": 1, "http.client.HTTPConnection": 0,
    "http.client.HTTPSConnection": 0, "smtplib.SMTP": 0, "smtplib.SMTP_SSL": 0, "ftplib.FTP": 0,
    "telnetlib.Telnet": 0, "imaplib.IMAP4_SSL": 0, "poplib.POP3_SSL": 0,
    "paramiko.SSHClient().connect": 0, "asyncio.open_connection": 0, "ldap3.Server": 0,
    "psycopg.connect": 0, "redis.Redis": 0,
}  # fmt: skip
_DEFAULT_PORTS: Final = {
    "http.client.HTTPConnection": 80, "http.client.HTTPSConnection": 443, "smtplib.SMTP": 25,
    "smtplib.SMTP_SSL": 465, "ftplib.FTP": 21, "telnetlib.Telnet": 23, "imaplib.IMAP4_SSL": 993,
    "poplib.POP3_SSL": 995, "paramiko.SSHClient().connect": 22, "redis.Redis": 6379,
}  # fmt: skip
_PROCESSES: Final = frozenset(
    (
        "os.system os.popen os.execv os.execve os.execvp os.execl os.execlp os.spawnv os.spawnl "
        "os.posix_spawn subprocess.run subprocess.call subprocess.check_call subprocess.Popen "
        "subprocess.check_output subprocess.getoutput subprocess.getstatusoutput pty.spawn "
        "asyncio.create_subprocess_exec asyncio.create_subprocess_shell os.startfile "
        "multiprocessing.Process os.fork"
    ).split()
)
_READS: Final = frozenset(
    {"pathlib.Path().read_text", "pathlib.Path().read_bytes", "os.listdir", "os.scandir",
     "os.walk", "glob.glob", "pathlib.Path().iterdir", "shutil.copy", "shutil.copyfile"}
)  # fmt: skip
_WRITES: Final = frozenset(
    {"pathlib.Path().write_text", "pathlib.Path().write_bytes", "os.remove", "os.unlink",
     "os.rename", "os.makedirs", "os.mkdir", "shutil.rmtree", "pathlib.Path().unlink",
     "pathlib.Path().mkdir", "os.chmod"}
)  # fmt: skip
_FILES: Final = _READS | _WRITES | {"open", "io.open"}
_DYNAMIC: Final = frozenset(
    {"exec", "eval", "compile", "__import__", "importlib.import_module", "types.FunctionType",
     "types.CodeType", "marshal.loads", "pickle.loads", "pickle.load", "runpy.run_path"}
)  # fmt: skip
_NATIVE: Final = frozenset({"ctypes.CDLL", "ctypes.cdll.LoadLibrary", "ctypes.WinDLL",
                            "cffi.FFI().dlopen", "ctypes.util.find_library"})  # fmt: skip
_PORTS_OF_SCHEMES: Final[dict[str, int | str]] = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_EVENTS: Final = frozenset({"publish", "emit", "publish_event"})


class Reach:
    """What was seen of it, while the code is walked."""

    def __init__(self) -> None:
        self.network: set[str] = set()
        self.files_read: set[str] = set()
        self.files_written: set[str] = set()
        self.processes: set[str] = set()
        self.environment: set[str] = set()
        self.events: set[str] = set()
        self.dynamic_code: set[str] = set()
        self.native_code: set[str] = set()

    def observe(self, call: Call) -> None:
        name = call.name
        if name in _HTTP:
            self._observe_address(call)
        elif name in _HOSTS:
            self._observe_host(call)
        elif name in _PROCESSES:
            self.processes.add(_program(call))
        elif name in _FILES:
            self._observe_file(call)
        elif name in ("os.getenv", "os.environ.get"):
            self.environment.add(shown(call.argument(0, "key")))
        elif name in _DYNAMIC:
            if not (call.args and call.args[0].const is not ...):
                self.dynamic_code.add(f"{name} in {call.file}")
        elif name in _NATIVE:
            self.native_code.add(shown(call.argument(0, "name")))
        elif call.method in _EVENTS and name.startswith(("heimnetz", "?")) and call.args:
            text = call.args[0].text
            if text is not None:
                self.events.add(text)

    def merge(self, other: "Reach") -> None:
        for name, found in vars(other).items():
            getattr(self, name).update(found)

    def _observe_address(self, call: Call) -> None:
        at = 1 if call.method in ("request", "stream") else 0
        address = call.argument(at, "url")
        if call.name in ("urllib3.request", "urllib3.PoolManager().request"):
            address = call.argument(1, "url")
        if address is None:
            return
        texts = [c for c in address.consts or () if isinstance(c, str)] or [address.prefix]
        for text in texts:
            self.network.add(target(text))

    def _observe_host(self, call: Call) -> None:
        value = call.argument(_HOSTS[call.name], "host")
        elements = call.elements(value) if value is not None else None
        port: Value | None = call.argument(_HOSTS[call.name] + 1, "port")
        if elements is not None and len(elements) >= 2:
            value, port = elements[0], elements[1]
        number = port.const if port is not None else _DEFAULT_PORTS.get(call.name, "*")
        shown_port = number if isinstance(number, int) and number else "*"
        if number == 0:
            shown_port = _DEFAULT_PORTS.get(call.name, "*")
        self.network.add(f"{shown(value)}:{shown_port}")

    def _observe_file(self, call: Call) -> None:
        path = _path(call)
        if call.name in _READS:
            self.files_read.add(path)
            return
        if call.name in _WRITES:
            self.files_written.add(path)
            return
        mode = call.argument(1, "mode")
        text = mode.text if mode is not None else "r"
        if text is None or any(letter in text for letter in "wax+"):
            self.files_written.add(path)
        if text is None or "r" in text or "+" in text:
            self.files_read.add(path)


def shown(value: Value | None) -> str:
    """A constant as it is, a text with a known beginning with `*` for the rest."""
    if value is None:
        return "*"
    const = value.const
    if isinstance(const, str | bytes):
        return const if isinstance(const, str) else const.decode("latin-1")
    return f"{value.prefix}*" if value.prefix else "*"


def _path(call: Call) -> str:
    if call.name.startswith("pathlib.Path()."):
        return shown(call.receiver)
    return shown(call.argument(0, "file"))


def _program(call: Call) -> str:
    value = call.argument(0, "args")
    elements = call.elements(value) if value is not None else None
    if elements:
        return shown(elements[0])
    text = shown(value)
    return text.split()[0] if text.split() else "*"


def target(address: str) -> str:
    """`host:port` of an address of which only the beginning may be known."""
    try:
        parts = urlsplit(address)
        port = parts.port or _PORTS_OF_SCHEMES.get(parts.scheme, "*")
        host = parts.hostname
    except ValueError:
        return "*:*"
    if not host:
        return "*:*"
    is_whole = bool(parts.path) or "/" in address.partition("://")[2]
    return f"{host if is_whole or '.' in host else '*'}:{port}"


def conclude(reach: Reach) -> InferredPermissions:
    return InferredPermissions(
        **{
            name: tuple(sorted(getattr(reach, name)))
            for name in InferredPermissions.__dataclass_fields__
        }
    )


def compare(declared: DeclaredPermissions, inferred: InferredPermissions) -> PermissionDifference:
    undeclared: list[str] = []
    unused: list[str] = []
    pairs = (
        ("network", declared.network, inferred.network),
        ("environment", declared.environment, inferred.environment),
        ("events", declared.events, inferred.events),
        ("processes", declared.processes, inferred.processes),
        ("files", declared.files, tuple(sorted({*inferred.files_read, *inferred.files_written}))),
    )
    for kind, wanted, found in pairs:
        undeclared += [f"{kind}: {n}" for n in found if not any(_covers(w, n) for w in wanted)]
        unused += [f"{kind}: {w}" for w in wanted if not any(_covers(w, n) for n in found)]
    if inferred.dynamic_code and not declared.dynamic_code:
        undeclared += [f"dynamic code: {name}" for name in inferred.dynamic_code]
    if inferred.native_code and not declared.native_code:
        undeclared += [f"native code: {name}" for name in inferred.native_code]
    return PermissionDifference(undeclared=tuple(undeclared), unused=tuple(unused))


def _covers(declared: str, name: str) -> bool:
    if fnmatchcase(name, declared) or fnmatchcase(declared, name):
        return True
    return ":" not in declared and fnmatchcase(name.rpartition(":")[0], declared)


def questions(
    declared: DeclaredPermissions, inferred: InferredPermissions, difference: PermissionDifference
) -> Iterator[tuple[Check, Hit]]:
    """What a manifest gives reason to ask."""
    yield from permissions.ask(declared, inferred, difference)
