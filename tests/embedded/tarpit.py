"""An HTTP server on loopback that takes every request and answers none."""

from __future__ import annotations

import socket
import threading


class Tarpit:
    """``with Tarpit() as tarpit: ... tarpit.url``."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._visitors: list[socket.socket] = []
        self._visited = threading.Event()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def _accept(self) -> None:
        while True:
            try:
                self._visitors.append(self._listener.accept()[0])
            except OSError:
                return
            self._visited.set()

    @property
    def visits(self) -> int:
        """How many connections there have been."""
        return len(self._visitors)

    def wait_for_visitor(self, timeout: float) -> None:
        """Wait for the first connection."""
        assert self._visited.wait(timeout), "nobody came"

    def __enter__(self) -> Tarpit:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        for visitor in self._visitors:
            visitor.close()
