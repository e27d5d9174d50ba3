"""Loopback to the broker's socket, for programs that know a proxy by address and port only.

Process 1 does this beside the runner. Standard library only.
"""

from __future__ import annotations

import _thread
import contextlib
import socket

BROKER = "/run/heimnetz/broker.sock"
PORT = 3128
CHUNK_BYTES = 64 * 1024
VARIABLES = dict.fromkeys(
    ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), f"http://127.0.0.1:{PORT}"
)


def listen() -> socket.socket:
    return socket.create_server(("127.0.0.1", PORT), backlog=32)


def start(listener: socket.socket) -> None:
    _thread.start_new_thread(accept, (listener,))


def accept(listener: socket.socket) -> None:
    while True:
        client, _ = listener.accept()
        with contextlib.suppress(RuntimeError):  # no more threads: the plugin's cap is reached
            _thread.start_new_thread(serve, (client,))


def serve(client: socket.socket) -> None:
    with (
        client,
        socket.socket(socket.AF_UNIX) as broker,
        contextlib.suppress(OSError, RuntimeError),
    ):
        broker.connect(BROKER)
        is_answering = _thread.allocate_lock()
        is_answering.acquire()
        _thread.start_new_thread(answer, (broker, client, is_answering))
        pump(client, broker)
        is_answering.acquire()


def answer(broker: socket.socket, client: socket.socket, is_answering: _thread.LockType) -> None:
    try:
        pump(broker, client)
    finally:
        is_answering.release()


def pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(CHUNK_BYTES):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
