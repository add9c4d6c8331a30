"""From a ``Host`` and ``~/.ssh/config`` to everything a connection needs. It opens none.

Supported are ``Host`` and ``Match`` (``all``, ``host``, ``originalhost``, ``user``,
``localuser``) with HostName, User, Port, IdentityFile, IdentitiesOnly, IdentityAgent
none, ProxyJump, UserKnownHostsFile, StrictHostKeyChecking and ConnectTimeout. What is in force
for a host and not supported is a ``ConfigError`` with its file and line, unless the ``Host``
itself says what that line was about. The system's ``/etc/ssh/ssh_config`` is not read.
"""

from __future__ import annotations

import getpass
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from dfaas_lab.config import Host, HostKeys
from dfaas_lab.errors import ConfigError
from dfaas_lab.remote.key_file import KeyFile
from dfaas_lab.remote.ssh_text import InForce

_DEFAULT_PORT = Host("x").port
_DEFAULT_TIMEOUT_S = Host("x").connect_timeout
# A mark in one of these matters only where the host itself does not say it.
_ABOUT_KEYS = (
    "identityfile",
    "identityagent",
    "certificatefile",
    "pkcs11provider",
    "securitykeyprovider",
)


@dataclass(frozen=True)
class ResolvedHost:
    """A host with nothing left to look up.

    Args:
        name: What the user called it.
        address: Host name or IP address to connect to.
        user: The user to log in as.
        port: SSH port.
        keys: Private keys to try, in order; empty means the usual ones, where ``usual_keys``.
        usual_keys: Whether ``~/.ssh/id_*`` are tried.
        agent: Whether the agent is asked.
        jump: The host to go through.
        known_hosts: Files with host keys; a new key is written into the first.
        host_keys: What an unknown host key means.
        connect_timeout: Seconds to wait for a connection.
    """

    name: str
    address: str
    user: str
    port: int
    keys: tuple[Path, ...]
    usual_keys: bool
    agent: bool
    jump: ResolvedHost | None
    known_hosts: tuple[Path, ...]
    host_keys: HostKeys
    connect_timeout: float

    def __str__(self) -> str:
        port = f":{self.port}" if self.port != _DEFAULT_PORT else ""
        alias = f" ({self.address})" if self.address != self.name else ""
        return f"{self.user}@{self.name}{port}{alias}"


def resolve(host: Host, *, config_path: Path | None = None) -> ResolvedHost:
    """Return a host with the user's ssh configuration applied.

    What the ``Host`` says comes first; a port of 22 and a connect timeout of 10 s count as not
    said, since they are its defaults.

    Args:
        host: The host as the user named it; its address may be an alias.
        config_path: The configuration; None means ``~/.ssh/config``. It need not be there.

    Raises:
        ConfigError: The configuration cannot be read, or says something about this host that is
            not supported; file and line are named.
    """
    path = config_path or Path("~/.ssh/config").expanduser()
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        text = ""
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path} cannot be read: {error}", hint="Check the file and its permissions."
        ) from error
    return _resolve(host, _Asked(path, text))


@dataclass(frozen=True)
class _Asked:
    """The configuration that is asked, and the hosts whose jump host is looked for."""

    path: Path
    text: str
    through: tuple[str, ...] = ()


def _resolve(host: Host, asked: _Asked) -> ResolvedHost:
    path, text, through = asked.path, asked.text, asked.through
    if host.address in through:
        raise ConfigError(
            f"{path}: the jump hosts go in a circle: {' -> '.join((*through, host.address))}",
            hint="Correct ProxyJump.",
        )
    said = _in_force(host, path, text)
    user = host.user or said.first("user") or getpass.getuser()
    port = _port(host, said)
    tokens = {
        "%d": str(Path.home()),
        "%h": said.first("hostname") or host.address,
        "%p": str(port),
        "%r": user,
        "%u": getpass.getuser(),
    }
    keys, encrypted = _keys(host, said, tokens)
    agent = said.first("identityagent") != "none" and said.first("identitiesonly") != "yes"
    return ResolvedHost(
        name=host.address,
        address=tokens["%h"],
        user=user,
        port=port,
        keys=keys,
        usual_keys=host.key is None and not keys and said.first("identityfile") != "none",
        # An encrypted key can be used only through the agent.
        agent=encrypted or (host.key is None and agent),
        jump=_jump(host, said, tokens, _Asked(path, text, (*asked.through, host.address))),
        known_hosts=_known_hosts(host, said),
        host_keys=_host_keys(host, said),
        connect_timeout=_timeout(host, said),
    )


