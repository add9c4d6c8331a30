"""An SSH server that lets everybody in and answers commands as it is told. No test is here."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncssh

from dfaas_lab.config import Host


class _Anybody(asyncssh.SSHServer):
    """A server that lets everybody in."""

    def begin_auth(self, username: str) -> bool:
        return False

    def connection_requested(self, *_: object) -> bool:
        """Let streams through, as sshd does."""
        return True


@contextlib.contextmanager
def serving(folder: Path, answer: Callable[[Any], Any]) -> Iterator[Host]:
    """Serve until the block ends, and return how to log in.

    Args:
        folder: For the keys.
        answer: Called with each asyncssh.SSHServerProcess; may be a coroutine.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    key = asyncssh.generate_private_key("ssh-ed25519")
    (folder / "key").write_bytes(key.export_private_key())

    async def serve() -> asyncssh.SSHAcceptor:
        keys = {"server_host_keys": [key], "process_factory": answer, "encoding": None}
        return await asyncssh.create_server(_Anybody, "127.0.0.1", 0, **keys)

    async def end() -> None:
        server.close()
        await server.wait_closed()
        await asyncio.sleep(0.1)  # the last connection sees that its client is gone

    server = asyncio.run_coroutine_threadsafe(serve(), loop).result(10)
    port = server.get_port()
    known = folder / "known_hosts"
    known.write_bytes(f"[127.0.0.1]:{port} ".encode() + key.export_public_key())
    try:
        yield Host("127.0.0.1", port=port, user="u", key=folder / "key", known_hosts=known)
    finally:
        asyncio.run_coroutine_threadsafe(end(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
