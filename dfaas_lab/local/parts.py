"""The parts of an embedded lab as its owner sees them: the way in, the SSH server, the gateways."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dfaas_lab.local.pipe import Pipe


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
        self, name: str, pipe: Pipe, ports: Mapping[str, int], password: str, functions: list[str]
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
