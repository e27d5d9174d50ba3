"""Loopback to the broker's socket, for programs that know a proxy by address and port only.

Process 1 does this beside the runner. Standard library only.
"""

import contextlib
import socket
import threading

BROKER = "/run/heimnetz/broker.sock"
PORT = 3128
CHUNK_BYTES = 64 * 1024
VARIABLES = dict.fromkeys(
    ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), f"http://127.0.0.1:{PORT}"
)


def listen() -> socket.socket:
    return socket.create_server(("127.0.0.1", PORT), backlog=32)


def start(listener: socket.socket) -> None:
    threading.Thread(target=accept, args=(listener,), daemon=True).start()


def accept(listener: socket.socket) -> None:
    while True:
        client, _ = listener.accept()
        with contextlib.suppress(RuntimeError):  # no more threads: the plugin's cap is reached
            threading.Thread(target=serve, args=(client,), daemon=True).start()


def serve(client: socket.socket) -> None:
    with client, socket.socket(socket.AF_UNIX) as broker, contextlib.suppress(OSError):
        broker.connect(BROKER)
        back = threading.Thread(target=pump, args=(broker, client), daemon=True)
        back.start()
        pump(client, broker)
        back.join()


def pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(CHUNK_BYTES):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
