"""Process 1 of a plugin's container: the only one that the sandbox talks to.

It supervises: it holds the socket to the sandbox, and never runs a line of the plugin, which
runs in children whose output and answers come through pipes. The protocol is in
docs/runner-protocol.md. The sandbox believes nothing that comes from here.
"""

from __future__ import annotations

import binascii
import codecs
import contextlib
import json
import os
import selectors
import signal
import socket
import stat
import sys

sys.path.append("/opt/heimnetz")
import forwarding
from clearing import bury, empty, end_others, watch_end
from framing import CHUNK_BYTES, HEADER, Frames, encode, first_frame
from working import ENDS, ENVIRONMENT, OUT, TMP, become_template, become_worker, set_dumpable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

PROTOCOL = 1
SOCKET = "/run/heimnetz/runner.sock"
FILE_CHUNK_BYTES = 192 * 1024
OF_WORKER = tuple(
    b'{"type": "%s"' % kind for kind in (b"log", b"ready", b"result", b"error", b"seen")
)


class Supervisor:
    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.incoming = Frames(64 << 20)
        self.answers = Frames(0)
        self.max_frame = 0
        decoder = codecs.getincrementaldecoder("utf-8")
        self.decoders = {name: decoder("backslashreplace") for name in ("stdout", "stderr")}
        self.selector = selectors.DefaultSelector()
        self.pending = bytearray()
        self.calls = -1
        self.is_ready = self.was_called = False
        self.of_call: set[int] = set()
        self.ends: dict[int, int] = {}
        self.control = self.connection

    def run(self) -> None:
        self.send({"type": "hello", "protocol": PROTOCOL, "runtime": sys.version.split()[0]})
        load = json.loads(first_frame(self.connection.recv, self.incoming))
        self.max_frame = load["max_frame_bytes"]
        self.selector.register(self.connection, selectors.EVENT_READ, "sandbox")
        listener = forwarding.listen()
        if load["is_reused"]:
            self.serve_many(self.start_template(load), listener)
        else:
            worker = self.start(load)
            forwarding.start(listener)
            self.serve(worker)
        # Only when the sandbox has read our counters and hung up may the container vanish.
        while self.connection.recv(CHUNK_BYTES):
            pass

    def serve(self, worker: int, kept: int | None = None) -> None:
        """Until the worker has ended."""
        with self.watching(worker):
            while not self.turn(worker):
                pass
        _, status = os.waitpid(worker, 0)
        os.close(self.ends.pop(worker))
        if self.is_ready and not self.was_called:
            os._exit(0)  # it ended while it waited
        # Nothing that the plugin started may outlive its call, or write while we collect.
        end_others(kept)
        self.drain()
        self.forget_call()
        code = os.waitstatus_to_exitcode(status)
        self.send({"type": "exit", "code": max(code, 0), "signal": max(-code, 0)})
        self.send_files()
        self.send({"type": "end"})

    def serve_many(self, template: int, listener: socket.socket) -> None:
        """Each call in a copy of the template, until that ends or the sandbox hangs up."""
        forwarding.start(listener)
        while self.await_call(template):
            self.serve(self.copy(), template)
            bury(template)
            self.greet_template()
            for folder in (TMP, OUT):
                empty(folder)
            self.send({"type": "ready"})
        if self.is_ready:
            os._exit(0)  # it ended while it waited
        self.serve(template)

    def greet_template(self) -> None:
        """One that is about to die answers no more."""
        self.control.send(b"ping")
        if self.control.recv(16) != b"pong":
            os._exit(0)

    def await_call(self, template: int) -> bool:
        """Whether one came before the template ended."""
        with self.watching(template):
            while not self.pending:
                if self.turn(template):
                    return False
        return True

    @contextlib.contextmanager
    def watching(self, process: int) -> Iterator[None]:
        if process not in self.ends:
            self.ends[process] = watch_end(process)
        self.selector.register(self.ends[process], selectors.EVENT_READ, "end")
        yield
        self.selector.unregister(self.ends[process])

    def start(self, load: dict[str, Any]) -> int:
        far = self.make_pipes()
        worker = os.fork()
        if worker == 0:
            become_worker(load, far)
        close(far.values())
        return worker

    def start_template(self, load: dict[str, Any]) -> int:
        far = self.make_pipes()
        self.control, control = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        template = os.fork()
        if template == 0:
            become_template(load, far, control.fileno())
        close(far.values())
        control.close()
        # What it reads are orders; a call goes to the copy that makes it.
        os.close(self.calls)
        self.calls = -1
        self.of_call.clear()
        return template

    def copy(self) -> int:
        far = self.make_pipes()
        socket.send_fds(self.control, [b"copy"], [far[name] for name in ENDS])
        close(far.values())
        answer = self.control.recv(4)
        if not answer:
            os._exit(0)
        self.selector.register(self.calls, selectors.EVENT_WRITE, "calls")
        return int.from_bytes(answer, "big")

    def make_pipes(self) -> dict[str, int]:
        """The far ends; ours are listened to."""
        far = {}
        self.answers = Frames(self.max_frame)
        for name in ENDS:
            read, write = os.pipe()
            kept, far[name] = (write, read) if name == "calls" else (read, write)
            os.set_blocking(kept, False)
            if name == "calls":
                self.calls = kept
            else:
                self.of_call.add(kept)
                self.selector.register(kept, selectors.EVENT_READ, name)
        return far

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
                self.forget(key.fd)
                if key.data == "answers" and self.answers.max_bytes < 0:
                    os.kill(worker, signal.SIGKILL)
        return has_ended

    def hear_sandbox(self) -> None:
        data = self.connection.recv(CHUNK_BYTES)
        if not data:
            os._exit(0)  # the sandbox is gone, and nobody waits for an answer
        for frame in self.incoming.feed(data):
            self.was_called = True
            self.pending += HEADER.pack(len(frame)) + frame
            with contextlib.suppress(KeyError, ValueError):  # it is already, or there is none
                self.selector.register(self.calls, selectors.EVENT_WRITE, "calls")

    def pass_call_on(self, descriptor: int) -> None:
        try:
            del self.pending[: os.write(descriptor, self.pending)]
        except BrokenPipeError:
            self.pending.clear()
        except BlockingIOError:
            return
        if not self.pending:
            self.forget(descriptor)
            self.calls = -1

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
                self.is_ready |= frame.startswith(b'{"type": "ready"')
                self.connection.sendall(HEADER.pack(len(frame)) + frame)
        except OverflowError:
            self.answers.max_bytes = -1
            self.send({"type": "error", "cause": "output_limit", "reason": "too large a frame"})
            return False
        return bool(data)

    def forget(self, descriptor: int) -> None:
        self.of_call.discard(descriptor)
        with contextlib.suppress(KeyError):
            self.selector.unregister(descriptor)
        os.close(descriptor)

    def forget_call(self) -> None:
        """What comes late, of a process that takes a moment to end, is nobody's."""
        if self.calls != -1:
            self.of_call.add(self.calls)
        for descriptor in tuple(self.of_call):
            self.forget(descriptor)
        self.calls = -1
        self.pending.clear()

    def drain(self) -> None:
        for key in list(self.selector.get_map().values()):
            if key.data in ("stdout", "stderr", "answers"):
                for _ in range(64):
                    if not self.hear_worker(key.data, key.fd):
                        self.forget(key.fd)
                        break

    def send_files(self) -> None:
        """Regular files of /out alone; links and devices are not followed, nor are folders."""
        for entry in sorted(os.scandir(OUT), key=lambda entry: entry.name):
            try:
                descriptor = os.open(entry.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            except OSError:
                continue
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                self.send({"type": "file", "name": entry.name})
                while data := os.read(descriptor, FILE_CHUNK_BYTES):
                    text = binascii.b2a_base64(data, newline=False).decode()
                    self.send({"type": "data", "base64": text})
            os.close(descriptor)

    def send(self, frame: dict[str, Any]) -> None:
        self.connection.sendall(encode(frame))


def close(descriptors: Iterable[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def main() -> None:
    set_dumpable(0)
    # What the workers inherit; set here, its pages are theirs and ours.
    os.environ.clear()
    os.environ.update(ENVIRONMENT | forwarding.VARIABLES)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.connect(SOCKET)
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        Supervisor(connection).run()


if __name__ == "__main__":
    main()
