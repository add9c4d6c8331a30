"""``LocalLab``: starts an embedded lab, and ends it.

Its processes belong to a process manager (:mod:`dfaas_lab.local.process_manager`).
"""

from __future__ import annotations

import os
import pwd
import secrets
import sys
import time
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from dfaas_lab.errors import ConfigError
from dfaas_lab.local.binaries import find
from dfaas_lab.local.lab_directory import LabDirectory
from dfaas_lab.local.parts import LocalGateway, LocalPart, LocalSsh, Pipe
from dfaas_lab.local.services import images

_NEEDED = ("asyncssh", "starlette", "uvicorn", "prometheus_client")
_CLEAR_S = 10.0


class LocalLab:
    """A running embedded lab; it ends with ``close()`` or its ``with`` block."""

    def __init__(self, pipe: Pipe, task: Mapping[str, Any]) -> None:
        self._pipe = pipe
        self._directory = LabDirectory(Path(pipe.ready["directory"]))
        self._closed = False
        ports = pipe.ready["ports"]
        self.path = self._directory.path
        self.workspace_root = str(self._directory.workspace_root)
        self.functions = list(images(task["gateways"][0]["functions"]))
        self.ssh = _ssh(self._directory, ports["ssh"]["port"], task["ssh"]["user"])
        self.ssh_server = LocalPart("ssh", pipe)
        self.gateways = [
            LocalGateway(
                gateway["name"],
                pipe,
                ports[gateway["name"]],
                gateway["password"],
                list(self.functions),
                prometheus_port=ports.get(f"prometheus-{gateway['name']}", {}).get("port"),
            )
            for gateway in task["gateways"]
        ]

    @property
    def manager_pid(self) -> int:
        """The process that keeps the lab."""
        return self._pipe.pid

    @property
    def places(self) -> dict[str, str]:
        """Where provisioning puts things: in the lab's own folder, which goes with it."""
        return {"install_dir": str(self.ssh.home / "k6"), "remote_tmp": str(self.ssh.remote_tmp)}

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
                    "python": self.ssh.python,
                    "become": False,
                    "variables": self.places,
                }
            ],
            "targets": [
                {
                    "name": gateway.name,
                    "gateway": gateway.url,
                    "prometheus": gateway.prometheus_url,
                    "queries_path": "local",
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
        if not self._pipe.close():
            self._clear()

    def _clear(self) -> None:
        """Clear up after a process manager that was killed, or wait for its orphan that does so."""
        until = time.monotonic() + _CLEAR_S
        while self.path.exists() and time.monotonic() < until:
            if self._directory.lock():
                self._directory.clear()
            else:
                time.sleep(0.01)

    def __enter__(self) -> LocalLab:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"LocalLab(ssh={self.ssh.host}:{self.ssh.port}, gateways={self.gateways})"


def _ssh(directory: LabDirectory, port: int, user: str) -> LocalSsh:
    return LocalSsh(
        host="127.0.0.1",
        port=port,
        user=user,
        key=directory.path / "ssh/client_key",
        known_hosts=directory.path / "ssh/known_hosts",
        python=sys.executable,
        home=directory.home,
        remote_tmp=directory.home / ".ansible/tmp",
    )


def start(
    targets: int = 1,
    functions: Mapping[str, Sequence[str] | str] | None = None,
    *,
    clock_skew_s: float = 0.0,
    sessions: int = 10,
    env: Mapping[str, str] | None = None,
    monitoring: bool = False,
    scrape_interval_s: float = 1.0,
) -> LocalLab:
    """Start an embedded lab on loopback and return it when it serves.

    Args:
        targets: How many gateways, each a process of its own.
        functions: More functions, by name and command; they are deployed, too.
        clock_skew_s: How far the gateways' clocks are ahead, in seconds.
        sessions: How many sessions one SSH connection may have (``MaxSessions`` of sshd).
        env: More variables for the environment of commands on the generator.
        monitoring: Whether each gateway gets a Prometheus, with node exporter; where there is none
            to be found or fetched, a warning says what to install.
        scrape_interval_s: How often a Prometheus scrapes everything, in seconds.

    Raises:
        ConfigError: The lab cannot be on this machine; the text says what is missing.
        DfaasLabError: One of its processes did not start; the text holds its log.
    """
    _check_machine()
    if type(targets) is not int or targets < 1 or sessions < 1:
        raise ConfigError(
            f"an embedded lab of {targets!r} targets cannot be", hint="Give 1 or more: targets=2."
        )
    commands = dict(functions or {})
    images(commands)
    task = {
        "owner": os.getpid(),
        "ssh": {"port": 0, "user": _user(), "sessions": sessions, "env": dict(env or {})},
        "gateways": [
            _gateway_task(f"node{number}", commands, clock_skew_s)
            for number in range(1, targets + 1)
        ],
    }
    programs = find() if monitoring else None
    if programs is not None:
        task["monitoring"] = {
            "prometheus": programs.prometheus,
            "exporter": programs.node_exporter,
            "interval_s": scrape_interval_s,
        }
    return LocalLab(Pipe(task), task)


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
