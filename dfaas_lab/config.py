"""``Host`` and ``Limits``: values by which a user names hosts and limits. No I/O."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import timedelta
from math import inf
from pathlib import Path
from typing import Literal

from dfaas_lab.errors import ConfigError
from dfaas_lab.secret import Secret, seals
from dfaas_lab.validation import host_address, in_url, local_path

_USER = re.compile(r"(?!-)[^\x00-\x1f\x7f-\x9f\"]+")
HostKeys = Literal["strict", "accept-new"]


@seals("become_password")
@dataclass(frozen=True)
class Host:
    """An SSH host. A value: nothing is connected by making one.

    Args:
        address: Host name, IP address (IPv6 with or without brackets), or an alias of
            ``~/.ssh/config``.
        user: The user to log in as; None means ``~/.ssh/config`` or the local user.
        port: SSH port.
        key: Path of the private key; None means the agent and the usual keys.
        jump: A host to go through.
        known_hosts: Path of the known-hosts file; None means ``~/.ssh/known_hosts``.
        host_keys: ``"strict"`` refuses an unknown host key; ``"accept-new"`` writes it down.
        connect_timeout: Seconds to wait for a connection.
        become: Whether the user may use sudo while provisioning.
        become_password: The password for sudo, never shown; kept as a secret.

    Raises:
        ConfigError: An address, a user, a port or a password that cannot be.

    >>> str(Host("10.0.0.50", user="ubuntu", port=2222))
    'ubuntu@10.0.0.50:2222'
    """

    address: str
    user: str | None = field(default=None, kw_only=True)
    port: int = field(default=22, kw_only=True)
    key: str | Path | None = field(default=None, kw_only=True)
    jump: Host | None = field(default=None, kw_only=True)
    known_hosts: str | Path | None = field(default=None, kw_only=True)
    host_keys: HostKeys = field(default="strict", kw_only=True)
    connect_timeout: float = field(default=10.0, kw_only=True)
    become: bool = field(default=True, kw_only=True)
    become_password: str | None = field(default=None, kw_only=True, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "address", host_address(self.address))
        if type(self.port) is not int or not 0 < self.port < 65536:
            raise ConfigError(
                f"port={self.port!r} is no port",
                hint="Give a number from 1 to 65535, without quotes: port=22.",
            )
        _check_user(self.user)
        for name in ("key", "known_hosts"):
            if (path := getattr(self, name)) is not None:
                local_path(path, what=name)
        _check_password(self.become_password)
        wait_s = self.connect_timeout
        if isinstance(wait_s, bool) or not isinstance(wait_s, int | float) or not 0 < wait_s < inf:
            raise ConfigError(
                f"connect_timeout={self.connect_timeout!r} is no time to wait",
                hint="Give seconds above 0: connect_timeout=10.",
            )
        if self.host_keys not in ("strict", "accept-new"):
            raise ConfigError(
                f"host_keys={self.host_keys!r} is unknown",
                hint="Use 'strict' (the default) or 'accept-new'.",
            )

    def __str__(self) -> str:
        user = f"{self.user}@" if self.user else ""
        if self.port == 22:
            return f"{user}{self.address}"
        return f"{user}{in_url(self.address)}:{self.port}"


def _check_user(user: object) -> None:
    """Refuse what ssh would take for an option, or for the end of a name."""
    if user is not None and not (isinstance(user, str) and _USER.fullmatch(user)):
        raise ConfigError(
            f"user={user!r} is no name of a user",
            hint="Give a name without quotes and control characters that does not begin with '-'.",
        )


def _check_password(password: object) -> None:
    if password is None:
        return
    if not isinstance(password, Secret) or any(c < " " or c == "\x7f" for c in password):
        raise ConfigError(
            "become_password is no text of one line",
            hint="Give the password that sudo asks for, as text.",
        )


@dataclass(frozen=True)
class Limits:
    """How long a run may take, and how long it may go on without its controller.

    Args:
        timeout: The longest one iteration may take, enforced on the generator; None means what
            follows from the plan (set-up, duration, graceful stop and a reserve). A warm-up that is
            longer has the time that it takes.
        lease: How long k6 may go on when the controller is gone; then it is stopped.

    >>> Limits(timeout="5m", lease="2m").lease
    '2m'
    """

    timeout: str | timedelta | None = None
    lease: str | timedelta = "60s"
