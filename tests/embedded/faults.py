"""Faults to have on a real network: a TCP proxy on loopback that can freeze and cut connections."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading

_RESET = struct.pack("ii", 1, 0)


class TcpProxy:
    """Passes connections on to a port; what is under way can be frozen or cut.

    Args:
        port: The port on 127.0.0.1 to pass connections on to.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._flow = threading.Event()
        self._flow.set()
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._thread(self._accept)

    def freeze(self) -> None:
        """Pass nothing on any more, as a network that is gone; connections stay open."""
        self._flow.clear()

    def thaw(self) -> None:
        """Pass on again, also what came in meanwhile."""
        self._flow.set()

    def cut(self) -> None:
        """Reset all connections; new ones are accepted."""
        with self._lock:
            sockets, self._sockets = self._sockets, set()
        for one in sockets:
            with contextlib.suppress(OSError):
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def close(self) -> None:
        """Reset all connections and accept no more."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        self.thaw()

    def __enter__(self) -> TcpProxy:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _thread(self, target: object, *args: socket.socket) -> None:
        threading.Thread(target=target, args=args, daemon=True).start()  # type: ignore[arg-type]

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self._thread(self._connect, near)

    def _connect(self, near: socket.socket) -> None:
        self._flow.wait()
        try:
            far = socket.create_connection(("127.0.0.1", self._target))
        except OSError:
            near.close()
            return
        with self._lock:
            self._sockets |= {near, far}
        for one in (near, far):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._thread(self._pass, near, far)
        self._thread(self._pass, far, near)

    def _pass(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                self._flow.wait()
                sink.sendall(data)
        self._flow.wait()
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
