"""The Python runner: process 1 of a plugin's container. Standard library only.

Process 1 supervises: it holds the socket to the sandbox, and never runs a line of the plugin, which
runs in a worker, a child whose output and answer come through pipes. The protocol is in
docs/runner-protocol.md. The sandbox believes nothing that comes from here.
"""

import base64
import codecs
import contextlib
import ctypes
import errno
import importlib
import json
import os
import selectors
import signal
import socket
import stat
import struct
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

sys.path.append("/opt/heimnetz")
import forwarding
import storage

PROTOCOL = 1
SOCKET = "/run/heimnetz/runner.sock"
OUT = Path("/out")
CHUNK_BYTES = 64 * 1024
FILE_CHUNK_BYTES = 192 * 1024
HEADER = struct.Struct(">I")
PR_SET_DUMPABLE = 4
OF_WORKER = (b'{"type": "log"', b'{"type": "ready"', b'{"type": "result"', b'{"type": "error"')
SEARCHED = ("/plugin/src", "/plugin", "/deps")
TMP = "/tmp"  # noqa: S108  a tmpfs of this container alone
ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": TMP, "LANG": "C.UTF-8"}


def encode(frame: dict[str, Any]) -> bytes:
    body = json.dumps(frame, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")
    return HEADER.pack(len(body)) + body


class Frames:
    """Takes bytes in any portions, gives whole frames."""

    def __init__(self, max_bytes: int) -> None:
        self.buffer = bytearray()
        self.max_bytes = max_bytes

    def feed(self, data: bytes) -> list[bytes]:
        """Raises: OverflowError, for a frame that announces more than it may have."""
        self.buffer += data
        frames = []
        while len(self.buffer) >= HEADER.size:
            (length,) = HEADER.unpack_from(self.buffer)
            if length > self.max_bytes:
                raise OverflowError(length)
            if len(self.buffer) < HEADER.size + length:
                break
            frames.append(bytes(self.buffer[HEADER.size : HEADER.size + length]))
            del self.buffer[: HEADER.size + length]
        return frames


def first_frame(read: Callable[[int], bytes], frames: Frames) -> bytes:
    while data := read(CHUNK_BYTES):
        for frame in frames.feed(data):
            return frame
    os._exit(0)


def set_dumpable(value: int) -> None:
    """0 keeps other processes of the same user out of /proc/<pid>/{mem,environ,fd}: prctl(2)."""
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, value, 0, 0, 0)


class Worker:
    """Imports the plugin, says that it is ready, makes one call, ends."""

    def __init__(self, load: dict[str, Any], calls: int, answers: int) -> None:
        self.load, self.calls, self.answers = load, calls, answers

    def live(self) -> NoReturn:
        try:
            function = self.find_function()
            self.say({"type": "ready"})
            call = json.loads(first_frame(lambda size: os.read(self.calls, size), Frames(1 << 30)))
            text = json.dumps(
                function(call["input"], self.context(call)), ensure_ascii=False, allow_nan=False
            )
            text.encode("utf-8")
            if len(text) > self.load["result_bytes"]:
                self.fail("output_limit", "the result is larger than its limit")
            else:
                self.say({"type": "result", "json": text})
        except BaseException as error:  # noqa: BLE001  the edge of the plugin: everything ends here
            self.report(error)
        with contextlib.suppress(BaseException):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(0)  # threads and exit hooks of the plugin must not hold the run up

    def find_function(self) -> Any:
        sys.path[:0] = [folder for folder in SEARCHED if Path(folder).is_dir()]
        module, _, name = self.load["entry_point"].partition(":")
        return getattr(importlib.import_module(module), name)

    def context(self, call: dict[str, Any]) -> SimpleNamespace:
        return SimpleNamespace(
            config=call["configuration"],
            files={name: Path("/in") / name for name in call["files"]},
            out=OUT,
            storage=storage.Storage(),
            run_id=call["run_id"],
            trace_id=call["trace_id"],
            log=lambda message, /: self.say({"type": "log", "text": f"{message}\n"}),
        )

    def report(self, error: BaseException) -> None:
        with contextlib.suppress(BaseException):
            traceback.print_exception(error)
        cause = "out_of_memory" if isinstance(error, MemoryError) else "error"
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
            cause = "disk_limit"
        self.fail(cause, f"{type(error).__name__}: {error}")

    def fail(self, cause: str, reason: str) -> None:
        self.say({"type": "error", "cause": cause, "reason": reason[:2000]})

    def say(self, frame: dict[str, Any]) -> None:
        data = memoryview(encode(frame))
        while data:
            data = data[os.write(self.answers, data) :]


def become_worker(load: dict[str, Any], ends: dict[str, tuple[int, int]]) -> NoReturn:
    null = os.open("/dev/null", os.O_RDONLY)
    for target, source in enumerate((null, ends["stdout"][1], ends["stderr"][1])):
        os.dup2(source, target)
    calls, answers = ends["calls"][0], ends["answers"][1]
    low, high = sorted((calls, answers))
    for first, last in ((3, low), (low + 1, high), (high + 1, 1 << 16)):
        os.closerange(first, last)
    set_dumpable(1)
    os.environ.clear()
    os.environ.update(ENVIRONMENT | forwarding.VARIABLES)
    os.chdir(TMP)
    sys.argv = ["plugin"]
    Worker(load, calls, answers).live()


