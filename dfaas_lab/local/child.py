"""A child process of the embedded lab: how it is started, and ends with the lab.

The process manager starts it with a task, kills it and starts it again (:class:`Child`). The child
reads its task, ends when the process manager dies, and announces that it serves.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any

from dfaas_lab.local import processes
from dfaas_lab.local.lab_directory import MARK, LabDirectory

_READY_S = 30.0


class StartFailed(Exception):
    """One of the lab's processes did not start; the text holds the end of its log."""


class Child:
    """A process of the lab, which can be killed and started again as it was, on the same ports."""

    def __init__(
        self, name: str, module: str, task: dict[str, Any], directory: LabDirectory
    ) -> None:
        self.name = name
        self.task = task
        self._module = module
        self._directory = directory
        self._pid: int | None = None
        self._answers = -1

    def launch(self) -> None:
        """Start it; :meth:`await_ready` tells when it serves."""
        task_in, task_out = os.pipe()
        answers, answers_in = os.pipe()
        log = os.open(self._directory.log(self.name), os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        argv = [sys.executable, "-P", "-m", self._module]
        # A library may start a compiler to look for others, as ctypes does. Where that is killed,
        # its temporary files go with the directory.
        tmp = str(self._directory.path / "tmp")
        env = {**os.environ, MARK: self._directory.mark, "TMPDIR": tmp}
        self._pid = processes.spawn(
            argv, env=env, stdin=task_in, stdout=answers_in, stderr=log, session=True
        )
        tied = {**self.task, "manager": os.getpid(), "directory": str(self._directory.path)}
        os.write(task_out, json.dumps(tied).encode() + b"\n")
        for descriptor in (task_in, task_out, answers_in, log):
            os.close(descriptor)
        self._answers = answers

    def await_ready(self) -> None:
        """Wait until it serves, and note its ports.

        Raises:
            StartFailed: It ended, or said nothing for too long.
        """
        until = time.monotonic() + _READY_S
        line = b""
        while not line.endswith(b"\n"):
            ready, _, _ = select.select([self._answers], [], [], max(0, until - time.monotonic()))
            part = os.read(self._answers, 4096) if ready else b""
            if not part:
                os.close(self._answers)
                self.kill()
                raise StartFailed(f"the lab's {self.name} did not start:\n{self._log_tail()}")
            line += part
        os.close(self._answers)
        self.task.update(json.loads(line))

    def _log_tail(self) -> str:
        lines = self._directory.log(self.name).read_text(encoding="utf-8", errors="replace")
        return "\n".join(lines.splitlines()[-15:])

    def kill(self) -> None:
        """Kill it with SIGKILL, alone, and wait for its end."""
        # When it has ended by itself it is reaped, and the number may be another process's.
        with contextlib.suppress(ChildProcessError):
            if self._pid is not None and os.waitpid(self._pid, os.WNOHANG) == (0, 0):
                processes.kill(self._pid)
                os.waitpid(self._pid, 0)
        self._pid = None

    def restart(self, changes: Mapping[str, Any]) -> None:
        """Start it again on the same ports, with the same keys or password.

        Raises:
            StartFailed: It did not start.
        """
        self.kill()
        self.task.update(changes)
        self.launch()
        self.await_ready()


def task() -> dict[str, Any]:
    """Return what the process manager asks of this process: one JSON object on stdin.

    Not on the command line and not in the environment: it holds a password.
    """
    given: dict[str, Any] = json.loads(sys.stdin.buffer.readline())
    return given


def bind_to_manager(manager: int, directory: Path) -> None:
    """End this process, and what the lab started, when the process manager dies without a word."""

    def orphaned(_number: int, _frame: FrameType | None) -> None:
        # One of the process manager's children gets the lock and clears up; the others only end.
        left = LabDirectory(directory)
        if left.lock():
            left.clear()
        os._exit(0)

    signal.signal(signal.SIGHUP, orphaned)
    processes.signal_at_parents_death(signal.SIGHUP)
    if os.getppid() != manager:  # it died before the kernel knew what we want
        orphaned(0, None)


def announce(**facts: object) -> None:
    """Tell the process manager that this process serves; later output goes to its log."""
    print(json.dumps(facts), flush=True)  # noqa: T201 - the process manager reads it
    os.dup2(2, 1)


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens; port 0 lets the system choose.

    Its connections inherit TCP_NODELAY. asyncio sets that only on sockets that name their protocol,
    which those of ``socket.create_server`` do not: an answer in two writes then takes 40 ms.
    """
    listener = socket.create_server((host, port), backlog=1024)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
