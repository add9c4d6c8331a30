"""The process manager: one process per lab that starts and ends all others.

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
import traceback
from collections.abc import Collection, Mapping
from typing import Any

from dfaas_lab.local import lab_directory, monitoring, processes
from dfaas_lab.local.child import Child, StartFailed
from dfaas_lab.local.lab_directory import LabDirectory

_END_S = 10.0


class ProcessManager:
    """The processes of one lab."""

    def __init__(self, directory: LabDirectory, task: Mapping[str, Any]) -> None:
        ssh = Child("ssh", "dfaas_lab.local.ssh_server", task["ssh"], directory)
        gateways = [
            Child(gateway["name"], "dfaas_lab.local.gateway", gateway, directory)
            for gateway in task["gateways"]
        ]
        self.children = {child.name: child for child in (ssh, *gateways)}
        self._directory = directory
        self._gateways = [child.name for child in gateways]
        self._monitoring = task.get("monitoring")

    def start(self) -> dict[str, Any]:
        """Start all processes at once and return the ports of each.

        Raises:
            StartFailed: One did not start.
        """
        _start(self.children.values())
        if self._monitoring is not None:
            self._monitor(self._monitoring)
        ports = ("port", "metrics_port")
        return {
            name: {key: child.task[key] for key in ports if key in child.task}
            for name, child in self.children.items()
        }

    def _monitor(self, programs: Mapping[str, Any]) -> None:
        """Start node exporter, and a Prometheus for each gateway; what fails is left out."""
        exporter = self._child("node_exporter", monitoring.exporter_task(programs["exporter"]))
        try:
            _start([exporter])
            found = []
            for name in self._gateways:
                scraped = {
                    "node": exporter.task["port"],
                    "gateway": self.children[name].task["metrics_port"],
                }
                task = monitoring.prometheus_task(
                    programs["prometheus"], name, scraped, programs["interval_s"]
                )
                found.append(self._child(f"prometheus-{name}", task))
            _start(found)
        except StartFailed:
            return
        if monitoring.are_ready(child.task["port"] for child in found):
            self.children |= {child.name: child for child in (exporter, *found)}

    def _child(self, name: str, task: dict[str, Any]) -> Child:
        return Child(name, "dfaas_lab.local.monitoring", task, self._directory)

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


def _start(children: Collection[Child]) -> None:
    """Start some processes at once, and wait until all serve."""
    for child in children:
        child.launch()
    for child in children:
        child.await_ready()


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
    try:
        lab_directory.sweep()
        own = LabDirectory.make()
    except Exception:  # whatever it is, the owner must hear of it
        _say({"error": traceback.format_exc()})
        return
    try:
        manager = ProcessManager(own, task)
        _say({"ports": manager.start(), "directory": str(own.path)})
        manager.serve(owner, wakeup)
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
