"""The keeper: one process per lab, which owns the lab's directory and the life of its processes.

It starts the SSH server and the gateways, obeys its owner (JSON lines on stdin, answers on stdout),
and ends everything when the owner says so, closes the pipe, or dies. It is the subreaper of all
that was started through the SSH server, however detached, so that it can end that too.
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
import traceback
from collections.abc import Mapping
from typing import Any

from dfaas_lab.local import processes, room
from dfaas_lab.local.room import MARK, Room

_READY_S = 30.0
_END_S = 10.0


class StartFailed(Exception):
    """One of the lab's processes did not start; the text holds the end of its log."""


class Child:
    """A process of the lab, which can be killed and started again as it was.

    Args:
        name: Its name, and that of its log.
        module: The module that is run.
        task: What it is to do; the ports of the first start are kept for later ones.
        room: The lab's directory.
    """

    def __init__(self, name: str, module: str, task: dict[str, Any], room: Room) -> None:
        self.name = name
        self.task = task
        self._module = module
        self._room = room
        self._pid: int | None = None
        self._answers = -1

    def launch(self) -> None:
        """Start it; :meth:`await_ready` tells when it serves."""
        task_in, task_out = os.pipe()
        answers, answers_in = os.pipe()
        log = os.open(self._room.log(self.name), os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        argv = [sys.executable, "-P", "-m", self._module]
        env = {**os.environ, MARK: self._room.mark}
        self._pid = processes.spawn(
            argv, env=env, stdin=task_in, stdout=answers_in, stderr=log, session=True
        )
        tied = {**self.task, "keeper": os.getpid(), "room": str(self._room.path)}
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
        lines = self._room.log(self.name).read_text(encoding="utf-8", errors="replace")
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


class Keeper:
    """The processes of one lab.

    Args:
        room: The lab's directory.
        task: What the lab is to be: ``ssh`` and ``gateways``, each a child's task.
    """

    def __init__(self, room: Room, task: Mapping[str, Any]) -> None:
        ssh = Child("ssh", "dfaas_lab.local.ssh_server", task["ssh"], room)
        gateways = [
            Child(gateway["name"], "dfaas_lab.local.gateway", gateway, room)
            for gateway in task["gateways"]
        ]
        self.children = {child.name: child for child in (ssh, *gateways)}

    def start(self) -> dict[str, Any]:
        """Start all processes at once and return the ports of each.

        Raises:
            StartFailed: One did not start.
        """
        for child in self.children.values():
            child.launch()
        for child in self.children.values():
            child.await_ready()
        ports = ("port", "metrics_port")
        return {
            name: {key: child.task[key] for key in ports if key in child.task}
            for name, child in self.children.items()
        }

    def obey(self, order: Mapping[str, Any]) -> dict[str, Any]:
        """Do what the owner asks, and return the answer."""
        child = self.children[order["child"]]
        try:
            if order["do"] == "kill":
                child.kill()
            else:
                child.restart(order.get("changes", {}))
        except StartFailed as error:
            return {"error": str(error)}
        return {"done": order["do"]}

    def serve(self, owner: int, wakeup: socket.socket) -> None:
        """Obey until the owner is gone or says that it is enough."""
        poll = select.poll()
        for descriptor in (0, owner, wakeup.fileno()):
            poll.register(descriptor, select.POLLIN)
        orders = b""
        while True:
            ready = {descriptor for descriptor, _ in poll.poll()}
            if owner in ready or self._woken(wakeup, ready):
                return
            if 0 in ready:
                part = os.read(0, 1 << 16)
                *lines, orders = (orders + part).split(b"\n")
                if not part or not all(self._answer(json.loads(line)) for line in lines):
                    return

    def _answer(self, order: Mapping[str, Any]) -> bool:
        """Answer one order; False for the order to end."""
        if order["do"] == "close":
            return False
        _say(self.obey(order))
        return True

    def _woken(self, wakeup: socket.socket, ready: set[int]) -> bool:
        """Take in the signals that came; True when one asks for the end."""
        if wakeup.fileno() not in ready:
            return False
        numbers = set(wakeup.recv(4096))
        if signal.SIGCHLD in numbers:
            _reap()
        return bool(numbers & {signal.SIGTERM, signal.SIGINT, signal.SIGHUP})


def _wakeup() -> socket.socket:
    """Return a socket on which signals are read as bytes, so that none interrupts anything."""
    reader, writer = socket.socketpair()
    for end in (reader, writer):
        end.setblocking(False)
    signal.set_wakeup_fd(os.dup(writer.fileno()), warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    return reader


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass


def _say(answer: Mapping[str, Any]) -> None:
    with contextlib.suppress(BrokenPipeError):  # the owner is gone: poll() tells
        os.write(1, json.dumps(answer).encode() + b"\n")


def main() -> None:
    """Read the task, keep the lab, and leave nothing."""
    task = json.loads(sys.stdin.buffer.readline())
    owner = os.pidfd_open(os.getppid())
    if os.getppid() != task["owner"]:  # it died before we looked
        return
    wakeup = _wakeup()
    processes.become_subreaper()
    room.sweep()
    own = Room.make()
    try:
        keeper = Keeper(own, task)
        _say({"ports": keeper.start(), "room": str(own.path)})
        keeper.serve(owner, wakeup)
    except StartFailed as error:
        _say({"error": str(error)})
    except Exception:  # whatever it is, the owner must hear of it
        _say({"error": traceback.format_exc()})
    finally:
        ended = processes.end_descendants(deadline_s=_END_S)
        removed = own.remove()
        _say({"closed": ended and removed})


if __name__ == "__main__":
    main()
