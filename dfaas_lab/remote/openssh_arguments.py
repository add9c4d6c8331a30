"""A resolved host as arguments of OpenSSH's ``ssh``, so that Ansible goes the way Fabric goes."""

from __future__ import annotations

import shlex

from dfaas_lab.remote.ssh_config import ResolvedHost


def ssh_arguments(host: ResolvedHost) -> list[str]:
    """Return the options for ``ssh``; user, port and address are not among them.

    No configuration file is read (``-F none``): everything is said here. Quote the list with
    ``shlex.join`` for ``ansible_ssh_common_args``.
    """
    options = {
        "UserKnownHostsFile": " ".join(f'"{_literal(str(path))}"' for path in host.known_hosts),
        "StrictHostKeyChecking": "yes" if host.host_keys == "strict" else host.host_keys,
        "GlobalKnownHostsFile": "none",  # it is among the files above
        "ConnectTimeout": str(max(1, round(host.connect_timeout))),
        "ConnectionAttempts": "1",
        # A host that goes away is missed after 3 s; then ssh tries to connect once more. Together
        # that is to stay below the connect timeout plus 5 s.
        "ServerAliveInterval": "1",
        "ServerAliveCountMax": "2",
        # Nobody is there to answer a prompt.
        "BatchMode": "yes",
    }
    if host.keys:
        options["IdentitiesOnly"] = "yes" if not host.agent else "no"
    if not host.agent:
        options["IdentityAgent"] = "none"
    if not host.keys and not host.usual_keys:
        options["IdentityFile"] = "none"
    arguments = ["-F", "none"]
    for key, value in options.items():
        arguments += ["-o", f"{key}={value}"]
    for path in host.keys:
        # A '%' begins a placeholder here.
        arguments += ["-o", f'IdentityFile="{_literal(str(path))}"']
    proxy = _through(host.jump, host) if host.jump else host.proxy_command
    if proxy:
        arguments += ["-o", f"ProxyCommand={_literal(proxy)}"]
    return arguments


def _through(jump: ResolvedHost, host: ResolvedHost) -> str:
    """The command that reaches a host's port from its jump host; ProxyJump takes no options."""
    to = f"[{host.address}]:{host.port}"
    where = ["-p", str(jump.port), "-l", jump.user, "-W", to, jump.address]
    return shlex.join(["ssh", *ssh_arguments(jump), *where])


def _literal(text: str) -> str:
    return text.replace("%", "%%")
