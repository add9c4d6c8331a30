"""From a ``Host`` to everything a connection needs, as ``ssh -G`` reads the ssh configuration.

Fabric and Ansible act on HostName, User, Port, IdentityFile,
IdentitiesOnly, IdentityAgent none, ProxyJump, ProxyCommand, UserKnownHostsFile,
GlobalKnownHostsFile, StrictHostKeyChecking and ConnectTimeout. What else is in force and matters to
a connection is a ``ConfigError``, unless the ``Host`` itself says what that keyword was about.
No connection is opened here.
"""

from __future__ import annotations

import getpass
import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from dfaas_lab.config import Host, HostKeys
from dfaas_lab.errors import ConfigError
from dfaas_lab.remote.key_file import KeyFile
from dfaas_lab.remote.ssh_query import NO_FILE, InForce, users_own_file

_DEFAULT_PORT = Host("x").port
_DEFAULT_TIMEOUT_S = Host("x").connect_timeout

# What these say matters only where the host itself does not say it.
_ABOUT_KEYS = (
    "certificatefile",
    "identityagent",
    "identityfile",
    "pkcs11provider",
    "preferredauthentications",
    "pubkeyauthentication",
    "securitykeyprovider",
)

_TOKEN = re.compile("%(.?)", re.DOTALL)
_VARIABLE = re.compile(r"\$\{([^}]{0,1000})\}")
# What may stand in a shell's command without meaning more than itself (CVE-2023-51385).
_PLAIN = re.compile(r"[\w./@:+~%-]*", re.ASCII)
# ``ssh -G`` prints several files in one line, without quotes.
_NEXT_FILE = re.compile(r" (?=/|~|none$)")


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
        config_path: The only configuration to read; it need not be there. None means what ``ssh``
            reads: ``~/.ssh/config``, then the system's. Where ``HOME`` is not the account's home,
            which ``ssh`` alone goes by, it is ``$HOME/.ssh/config`` only.

    Raises:
        ConfigError: There is no OpenSSH client, it cannot read the configuration, or what is in
            force for this host is not supported; the keyword is named.
    """
    return _resolve(host, _Config(config_path or users_own_file()))


def in_shell(command: str) -> list[str]:
    """Return the arguments that run a command in the user's shell, as ssh does."""
    return [os.environ.get("SHELL") or "/bin/sh", "-c", command]


@dataclass(frozen=True)
class _Config:
    """The configuration that is asked, and the hosts whose jump host is looked for."""

    only_file: Path | None
    through: tuple[str, ...] = ()


def _resolve(host: Host, config: _Config) -> ResolvedHost:
    if host.address in config.through:
        around = " -> ".join((*config.through, host.address))
        raise ConfigError(f"the jump hosts go in a circle: {around}", hint="Correct ProxyJump.")
    port = host.port if host.port != _DEFAULT_PORT else None
    said = InForce.of(host.address, only_file=config.only_file, user=host.user, port=port)
    said.refuse_unsupported(_said_by_itself(host))
    user = host.user or said.first("user") or getpass.getuser()
    port = int(said.first("port"))
    tokens = _tokens(said, user, port)
    keys, need_agent = _keys(host, said, tokens)
    agent = said.first("identityagent") != "none" and said.first("identitiesonly") != "yes"
    return ResolvedHost(
        name=host.address,
        address=said.first("hostname"),
        user=user,
        port=port,
        keys=keys,
        usual_keys=host.key is None and not keys and said.first("identityfile") != "none",
        # An encrypted key can be used only through the agent, and a public one names one of its.
        agent=need_agent or (host.key is None and agent),
        jump=_jump(host, said, tokens, replace(config, through=(*config.through, host.address))),
        proxy_command=_proxy_command(host, said, tokens),
        known_hosts=_known_hosts(host, said),
        host_keys=_host_keys(host, said),
        connect_timeout=_timeout(host, said),
    )


def _said_by_itself(host: Host) -> list[str]:
    """The keywords that a host leaves nothing to say about."""
    ignored = [*_ABOUT_KEYS] if host.key is not None else []
    ignored += ["userknownhostsfile"] if host.known_hosts is not None else []
    ignored += ["stricthostkeychecking"] if host.host_keys != "strict" else []
    return ignored


