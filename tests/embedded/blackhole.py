"""An address on loopback that never answers a connection, as behind a firewall that drops packets.

On Linux, a listener whose backlog is full drops what asks for a connection.
"""

from __future__ import annotations

import contextlib
import socket
import threading


class Blackhole:
    """``with Blackhole() as hole: ... hole.port``.

    Args:
        once_called: A port on 127.0.0.1 to which connections are passed on, one after the other,
            until a function is called there; that call is the last one that is answered.
    """

    def __init__(self, once_called: int | None = None) -> None:
        self._target = once_called
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._fillers: list[socket.socket] = []
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Blackhole:
        if self._target is None:
            self._fill()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for filler in self._fillers:
            filler.close()
        self._thread.join(10)

    def _fill(self) -> None:
        self._listener.listen(0)
        for _ in range(16):
            filler = socket.socket()
            filler.settimeout(0.3)
            self._fillers.append(filler)
            if filler.connect_ex(("127.0.0.1", self.port)) != 0:
                return
        raise AssertionError("this system's backlog cannot be filled")

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while not self._fillers:
                near, _ = self._listener.accept()
                with near:
                    self._pass_on(near)

    def _pass_on(self, near: socket.socket) -> None:
        while asked := near.recv(1 << 16):
            if b"/function/" in asked:
                self._fill()
            with socket.create_connection(("127.0.0.1", self._target or 0)) as far:
                # One request, one answer: the connection behind is for this one alone.
                far.sendall(asked)
                far.settimeout(0.5)
                with contextlib.suppress(TimeoutError):
                    while answer := far.recv(1 << 16):
                        near.sendall(answer)
