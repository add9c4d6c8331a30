"""The existing tools' configuration file, translated into ours. It is used unchanged.

It has ``remote_hosts`` (each becomes a target) and ``plugin_settings.dfaas`` (what is common to
all targets, and the generator at ``k6_host``). Its host-key options are not taken over: a key is
always checked.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dfaas_lab.errors import ConfigError
from dfaas_lab.labfile.text import show

# The tools' own defaults, where the file names neither a URL nor a port, and no function.
_GATEWAY_PORT = 31112
_FIGLET = {
    "name": "figlet",
    "method": "POST",
    "body": "Hello DFaaS!",
    "headers": {"Content-Type": "text/plain"},
}

_SSH_VARIABLES = {
    "ansible_host": "address",
    "ansible_user": "user",
    "ansible_port": "port",
    "ansible_ssh_private_key_file": "key",
    "ansible_become_password": "become_password",
}
_GENERATOR = {
    "k6_host": "host",
    "k6_user": "user",
    "k6_port": "port",
    "k6_ssh_key": "key",
    "k6_workspace_root": "workspace_root",
}
_HOST = ("address", "user", "become")
_FUNCTION = ("name", "method", "body", "headers", "max_rate")


def recognise(data: dict[str, Any]) -> bool:
    """Whether this is the existing tools' form."""
    return "remote_hosts" in data or "plugin_settings" in data


def translate(data: dict[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the same lab in our keys, and the places of the keys that mean nothing here yet.

    Raises:
        ConfigError: There is no remote host, or no ``k6_host``.
    """
    hosts = data.get("remote_hosts")
    settings = _mapping(data, "plugin_settings")
    dfaas = _mapping(settings, "dfaas", "plugin_settings.")
    if not isinstance(hosts, list) or not hosts or not all(isinstance(h, dict) for h in hosts):
        raise ConfigError("remote_hosts: no host is listed", hint="List each node under test.")
    if "k6_host" not in dfaas:
        raise ConfigError(
            "plugin_settings.dfaas: k6_host is missing", hint="Name the host that runs k6."
        )
    generator = {ours: dfaas[theirs] for theirs, ours in _GENERATOR.items() if theirs in dfaas}
    lab = {
        "generators": [generator],
        "targets": [_target(host, dfaas) for host in hosts],
        "functions": [_known(function) for function in dfaas.get("functions") or [_FIGLET]],
    }
    return lab, tuple(_unused(data, settings, dfaas, hosts))


def notice(path: Path, unused: tuple[str, ...]) -> str:
    """The one warning about the keys that are not used."""
    return f"{path}: not used by dfaas_lab yet: {', '.join(unused)}"


def _target(entry: dict[str, Any], dfaas: dict[str, Any]) -> dict[str, Any]:
    host: dict[str, Any] = {key: entry[key] for key in _HOST if key in entry}
    variables = entry.get("vars") or {}
    host |= {ours: variables[key] for key, ours in _SSH_VARIABLES.items() if key in variables}
    target = {
        "name": entry.get("name", host.get("address")),
        "host": host,
        "gateway": _url(dfaas, "gateway_url", "openfaas_port", _GATEWAY_PORT),
    }
    if "prometheus_url" in dfaas or "prometheus_port" in dfaas:
        target["prometheus"] = _url(dfaas, "prometheus_url", "prometheus_port", 0)
    return target


def _url(dfaas: dict[str, Any], url: str, port: str, default: int) -> Any:
    return dfaas.get(url) or f"http://{{host.address}}:{dfaas.get(port, default)}"


def _known(function: Any) -> Any:
    if not isinstance(function, dict):
        return function
    return {key: function[key] for key in _FUNCTION if function.get(key) is not None}


def _mapping(data: dict[str, Any], key: str, place: str = "") -> dict[str, Any]:
    value = data.get(key)
    if not isinstance(value, dict):
        raise ConfigError(f"{place}{key}: no mapping of keys", hint="Give it, or use our own form.")
    return value


def _unused(
    data: dict[str, Any], settings: dict[str, Any], dfaas: dict[str, Any], hosts: list[Any]
) -> Iterator[str]:
    used = {*_GENERATOR, "gateway_url", "prometheus_url", "functions"}
    used |= set() if "gateway_url" in dfaas else {"openfaas_port"}
    used |= set() if "prometheus_url" in dfaas else {"prometheus_port"}
    yield from (str(key) for key in data if key not in ("remote_hosts", "plugin_settings"))
    yield from (f"plugin_settings.{key}" for key in settings if key != "dfaas")
    yield from (f"plugin_settings.dfaas.{key}" for key in dfaas if key not in used)
    for index, function in enumerate(dfaas.get("functions") or []):
        place = show(("plugin_settings", "dfaas", "functions", index))
        keys = function if isinstance(function, dict) else ()
        yield from (f"{place}.{key}" for key in keys if key not in _FUNCTION)
    for index, host in enumerate(hosts):
        place = show(("remote_hosts", index))
        known = ("name", "address", "user", "become", "vars")
        yield from (f"{place}.{key}" for key in host if key not in known)
        variables = host.get("vars") or {}
        yield from (f"{place}.vars.{key}" for key in variables if key not in _SSH_VARIABLES)
