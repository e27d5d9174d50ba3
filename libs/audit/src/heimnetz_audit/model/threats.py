"""Questions that several checks for harmful behaviour ask."""

import ast
import re
from collections.abc import Iterator
from typing import Final

from heimnetz_audit.model.code import PythonModule
from heimnetz_audit.model.values import Call, Value

#: Calls that start a program.
PROCESSES: Final = (
    "os.system os.popen os.execv os.execve os.execvp os.execl os.execlp os.execle os.spawnv "
    "os.spawnl os.spawnlp os.posix_spawn os.startfile subprocess.run subprocess.call "
    "subprocess.check_call subprocess.Popen subprocess.check_output subprocess.getoutput "
    "subprocess.getstatusoutput asyncio.create_subprocess_exec asyncio.create_subprocess_shell "
    "pty.spawn commands.getoutput ctypes.windll.shell32.ShellExecuteW "
    "win32api.ShellExecute multiprocessing.Process"
)
_METHODS: Final = ("get", "post", "put", "patch", "delete", "head", "request", "stream")
#: Calls that send what they are given to another machine.
SENDERS: Final = " ".join(
    f"{owner}.{method}"
    for owner in (
        "requests", "httpx", "requests.Session()", "requests.session()", "httpx.Client()",
        "httpx.AsyncClient()", "aiohttp.ClientSession()", "urllib3.PoolManager()", "urllib3",
    )
    for method in _METHODS
) + (
    " urllib.request.urlopen urllib.request.Request urllib2.urlopen urllib.urlopen "
    "http.client.HTTPSConnection().request http.client.HTTPConnection().request "
    "socket.socket().send socket.socket().sendall socket.socket().sendto "
    "socket.create_connection().send socket.create_connection().sendall "
    "ssl.wrap_socket().sendall smtplib.SMTP().sendmail smtplib.SMTP().send_message "
    "smtplib.SMTP_SSL().sendmail smtplib.SMTP_SSL().send_message ftplib.FTP().storbinary "
    "ftplib.FTP().storlines socket.gethostbyname socket.getaddrinfo dns.resolver.resolve "
    "dns.resolver.query discord_webhook.DiscordWebhook telegram.Bot().send_message "
    "telegram.Bot().send_document websocket.create_connection().send "
    "paho.mqtt.client.Client().publish telebot.TeleBot().send_message "
    "telebot.TeleBot().send_document boto3.client().put_object paramiko.SFTPClient().put"
)  # fmt: skip
NETWORK_MODULES: Final = frozenset(
    "requests httpx urllib urllib2 urllib3 socket aiohttp http smtplib ftplib websocket "
    "telegram telebot discord paramiko discord_webhook".split()
)


def texts_of(call: Call) -> Iterator[str]:
    """Every text that is known to be part of an argument."""
    for value in call.every():
        yield from value.texts()
        for element in call.elements(value) or ():
            yield from element.texts()


def line_of(call: Call) -> str:
    """The command line of a call that starts a program, as far as it is known."""
    pieces: list[str] = []
    for value in call.every()[:3]:
        elements = call.elements(value)
        pieces.extend(_whole(each) for each in (elements if elements is not None else (value,)))
    return " ".join(pieces)


def _whole(value: Value) -> str:
    if value.parts is not None:
        return "".join(part if isinstance(part, str) else "?" for part in value.parts)
    return next(value.texts(), "")


def strings(module: PythonModule) -> Iterator[tuple[int, str]]:
    """Every text constant with its line; docstrings are prose and left out."""
    prose = _docstrings(module)
    for node in module.nodes:
        if isinstance(node, ast.Constant) and id(node) not in prose:
            if isinstance(node.value, str):
                yield node.lineno, node.value
            elif isinstance(node.value, bytes):
                yield node.lineno, node.value.decode("latin-1")


def _docstrings(module: PythonModule) -> set[int]:
    return {
        id(n.value)
        for n in module.nodes
        if isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant)
    }


def first_match(module: PythonModule, pattern: re.Pattern[str]) -> tuple[int, re.Match[str]] | None:
    for line, text in strings(module):
        found = pattern.search(text[:20_000])
        if found is not None:
            return line, found
    return None


def reaches_network(module: PythonModule) -> bool:
    return not module.imports.isdisjoint(NETWORK_MODULES)