class Supervisor:
    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.incoming = Frames(64 << 20)
        self.answers = Frames(0)
        decoder = codecs.getincrementaldecoder("utf-8")
        self.decoders = {name: decoder("backslashreplace") for name in ("stdout", "stderr")}
        self.selector = selectors.DefaultSelector()
        self.pending = bytearray()
        self.ends: dict[str, tuple[int, int]] = {}

    def run(self) -> None:
        self.send({"type": "hello", "protocol": PROTOCOL, "runtime": sys.version.split()[0]})
        load = json.loads(first_frame(self.connection.recv, self.incoming))
        self.answers.max_bytes = load["max_frame_bytes"]
        listener = forwarding.listen()
        worker = self.start(load)
        forwarding.start(listener)
        watch = os.pidfd_open(worker)
        self.selector.register(watch, selectors.EVENT_READ, "end")
        self.selector.register(self.connection, selectors.EVENT_READ, "sandbox")
        while not self.turn(worker):
            pass
        _, status = os.waitpid(worker, 0)
        # Nothing that the plugin started may outlive its call, or write while we collect.
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)
        self.drain()
        code = os.waitstatus_to_exitcode(status)
        self.send({"type": "exit", "code": max(code, 0), "signal": max(-code, 0)})
        self.send_files()
        self.send({"type": "end"})
        # Only when the sandbox has read our counters and hung up may the container vanish.
        while self.connection.recv(CHUNK_BYTES):
            pass

    def start(self, load: dict[str, Any]) -> int:
        self.ends = {name: os.pipe() for name in ("stdout", "stderr", "calls", "answers")}
        worker = os.fork()
        if worker == 0:
            become_worker(load, self.ends)
        for name, (read, write) in self.ends.items():
            kept, other = (write, read) if name == "calls" else (read, write)
            os.close(other)
            os.set_blocking(kept, False)
            if name != "calls":
                self.selector.register(kept, selectors.EVENT_READ, name)
        return worker

    def turn(self, worker: int) -> bool:
        """Whether the worker has ended."""
        has_ended = False
        for key, _ in self.selector.select():
            if key.data == "end":
                has_ended = True
            elif key.data == "calls":
                self.pass_call_on(key.fd)
            elif key.data == "sandbox":
                self.hear_sandbox()
            elif not self.hear_worker(key.data, key.fd):
                self.selector.unregister(key.fd)
                if key.data == "answers" and self.answers.max_bytes < 0:
                    os.kill(worker, signal.SIGKILL)
        return has_ended

    def hear_sandbox(self) -> None:
        data = self.connection.recv(CHUNK_BYTES)
        if not data:
            os._exit(0)  # the sandbox is gone, and nobody waits for an answer
        for frame in self.incoming.feed(data):
            self.pending += HEADER.pack(len(frame)) + frame
            with contextlib.suppress(KeyError):
                self.selector.register(self.ends["calls"][1], selectors.EVENT_WRITE, "calls")

    def pass_call_on(self, descriptor: int) -> None:
        try:
            del self.pending[: os.write(descriptor, self.pending)]
        except BrokenPipeError:
            self.pending.clear()
        except BlockingIOError:
            return
        if not self.pending:
            self.selector.unregister(descriptor)
            os.close(descriptor)

    def hear_worker(self, name: str, descriptor: int) -> bool:
        """Whether there may be more to hear."""
        try:
            data = os.read(descriptor, CHUNK_BYTES)
        except BlockingIOError:
            return True
        if name != "answers":
            text = self.decoders[name].decode(data, final=not data)
            if text:
                self.send({"type": "log", "stream": name, "text": text})
            return bool(data)
        try:
            for frame in self.answers.feed(data):
                if not frame.startswith(OF_WORKER):
                    raise OverflowError
                self.connection.sendall(HEADER.pack(len(frame)) + frame)
        except OverflowError:
            self.answers.max_bytes = -1
            self.send({"type": "error", "cause": "output_limit", "reason": "too large a frame"})
            return False
        return bool(data)

    def drain(self) -> None:
        for key in list(self.selector.get_map().values()):
            if key.data in ("stdout", "stderr", "answers"):
                for _ in range(64):
                    with contextlib.suppress(BlockingIOError):
                        if not self.hear_worker(key.data, key.fd):
                            break

    def send_files(self) -> None:
        """Regular files of /out alone; links and devices are not followed, nor are folders."""
        for entry in sorted(os.scandir(OUT), key=lambda entry: entry.name):
            try:
                descriptor = os.open(entry.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            except OSError:
                continue
            with os.fdopen(descriptor, "rb") as file:
                if stat.S_ISREG(os.fstat(descriptor).st_mode):
                    self.send({"type": "file", "name": entry.name})
                    while data := file.read(FILE_CHUNK_BYTES):
                        self.send({"type": "data", "base64": base64.b64encode(data).decode()})

    def send(self, frame: dict[str, Any]) -> None:
        self.connection.sendall(encode(frame))


def main() -> None:
    set_dumpable(0)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.connect(SOCKET)
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        Supervisor(connection).run()


if __name__ == "__main__":
    main()