def _tokens(said: InForce, user: str, port: int) -> dict[str, str]:
    """What each token of the configuration stands for."""
    here = socket.gethostname()
    return {
        "%": "%",
        "L": here.partition(".")[0],
        "d": str(Path.home()),
        "h": said.first("hostname"),
        "i": str(os.getuid()),
        "l": here,
        "n": said.asked,
        "p": str(port),
        "r": user,
        "u": getpass.getuser(),
    }


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
    # ssh passes over a named key that is not there.
    files = [KeyFile.read(path) for path in _named_keys(said, tokens) if path.exists()]
    usable = [file for file in files if not file.fido]
    if files and not usable:
        raise ConfigError(
            f"{host}: the only key in the ssh configuration is a FIDO key ({files[0].path}): "
            "these are not supported",
            hint="Give the path of an ordinary private key with key=.",
        )
    return tuple(file.path for file in usable), any(file.needs_agent for file in usable)


def _named_keys(said: InForce, tokens: Mapping[str, str]) -> list[Path]:
    """Those that the configuration names: where it names none, ssh prints the usual ones."""
    if said.is_default("identityfile"):
        return []
    named = [value for value in said.values.get("identityfile", []) if value != "none"]
    return [_path(_fill(_with_environment(value), tokens, "identityfile")) for value in named]


def _path(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise ConfigError(
            f"the ssh configuration names {text}, and there is no such user here",
            hint="Write the whole path.",
        ) from error


def _with_environment(text: str) -> str:
    """``ssh -G`` prints ``${VARIABLE}`` in the name of a key as it is written."""
    return _VARIABLE.sub(lambda found: os.environ.get(found.group(1), ""), text)


def _jump(
    host: Host, said: InForce, tokens: Mapping[str, str], config: _Config
) -> ResolvedHost | None:
    if host.jump is not None:
        return _resolve(host.jump, config)
    value = _fill(said.first("proxyjump"), tokens, "proxyjump")
    if value.lower() in ("", "none"):
        return None
    hops = [_hop(hop, host) for hop in value.split(",")]
    if host.address in [hop.address for hop in hops]:
        return None  # "Host *" with ProxyJump: ssh reaches the jump host itself directly
    chain: Host | None = None
    for hop in hops:  # from here to there: each goes through the ones before it
        chain = replace(hop, jump=chain)
    return None if chain is None else _resolve(chain, config)


def _proxy_command(host: Host, said: InForce, tokens: Mapping[str, str]) -> str:
    command = said.first("proxycommand")
    if host.jump is not None or command.lower() in ("", "none"):
        return ""
    for token in _TOKEN.findall(command):
        if not _PLAIN.fullmatch(tokens.get(token, "")):
            raise ConfigError(
                f"proxycommand: %{token} is {tokens[token]!r}, which must not go into a command",
                hint="Give a user and an address without blanks and special characters.",
            )
    return _fill(command, tokens, "proxycommand")


def _fill(text: str, tokens: Mapping[str, str], keyword: str) -> str:
    """Return a value with its tokens replaced.

    Raises:
        ConfigError: It has a token that is not known here.
    """
    for token in _TOKEN.findall(text):
        if token not in tokens:
            known = ", ".join(f"%{token}" for token in sorted(tokens))
            raise ConfigError(
                f"{keyword}: the placeholder %{token} in {text} is not supported",
                hint=f"Use one of these: {known}.",
            )
    return _TOKEN.sub(lambda found: tokens[found.group(1)], text)


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
    usual = Path("~/.ssh/known_hosts").expanduser()
    named = [] if said.is_default("userknownhostsfile") else _files(said, "userknownhostsfile")
    rest = _files(said, "globalknownhostsfile")
    if not named:
        named, rest = [usual], [*_files(said, "userknownhostsfile")[1:], *rest]
    return (*named, *(path for path in rest if path.exists() and path not in named))


def _files(said: InForce, keyword: str) -> list[Path]:
    named = _NEXT_FILE.split(said.first(keyword))
    return [_path(name) for name in named if name and name not in NO_FILE]


def _host_keys(host: Host, said: InForce) -> HostKeys:
    accept = "accept-new" in (host.host_keys, said.first("stricthostkeychecking"))
    return "accept-new" if accept else "strict"


def _timeout(host: Host, said: InForce) -> float:
    value = said.first("connecttimeout")
    if host.connect_timeout != _DEFAULT_TIMEOUT_S or not value.isdecimal():
        return host.connect_timeout
    return float(value) or _DEFAULT_TIMEOUT_S
