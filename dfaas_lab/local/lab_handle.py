"""The owner's side of an embedded lab: what its parts are, and how to start, disturb and end it.

The processes belong to the keeper (:mod:`dfaas_lab.local.keeper`); here is the pipe to it.
"""

from __future__ import annotations

import json
import os
import pwd
import secrets
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any

from dfaas_lab.errors import ConfigError, DfaasLabError
from dfaas_lab.local.room import Room
from dfaas_lab.local.services import images

_NEEDED = ("asyncssh", "starlette", "uvicorn", "prometheus_client")
_CLOSE_S = 20.0


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

    def __init__(self, name: str, pipe: _Pipe) -> None:
        self.name = name
        self._pipe = pipe

    def kill(self) -> None:
        """Kill it with SIGKILL; what it started lives on."""
        self._pipe.order({"do": "kill", "child": self.name})

    def _restart(self, **changes: object) -> None:
        self._pipe.order({"do": "restart", "child": self.name, "changes": changes})


class LocalSshServer(LocalPart):
    """The SSH server."""

    def restart(self, *, env: Mapping[str, str] | None = None) -> None:
        """Start it again, with the same port and keys.

        Args:
            env: More variables for the environment of commands; None leaves them as they are.
        """
        self._restart(**({} if env is None else {"env": dict(env)}))


class LocalGateway(LocalPart):
    """One target's gateway.

    Args:
        name: The target's name.
        pipe: The way to the keeper.
        ports: Where it serves.
        password: Of its user, ``admin``.
        functions: What is deployed at the start.
    """

    def __init__(
        self, name: str, pipe: _Pipe, ports: Mapping[str, int], password: str, functions: list[str]
    ) -> None:
        super().__init__(name, pipe)
        self.url = f"http://127.0.0.1:{ports['port']}"
        self.metrics_url = f"http://127.0.0.1:{ports['metrics_port']}/metrics"
        self.auth = ("admin", password)
        self.functions = functions

    def restart(self, *, clock_skew_s: float | None = None) -> None:
        """Start it again, with the same ports and password, and with the functions of the start.

        Args:
            clock_skew_s: How far its clock is ahead; None leaves it as it is.
        """
        self._restart(**({} if clock_skew_s is None else {"clock_skew_s": clock_skew_s}))

    def __repr__(self) -> str:
        return f"LocalGateway({self.name!r}, url={self.url!r})"


class _Pipe:
    """The keeper's process, and the pipe by which it is told what to do."""

    def __init__(self, task: Mapping[str, Any]) -> None:
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self._lock = threading.Lock()
        # A session of its own: Ctrl-C in a terminal is for the notebook, not for the lab.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "dfaas_lab.local.keeper"],
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
        """Have the keeper do something, and wait until it is done."""
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
        answer: dict[str, Any] = json.loads(line or '{"error": "its keeper has ended"}')
        if "error" in answer:
            raise DfaasLabError(
                f"the embedded lab: {answer['error']}", hint="Start a new one: Lab.local()."
            )
        return answer

    def close(self) -> bool:
        """End the lab; True when the keeper could end and remove everything."""
        with self._lock:
            try:
                answers, _ = self._process.communicate(b'{"do": "close"}\n', timeout=_CLOSE_S)
            except (subprocess.TimeoutExpired, ValueError):
                self._process.kill()
                self._process.wait()
                return False
        return b'{"closed": true}' in answers


