"""A door in front of an SSH server that turns connections away, as sshd does above MaxStartups."""

from __future__ import annotations

import contextlib
import random
import socket
import threading


class Doorkeeper:
    """Passes connections on to a port, or closes them before a word was said.

    Args:
        port: The port on 127.0.0.1 to pass connections on to.
        share: Which share of the connections is turned away, in a random order.
        most_in_a_row: How many at most are turned away one after the other.
        seed: Of the order.
    """

    def __init__(self, port: int, *, share: float, most_in_a_row: int = 2, seed: int = 1) -> None:
        self._target = port
        self._share = share
        self._most = most_in_a_row
        self._random = random.Random(seed)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self.refused = 0
        self._in_a_row = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Doorkeeper:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if self._in_a_row < self._most and self._random.random() < self._share:
                self._in_a_row += 1
                self.refused += 1
                near.close()
                continue
            self._in_a_row = 0
            threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        with near, socket.create_connection(("127.0.0.1", self._target)) as far:
            for one in (near, far):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            back = threading.Thread(target=_pass, args=(far, near), daemon=True)
            back.start()
            _pass(near, far)
            back.join()


def _pass(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
