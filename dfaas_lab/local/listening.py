"""A listening socket whose connections do not wait: the one thing SSH server and gateway share."""

from __future__ import annotations

import socket


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens; port 0 lets the system choose.

    Its connections inherit TCP_NODELAY. asyncio sets that only on sockets that name their protocol,
    which those of ``socket.create_server`` do not: an answer in two writes then takes 40 ms.
    """
    listener = socket.create_server((host, port), backlog=1024)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
