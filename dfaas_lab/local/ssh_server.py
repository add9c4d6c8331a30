"""The embedded SSH server: a process that lets one key in, on loopback only.

The process manager starts it. What a session does is in :mod:`dfaas_lab.local.ssh_session`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import asyncssh
from asyncssh.forward import SSHForwarder

from dfaas_lab.local import child
from dfaas_lab.local.child import listen
from dfaas_lab.local.lab_directory import MARK, LabDirectory
from dfaas_lab.local.ssh_session import Session


class _Forwarder(SSHForwarder):
    """The channel's end of a forwarded stream, which closes once both ends have sent their last.

    asyncssh closes the stream only where the host's end was the later one; otherwise the client
    waits for ever (seen in 7 of 100 times that a server answered and closed at once).
    """

    def eof_received(self) -> bool:
        """Take the client's end of file."""
        goes_on: bool = super().eof_received()
        if not goes_on:
            asyncio.get_running_loop().call_soon(self.close)
        return goes_on


async def _forwarded(host: str, port: int) -> _Forwarder:
    try:
        _, peer = await asyncio.get_running_loop().create_connection(SSHForwarder, host, port)
    except OSError as error:
        refused = asyncssh.OPEN_CONNECT_FAILED
        raise asyncssh.ChannelOpenError(refused, str(error)) from None
    return _Forwarder(peer)


class Server(asyncssh.SSHServer):
    """One connection, with at most so many sessions (``MaxSessions`` of sshd_config(5))."""

    def __init__(
        self, user: str, key: asyncssh.SSHKey, env: Mapping[str, str], sessions: int
    ) -> None:
        self._user = user
        self._key = key
        self._env = env
        self._free = sessions
        self._connection: asyncssh.SSHServerConnection

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        """Take the connection."""
        self._connection = conn

    def public_key_auth_supported(self) -> bool:
        """Accept keys, and nothing else."""
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        """Let the one user with the one key in."""
        return username == self._user and key.public_data == self._key.public_data

    def session_requested(self) -> Any:
        """Open a session, if the connection may have one more."""
        if self._free == 0:
            # What OpenSSH answers beyond MaxSessions.
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, "open failed")
        self._free -= 1
        channel: Any = self._connection.create_server_channel(encoding=None)
        return channel, Session(self._env, self._session_closed)

    def connection_requested(
        self,
        dest_host: str,
        dest_port: int,
        orig_host: str,  # noqa: ARG002 (asyncssh's interface)
        orig_port: int,  # noqa: ARG002
    ) -> Any:
        """Let streams through (``AllowTcpForwarding``, on in sshd), to loopback only."""
        if dest_host not in ("127.0.0.1", "::1", "localhost"):
            return False
        return _forwarded(dest_host, dest_port)

    def _session_closed(self) -> None:
        self._free += 1


def environment(directory: LabDirectory, user: str, extra: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a command: the same on every machine."""
    return {
        "HOME": str(directory.home),
        "LANG": "C.UTF-8",
        "LOGNAME": user,
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "SHELL": "/bin/sh",
        "USER": user,
        MARK: directory.mark,
        **extra,
    }


def _key(path: Path) -> asyncssh.SSHKey:
    """Return the key kept in a file, made at the first use."""
    if not path.exists():
        fresh = asyncssh.generate_private_key("ssh-ed25519", comment="dfaas-lab")
        path.touch(mode=0o600)
        fresh.write_private_key(str(path))
    return asyncssh.read_private_key(str(path))


def _write_known_hosts(path: Path, host: str, port: int, key: asyncssh.SSHKey) -> None:
    path.write_bytes(f"[{host}]:{port} ".encode() + key.export_public_key())


async def _serve(task: Mapping[str, Any]) -> None:
    directory = LabDirectory(Path(task["directory"]))
    client_key, host_key = (
        _key(directory.path / "ssh/client_key"),
        _key(directory.path / "ssh/host_key"),
    )
    env = environment(directory, task["user"], task["env"])
    listener = listen("127.0.0.1", task["port"])
    port: int = listener.getsockname()[1]
    _write_known_hosts(directory.path / "ssh/known_hosts", "127.0.0.1", port, host_key)
    await asyncssh.create_server(
        lambda: Server(task["user"], client_key, env, task["sessions"]),
        sock=listener,
        server_host_keys=[host_key],
        password_auth=False,
        kbdint_auth=False,
        host_based_auth=False,
        gss_host=None,
        allow_pty=False,
        agent_forwarding=False,
        line_editor=False,
        encoding=None,
    )
    child.announce(port=port)
    await asyncio.get_running_loop().create_future()


def main() -> None:
    """Serve until the process manager ends this process."""
    task = child.task()
    child.bind_to_manager(task["manager"], Path(task["directory"]))
    os.chdir(LabDirectory(Path(task["directory"])).home)
    asyncio.run(_serve(task))


if __name__ == "__main__":
    main()
