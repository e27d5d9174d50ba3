"""The processes that the plugin's own code runs in: one a call, or a template and its copies."""

from __future__ import annotations

import _thread
import contextlib
import ctypes
import errno
import functools
import importlib
import json
import os
import socket
import sys
from types import SimpleNamespace

import broker
import framing
import seeing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any, NoReturn

OUT = "/out"
PR_SET_DUMPABLE = 4
SEARCHED = ("/plugin/src", "/plugin", "/deps")
TMP = "/tmp"  # noqa: S108  a tmpfs of this container alone
ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": TMP, "LANG": "C.UTF-8"}
# What a copy is given, in this order: the far ends of the pipes of one call.
ENDS = ("calls", "answers", "stdout", "stderr")


def set_dumpable(value: int) -> None:
    """0 keeps other processes of the same user out of /proc/<pid>/{mem,environ,fd}: prctl(2)."""
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, value, 0, 0, 0)


class Context(SimpleNamespace):
    """`Path` is imported for who asks for one: it is large, and most calls have no files."""

    @functools.cached_property
    def files(self) -> dict[str, Path]:
        from pathlib import Path

        return {name: Path("/in") / name for name in self.names}

    @functools.cached_property
    def out(self) -> Path:
        from pathlib import Path

        return Path(OUT)


class Worker:
    """Imports the plugin, says that it is ready, makes one call, ends."""

    def __init__(self, load: dict[str, Any], calls: int, answers: int) -> None:
        self.load, self.calls, self.answers = load, calls, answers
        # Threads of the plugin may speak too, and frames must not mix.
        self.lock = _thread.allocate_lock()

    def live(self) -> NoReturn:
        self.serve(self.loaded())

    def loaded(self) -> Any:
        """The plugin's function; the process ends where there is none."""
        seeing.begin(self.tell)
        try:
            sys.path[:0] = [folder for folder in SEARCHED if os.path.isdir(folder)]
            module, _, name = self.load["entry_point"].partition(":")
            function = getattr(importlib.import_module(module), name)
            self.say({"type": "ready"})
        except BaseException as error:  # noqa: BLE001  the edge of the plugin: everything ends here
            self.report(error)
            self.end()
        return function

    def tell(self, kind: str, target: str) -> None:
        self.say({"type": "seen", "kind": kind, "target": target})

    def serve(self, function: Any) -> NoReturn:
        seeing.WATCH.tell = self.tell
        try:
            read = framing.Frames(1 << 30)
            call = json.loads(framing.first_frame(lambda size: os.read(self.calls, size), read))
            is_traced = call.get("traces_memory", False)
            if is_traced:
                import tracing

                tracing.begin(self.say)
            text = json.dumps(
                function(call["input"], self.context(call)), ensure_ascii=False, allow_nan=False
            )
            if is_traced:
                tracing.tell(self.say)
            text.encode("utf-8")
            if len(text) > self.load["result_bytes"]:
                self.fail("output_limit", "the result is larger than its limit")
            else:
                self.say({"type": "result", "json": text})
        except BaseException as error:  # noqa: BLE001  the edge of the plugin: everything ends here
            self.report(error)
        self.end()

    def end(self) -> NoReturn:
        with contextlib.suppress(BaseException):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(0)  # threads and exit hooks of the plugin must not hold the run up

    def context(self, call: dict[str, Any]) -> Context:
        context = Context(
            names=call["files"],
            config=call["configuration"],
            storage=broker.Storage(),
            fetch=broker.fetch,
            publish=broker.publish,
            call=broker.call,
            run_id=call["run_id"],
            trace_id=call["trace_id"],
            log=lambda message, /: self.say({"type": "log", "text": f"{message}\n"}),
        )
        if call["is_service"]:
            from heimnetz_sdk import serving

            context.listener = serving.take_listener()
            context.serve = functools.partial(serving.serve, context.listener)
        return context

    def report(self, error: BaseException) -> None:
        with contextlib.suppress(BaseException):
            sys.__excepthook__(type(error), error, error.__traceback__)
        cause = "out_of_memory" if isinstance(error, MemoryError) else "error"
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
            cause = "disk_limit"
        self.fail(cause, f"{type(error).__name__}: {error}")

    def fail(self, cause: str, reason: str) -> None:
        self.say({"type": "error", "cause": cause, "reason": reason[:2000]})

    def say(self, frame: dict[str, Any]) -> None:
        with self.lock:
            framing.write(self.answers, frame)


def become_worker(load: dict[str, Any], ends: dict[str, int]) -> NoReturn:
    settle(ends)
    set_dumpable(1)
    Worker(load, ends["calls"], ends["answers"]).live()


def settle(ends: dict[str, int], *others: int) -> None:
    """In a child of the supervisor: nothing of it stays but the pipes."""
    redirect(ends)
    kept = sorted({ends["calls"], ends["answers"], *others})
    for first, last in zip([2, *kept], [*kept, 1 << 16], strict=True):
        os.closerange(first + 1, last)
    os.chdir(TMP)
    sys.argv = ["plugin"]


def redirect(ends: dict[str, int]) -> None:
    null = os.open("/dev/null", os.O_RDONLY)
    for target, source in enumerate((null, ends["stdout"], ends["stderr"])):
        os.dup2(source, target)
    os.close(null)


def become_template(load: dict[str, Any], ends: dict[str, int], control: int) -> NoReturn:
    """The plugin imported, and a copy of the process for each call that comes.

    What is open since the import stays open in the copies. Threads do not: see fork(2).
    """
    settle(ends, control)
    function = Worker(load, ends["calls"], ends["answers"]).loaded()
    for name in ("calls", "answers"):
        os.close(ends[name])
    # A copy of the same user must not write into what the next copies are made of.
    set_dumpable(0)
    orders = socket.socket(fileno=control)
    while True:
        sys.stdout.flush()
        sys.stderr.flush()
        order, received, _, _ = socket.recv_fds(orders, 16, len(ENDS))
        if not order:
            os._exit(0)
        if order == b"ping":
            orders.sendall(b"pong")
            continue
        given = dict(zip(ENDS, received, strict=True))
        copy = fork_away(orders)
        if copy == 0:
            redirect(given)
            os.close(given["stdout"])
            os.close(given["stderr"])
            set_dumpable(1)
            Worker(load, given["calls"], given["answers"]).serve(function)
        for descriptor in received:
            os.close(descriptor)


def fork_away(orders: socket.socket) -> int:
    """0 in the copy, whose parent is process 1, so that its end is told to the supervisor alone."""
    middle = os.fork()
    if middle:
        os.waitpid(middle, 0)
        return middle
    copy = os.fork()
    if copy:
        os._exit(0)
    while os.getppid() != 1:
        os.sched_yield()
    orders.sendall(os.getpid().to_bytes(4, "big"))
    orders.close()
    return 0