def _in_force(host: Host, path: Path, text: str) -> InForce:
    """What the configuration says about a host; what is not supported is refused."""
    said = InForce(host.address, host.user).read(text)
    ignored: set[str] = set()
    ignored.update(_ABOUT_KEYS if host.key is not None else ())
    ignored.update(("proxyjump",) if host.jump is not None else ())
    ignored.update(("userknownhostsfile",) if host.known_hosts is not None else ())
    ignored.update(("stricthostkeychecking",) if host.host_keys != "strict" else ())
    ignored.update(("port",) if host.port != _DEFAULT_PORT else ())
    wrong = [
        setting
        for keyword in said.settings.keys() - ignored
        for setting in said.settings[keyword]
        if setting.problem
    ]
    if wrong:
        first = min(wrong, key=lambda setting: setting.line)
        raise ConfigError(
            f"{path}:{first.line}: {first.problem}",
            hint="Change that line, or give Host(...) what it is about.",
        )
    return said


def _keys(host: Host, said: InForce, tokens: Mapping[str, str]) -> tuple[tuple[Path, ...], bool]:
    """The keys to try, and whether one of them is encrypted."""
    if host.key is not None:
        files = [KeyFile.read(Path(host.key).expanduser().absolute())]
        if files[0].fido:
            raise ConfigError(
                f"{host.key} is a FIDO key: these are not supported",
                hint="Give the path of an ordinary private key.",
            )
        return (files[0].path,), files[0].encrypted
    named = [
        Path(_filled(setting.words[0], tokens)).expanduser()
        for setting in said.settings.get("identityfile", ())
        if setting.words[0] != "none"
    ]
    # ssh passes over a named key that is not there.
    files = [KeyFile.read(path) for path in named if path.exists()]
    usable = [file for file in files if not file.fido]
    if files and not usable:
        raise ConfigError(
            f"{host}: the only key in the ssh configuration is a FIDO key ({files[0].path}): "
            "these are not supported",
            hint="Give the path of an ordinary private key with key=.",
        )
    return tuple(file.path for file in usable), any(file.encrypted for file in usable)


def _jump(
    host: Host, said: InForce, tokens: Mapping[str, str], asked: _Asked
) -> ResolvedHost | None:
    if host.jump is not None:
        return _resolve(host.jump, asked)
    value = _filled(said.first("proxyjump"), tokens)
    if value in ("", "none"):
        return None
    hops = [_hop(hop, host) for hop in value.split(",")]
    if host.address in [hop.address for hop in hops]:
        return None  # "Host *" with ProxyJump: ssh reaches the jump host itself directly
    chain: Host | None = None
    for hop in hops:  # from here to there: each goes through the ones before it
        chain = replace(hop, jump=chain)
    return None if chain is None else _resolve(chain, asked)


def _hop(text: str, host: Host) -> Host:
    user, _, address = text.strip().removeprefix("ssh://").rpartition("@")
    port = ""
    if address.startswith("["):
        address, _, port = address[1:].partition("]")
    elif address.count(":") == 1:
        address, _, port = address.partition(":")
    port = port.removeprefix(":")
    return Host(
        address,
        user=user or None,
        port=int(port) if port.isdecimal() else _DEFAULT_PORT,
        connect_timeout=host.connect_timeout,
    )


def _known_hosts(host: Host, said: InForce) -> tuple[Path, ...]:
    if host.known_hosts is not None:
        return (Path(host.known_hosts).expanduser().absolute(),)
    settings = said.settings.get("userknownhostsfile")
    named = settings[0].words if settings else ("~/.ssh/known_hosts",)
    return tuple(Path(name).expanduser() for name in named)


def _host_keys(host: Host, said: InForce) -> HostKeys:
    accept = "accept-new" in (host.host_keys, said.first("stricthostkeychecking").lower())
    return "accept-new" if accept else "strict"


def _port(host: Host, said: InForce) -> int:
    if host.port != _DEFAULT_PORT:
        return host.port
    return int(said.first("port") or _DEFAULT_PORT)


def _timeout(host: Host, said: InForce) -> float:
    if host.connect_timeout != _DEFAULT_TIMEOUT_S:
        return host.connect_timeout
    return float(said.first("connecttimeout") or _DEFAULT_TIMEOUT_S)


def _filled(text: str, tokens: Mapping[str, str]) -> str:
    return re.sub("%.", lambda found: tokens[found.group()], text)