class LocalLab:
    """A running embedded lab. Made by :func:`start`; ends with ``close()`` or its ``with`` block.

    Args:
        pipe: The way to the keeper.
        task: What the keeper was told.
    """

    def __init__(self, pipe: _Pipe, task: Mapping[str, Any]) -> None:
        self._pipe = pipe
        self._room = Room(Path(pipe.ready["room"]))
        self._closed = False
        ports = pipe.ready["ports"]
        self.path = self._room.path
        self.workspace_root = str(self._room.workspace_root)
        self.functions = list(images(task["gateways"][0]["functions"]))
        self.ssh = _ssh(self._room, ports["ssh"]["port"], task["ssh"]["user"])
        self.ssh_server = LocalSshServer("ssh", pipe)
        self.gateways = [
            LocalGateway(
                gateway["name"],
                pipe,
                ports[gateway["name"]],
                gateway["password"],
                list(self.functions),
            )
            for gateway in task["gateways"]
        ]

    @property
    def keeper_pid(self) -> int:
        """The process that keeps the lab."""
        return self._pipe.pid

    def facts(self) -> dict[str, Any]:
        """Return what ``Lab.from_file`` needs, as plain data. It holds the gateways' password."""
        return {
            "generators": [
                {
                    "name": "local",
                    "host": self.ssh.host,
                    "port": self.ssh.port,
                    "user": self.ssh.user,
                    "key": str(self.ssh.key),
                    "known_hosts": str(self.ssh.known_hosts),
                    "workspace_root": self.workspace_root,
                }
            ],
            "targets": [
                {
                    "name": gateway.name,
                    "gateway": gateway.url,
                    "prometheus": None,
                    "auth": dict(zip(("user", "password"), gateway.auth, strict=True)),
                    "functions": gateway.functions,
                }
                for gateway in self.gateways
            ],
        }

    def close(self) -> None:
        """End every process that was started through the lab and remove its directory."""
        if self._closed:
            return
        self._closed = True
        if not self._pipe.close() and self._room.lock():
            # The keeper was killed: one of its children, or we, clear up.
            self._room.clear()

    def __enter__(self) -> LocalLab:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"LocalLab(ssh={self.ssh.host}:{self.ssh.port}, gateways={self.gateways})"


def _ssh(room: Room, port: int, user: str) -> LocalSsh:
    return LocalSsh(
        host="127.0.0.1",
        port=port,
        user=user,
        key=room.path / "ssh/client_key",
        known_hosts=room.path / "ssh/known_hosts",
        python=sys.executable,
        home=room.home,
        remote_tmp=room.home / ".ansible/tmp",
    )


def start(
    targets: int = 1,
    functions: Mapping[str, Sequence[str] | str] | None = None,
    *,
    clock_skew_s: float = 0.0,
    sessions: int = 10,
    env: Mapping[str, str] | None = None,
) -> LocalLab:
    """Start an embedded lab on loopback and return it when it serves.

    Args:
        targets: How many gateways, each a process of its own.
        functions: More functions, by name and command; they are deployed, too.
        clock_skew_s: How far the gateways' clocks are ahead, in seconds.
        sessions: How many sessions one SSH connection may have (``MaxSessions`` of sshd).
        env: More variables for the environment of commands on the generator.

    Raises:
        ConfigError: The lab cannot be on this machine; the text says what is missing.
        DfaasLabError: One of its processes did not start; the text holds its log.
    """
    _check_machine()
    if targets < 1 or sessions < 1:
        raise ConfigError("an embedded lab needs a target and a session at least")
    commands = {name: command for name, command in (functions or {}).items()}
    images(commands)
    task = {
        "owner": os.getpid(),
        "ssh": {"port": 0, "user": _user(), "sessions": sessions, "env": dict(env or {})},
        "gateways": [
            _gateway_task(f"node{number}", commands, clock_skew_s)
            for number in range(1, targets + 1)
        ],
    }
    return LocalLab(_Pipe(task), task)


def _gateway_task(
    name: str, functions: Mapping[str, Sequence[str] | str], clock_skew_s: float
) -> dict[str, Any]:
    return {
        "name": name,
        "user": "admin",
        "password": secrets.token_urlsafe(18),
        "functions": functions,
        "clock_skew_s": clock_skew_s,
    }


def _check_machine() -> None:
    if sys.platform != "linux":
        raise ConfigError(
            "the embedded lab runs on Linux only",
            hint="Use Lab.from_file with real hosts, or a Linux machine or container.",
        )
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"the embedded lab needs {', '.join(missing)}",
            hint="Install it: pip install 'dfaas-lab[local]'",
        )


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container that runs under a bare number
        return "lab"
