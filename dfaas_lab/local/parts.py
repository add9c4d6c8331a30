"""The SSH server and the gateways of an embedded lab, as its owner reaches them.

:class:`Pipe` is the client of the lab's process manager: orders go in as JSON lines, answers come
out. When it closes, because its owner closed it or died, the lab ends.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dfaas_lab.errors import DfaasLabError


@dataclass(frozen=True, kw_only=True)
class LocalSsh:
    """How to log in to the embedded generator.

    ``remote_tmp`` is where Ansible may keep its temporary files: its default is below the real
    home directory of the user, which the lab must not touch.
    """

    host: str
    port: int
    user: str
    key: Path
    known_hosts: Path
    python: str
    home: Path
    remote_tmp: Path


class LocalPart:
    """One process of the lab, which can be killed and started again on the same ports."""

    def __init__(self, name: str, pipe: Pipe) -> None:
        self.name = name
        self._pipe = pipe

    def kill(self) -> None:
        """Kill it with SIGKILL; what it started lives on."""
        self._pipe.order({"do": "kill", "child": self.name})

    def restart(self, **changes: object) -> None:
        """Start it again, on the same ports and with the same keys or password.

        A gateway has the functions of its start.

        Args:
            changes: Of its task: ``env``, the variables of the SSH server's commands; or of a
                gateway ``clock_skew_s``, ``timeout_s`` (for a function's answer), ``provider``
                (``kubernetes`` or ``faasd``), ``prometheus_down`` (the gateway's own).
        """
        self._pipe.order({"do": "restart", "child": self.name, "changes": changes})


class LocalGateway(LocalPart):
    """One target's gateway."""

    def __init__(
        self,
        name: str,
        pipe: Pipe,
        ports: Mapping[str, int],
        password: str,
        functions: list[str],
        *,
        prometheus_port: int | None = None,
    ) -> None:
        super().__init__(name, pipe)
        self.url = f"http://127.0.0.1:{ports['port']}"
        self.metrics_url = f"http://127.0.0.1:{ports['metrics_port']}/metrics"
        self.auth = ("admin", password)
        self.functions = functions
        self.prometheus_url = (
            f"http://127.0.0.1:{prometheus_port}" if prometheus_port is not None else None
        )

    def __repr__(self) -> str:
        return f"LocalGateway({self.name!r}, url={self.url!r})"


_CLOSE_S = 20.0


class Pipe:
    """The process manager's process, and the pipe by which it is told what to do."""

    def __init__(self, task: Mapping[str, Any]) -> None:
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self._lock = threading.Lock()
        # A session of its own: Ctrl-C in a terminal is for the notebook, not for the lab.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "dfaas_lab.local.process_manager"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
            env=env,
        )
        self.pid = self._process.pid
        try:
            self.ready = self._ask(task)
        except BaseException:
            self.close()
            raise

    def order(self, order: Mapping[str, Any]) -> None:
        """Have the process manager do something, and wait until it is done."""
        with self._lock:
            self._ask(order)

    def _ask(self, question: Mapping[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(question).encode() + b"\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except (BrokenPipeError, ValueError):
            line = b""
        answer: dict[str, Any] = json.loads(line or '{"error": "its process manager has ended"}')
        if "error" in answer:
            raise DfaasLabError(
                f"the embedded lab: {answer['error']}", hint="Start a new one: Lab.local()."
            )
        return answer

    def close(self) -> bool:
        """End the lab; True when the process manager could end and remove everything."""
        with self._lock:
            try:
                answers, _ = self._process.communicate(b'{"do": "close"}\n', timeout=_CLOSE_S)
            except (subprocess.TimeoutExpired, ValueError):
                self._process.kill()
                self._process.wait()
                return False
        return b'{"closed": true}' in answers
