"""From a ``Host`` and ``~/.ssh/config`` to everything a connection needs. It opens none.

Supported are ``Include``, ``Host`` and ``Match`` (``all``, ``final``, ``host``, ``originalhost``,
``user``, ``localuser``, ``exec``) with HostName, User, Port, IdentityFile, IdentitiesOnly,
IdentityAgent none, ProxyJump, ProxyCommand, UserKnownHostsFile, GlobalKnownHostsFile,
StrictHostKeyChecking and ConnectTimeout. What is in force for a host and not supported is a
``ConfigError`` with its file and line, unless the ``Host`` itself says what that line was about, or
the line changes nothing here. The system's ``/etc/ssh/ssh_config`` is not read.
"""

from __future__ import annotations

import getpass
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from dfaas_lab.config import Host, HostKeys
from dfaas_lab.errors import ConfigError
from dfaas_lab.remote.key_file import KeyFile
from dfaas_lab.remote.ssh_text import InForce
from dfaas_lab.remote.ssh_tokens import fill, fill_command, host_tokens

_DEFAULT_PORT = Host("x").port
_DEFAULT_TIMEOUT_S = Host("x").connect_timeout
_KNOWN_HOSTS = ("userknownhostsfile", "globalknownhostsfile")
# A mark in one of these matters only where the host itself does not say it.
_ABOUT_KEYS = (
    "identityfile",
    "identityagent",
    "certificatefile",
    "dsaauthentication",
    "pkcs11provider",
    "preferredauthentications",
    "pubkeyauthentication",
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
        proxy_command: The command whose standard input and output lead to the host, if any.
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
    proxy_command: str
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
    return _resolve(host, _Asked(config_path or Path("~/.ssh/config").expanduser()))


@dataclass(frozen=True)
class _Asked:
    """The configuration that is asked, and the hosts whose jump host is looked for."""

    path: Path
    through: tuple[str, ...] = ()


def _resolve(host: Host, asked: _Asked) -> ResolvedHost:
    if host.address in asked.through:
        around = " -> ".join((*asked.through, host.address))
        raise ConfigError(
            f"{asked.path}: the jump hosts go in a circle: {around}", hint="Correct ProxyJump."
        )
    said = _in_force(host, asked.path)
    user = host.user or said.first("user") or getpass.getuser()
    port = _port(host, said)
    address = said.first("hostname") or host.address
    tokens = host_tokens(host.address, address=address, port=str(port), user=user)
    keys, need_agent = _keys(host, said, tokens)
    agent = said.first("identityagent") != "none" and said.first("identitiesonly") != "yes"
    return ResolvedHost(
        name=host.address,
        address=address,
        user=user,
        port=port,
        keys=keys,
        usual_keys=host.key is None and not keys and said.first("identityfile") != "none",
        # An encrypted key can be used only through the agent, and a public one names one of its.
        agent=need_agent or (host.key is None and agent),
        jump=_jump(host, said, tokens, replace(asked, through=(*asked.through, host.address))),
        proxy_command=_proxy_command(host, said, tokens),
        known_hosts=_known_hosts(host, said),
        host_keys=_host_keys(host, said),
        connect_timeout=_timeout(host, said),
    )


def _in_force(host: Host, path: Path) -> InForce:
    """What the configuration says about a host; what is not supported is refused."""
    said = InForce.of(path, host.address, host.user)
    ignored: set[str] = set()
    ignored.update(_ABOUT_KEYS if host.key is not None else ())
    ignored.update(("proxyjump", "proxycommand") if host.jump is not None else ())
    ignored.update(_KNOWN_HOSTS if host.known_hosts is not None else ())
    ignored.update(("stricthostkeychecking",) if host.host_keys != "strict" else ())
    ignored.update(("port",) if host.port != _DEFAULT_PORT else ())
    for keyword, setting in said.problems:
        if keyword not in ignored:
            raise ConfigError(
                f"{setting.place}: {setting.problem}",
                hint="Change that line, keep it from this host, or give Host(...) what it is "
                "about.",
            )
    return said


def _keys(host: Host, said: InForce, tokens: Mapping[str, str]) -> tuple[tuple[Path, ...], bool]:
    """The keys to try, and whether one of them needs the agent."""
    if host.key is not None:
        files = [KeyFile.read(Path(host.key).expanduser().absolute())]
        if files[0].fido:
            raise ConfigError(
                f"{host.key} is a FIDO key: these are not supported",
                hint="Give the path of an ordinary private key.",
            )
        return (files[0].path,), files[0].needs_agent
    named = [
        Path(fill(setting.words[0], tokens)).expanduser()
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
    return tuple(file.path for file in usable), any(file.needs_agent for file in usable)


def _jump(
    host: Host, said: InForce, tokens: Mapping[str, str], asked: _Asked
) -> ResolvedHost | None:
    if host.jump is not None:
        return _resolve(host.jump, asked)
    value = fill(said.first("proxyjump"), tokens)
    if value.lower() in ("", "none"):
        return None
    hops = [_hop(hop, host) for hop in value.split(",")]
    if host.address in [hop.address for hop in hops]:
        return None  # "Host *" with ProxyJump: ssh reaches the jump host itself directly
    chain: Host | None = None
    for hop in hops:  # from here to there: each goes through the ones before it
        chain = replace(hop, jump=chain)
    return None if chain is None else _resolve(chain, asked)


def _proxy_command(host: Host, said: InForce, tokens: Mapping[str, str]) -> str:
    settings = said.settings.get("proxycommand") if host.jump is None else None
    if not settings or not settings[0].command:
        return ""
    return fill_command(settings[0].command, tokens, settings[0].place)


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
    # New keys are written into the first.
    named = [*_files(said, "userknownhostsfile", "~/.ssh/known_hosts")]
    named += _files(said, "globalknownhostsfile", "none")
    return tuple(Path(name).expanduser() for name in named if name not in ("none", "/dev/null"))


def _files(said: InForce, keyword: str, usual: str) -> tuple[str, ...]:
    settings = said.settings.get(keyword)
    return settings[0].words if settings else (usual,)


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
