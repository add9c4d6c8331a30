"""A host that sends more over SSH than it may loses its connection, and fills no memory."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from dfaas_lab.config import Host
from dfaas_lab.errors import ConnectionFailed, TaskFailed
from dfaas_lab.generator import Generator
from dfaas_lab.remote.connection import connect
from dfaas_lab.remote.remote import Remote
from tests.embedded.ssh_answering import serving

_WINDOW = 2 << 20


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_no_more_waits_here_than_was_asked_for(tmp_path: Path, stream: str) -> None:
    async def pour(process: Any) -> None:
        for _ in range(4000):
            process.channel._orig_chan._send_window = 1 << 30  # as if we had asked for it
            getattr(process, stream).write(b"x" * 30_000)
            await asyncio.sleep(0)

    with serving(tmp_path, pour) as host:
        remote = Remote(host)
        process = remote.open("true")
        until = time.monotonic() + 20
        while not process._channel.closed and time.monotonic() < until:
            time.sleep(0.05)  # nobody reads
        waiting = len(process._channel.in_buffer) + len(process._channel.in_stderr_buffer)
        assert _WINDOW < waiting < 5 * _WINDOW
        assert not remote.has_free_channel  # the connection is given up, with all that shares it
        remote.close()


def test_a_packet_is_not_as_long_as_it_says(tmp_path: Path) -> None:
    sent = 0

    def answer(listener: socket.socket) -> None:
        nonlocal sent
        link, _ = listener.accept()
        with link:
            link.sendall(b"SSH-2.0-endless\r\n" + struct.pack(">IB", 0xFFFFFFF4, 4))
            while True:
                try:
                    sent += link.send(bytes(1 << 20))
                except OSError:
                    return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer, args=(listener,), daemon=True)
        thread.start()
        known = tmp_path / "known_hosts"
        known.touch()
        port = listener.getsockname()[1]
        with pytest.raises(ConnectionFailed, match="a packet of 4,294,9"):
            connect(Host("127.0.0.1", port=port, user="u", known_hosts=known))
        thread.join(10)
    assert not thread.is_alive()
    assert sent < 64 << 20


@pytest.mark.slow
def test_what_ansible_prints_of_a_host_is_bounded(tmp_path: Path) -> None:
    """A task's result of 60 MB, which the runner would hold several times over."""

    async def answer(process: Any) -> None:
        command = process.command or ""
        if "printf %b" in command:  # a question of ours: answered by this machine's own shell
            told = await asyncio.create_subprocess_shell(command, stdout=-1, stderr=-1)
            out, err = await told.communicate()
            process.stdout.write(out)
            process.stderr.write(err)
            process.exit(told.returncode)
            return
        process.stdout.write(b'{"failed": true, "msg": "')
        for _ in range(60):
            process.stdout.write(b"y" * (1 << 20))
            await process.stdout.drain()
        process.stdout.write(b'"}')
        process.exit(1)

    with serving(tmp_path, answer) as host:
        Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here
        before = _peak_bytes()
        with pytest.raises(TaskFailed, match="longer than what is read of Ansible"):
            Generator(host).provision(progress=False)
        assert _peak_bytes() - before < 150 << 20


def _peak_bytes() -> int:
    (line,) = (x for x in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in x)
    return int(line.split()[1]) << 10
