"""Translates the existing tools' configuration file to our keys; it is used unchanged.

It has ``remote_hosts`` (each becomes a target) and ``plugin_settings.dfaas`` (what is common to
all targets, the campaign, and the generator at ``k6_host``). The newer plug-in, also called
``peva_faas``, names its one node ``k3s_host`` and runs k6 beside it; the hosts that it lists are
where the tool itself runs. In YAML the section is ``plugins.dfaas``, laid over ``common``: mappings
merge, lists are replaced. Null means the default there. Its host-key options
are not taken over: a key is always checked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from dfaas_lab.labfile.legacy_campaign import SECTIONS, campaign_keys, unknown_parts
from dfaas_lab.labfile.legacy_campaign import USED as CAMPAIGN
from dfaas_lab.labfile.legacy_queries import USED as QUERIES
from dfaas_lab.labfile.legacy_queries import file_of, queries_of
from dfaas_lab.labfile.source import Source
from dfaas_lab.labfile.text import Place, show

# The tools' own defaults, where the file names neither a URL nor a port, and no function.
_GATEWAY_PORT = 31112
_FIGLET = {
    "name": "figlet",
    "method": "POST",
    "body": "Hello DFaaS!",
    "headers": {"Content-Type": "text/plain"},
}

_DFAAS: Place = ("plugin_settings", "dfaas")
_PLUGINS = ("dfaas", "peva_faas")
_GENERATOR = {
    "k6_host": "host",
    "k6_user": "user",
    "k6_port": "port",
    "k6_ssh_key": "key",
    "k6_workspace_root": "workspace_root",
}
_K3S_GENERATOR = {
    "k3s_host": "host",
    "k3s_user": "user",
    "k3s_port": "port",
    "k3s_ssh_key": "key",
    "k6_workspace_root": "workspace_root",
}
_HOST = {key: key for key in ("address", "port", "user", "become")}
# Where two mean the same, the later one wins, as it does for Ansible.
_SSH_VARIABLES = {
    "ansible_host": "address",
    "ansible_user": "user",
    "ansible_port": "port",
    "ansible_ssh_private_key_file": "key",
    "ansible_become": "become",
    "ansible_become_password": "become_password",
    "ansible_become_pass": "become_password",
}
_FUNCTION = {key: key for key in ("name", "method", "body", "headers", "max_rate")}


@dataclass
class Translation:
    """The same lab in our keys.

    Args:
        source: The file.
        data: The lab.
        places: The file's places, by those of our keys.
        unused: The places of the keys that mean nothing here yet.
        section: The place of the plug-in's settings.
    """

    source: Source
    data: dict[str, Any] = field(default_factory=dict)
    places: dict[Place, Place] = field(default_factory=dict)
    unused: tuple[str, ...] = ()
    section: Place = ("plugin_settings", "dfaas")

    def take(
        self, given: Mapping[str, Any], at: Place, names: Mapping[str, str], ours: Place
    ) -> dict[str, Any]:
        """Return what is given, by our names; where each was is written down."""
        taken = {}
        for key, name in names.items():
            value = given.get(key)
            if isinstance(value, str) and "{{" in value and key != "body":
                words = "what Ansible has in {{ }} is not known here: write the value, or ${NAME}"
                raise self.source.refused(((*at, key), words))
            if value is not None:
                taken[name] = value
                self.places[*ours, name] = (*at, key)
        return taken

    def mapping(self, value: Any, at: Place) -> dict[str, Any]:
        """Return a mapping of the file, or refuse what is none."""
        if isinstance(value, dict):
            return value
        words = "this key is missing" if value is None else "give a mapping of keys here"
        raise self.source.refused((at, words))


def recognise(data: dict[str, Any]) -> bool:
    """Whether this is the existing tools' form."""
    return any(key in data for key in ("remote_hosts", "plugin_settings", "plugins", "common"))


def translate(data: dict[str, Any], source: Source) -> Translation:
    """Return the same lab in our keys.

    Raises:
        ConfigError: There is no remote host, no ``k6_host``, or no mapping or list where one is
            needed; places are those of the file.
    """
    lab = Translation(source)
    at, dfaas = _section(lab, data)
    lab.section = at
    newer = dfaas.get("k3s_host") is not None
    hosts = dfaas.get("remote_hosts") if "remote_hosts" in dfaas else data.get("remote_hosts")
    if newer:
        nodes: list[Any] = [_k3s_node(dfaas)]
    elif not isinstance(hosts, list) or not hosts:
        raise source.refused((("remote_hosts",), "no host is listed: list each node under test"))
    else:
        nodes = hosts
    names = _GENERATOR if dfaas.get("k6_host") is not None or not newer else _K3S_GENERATOR
    if dfaas.get(next(iter(names))) is None:
        raise source.refused((at, "k6_host is missing: name the host that runs k6"))
    lab.places[("generators", 0)] = lab.places[("campaign",)] = at
    generator = lab.take(dfaas, at, names, ("generators", 0))
    targets = [_target(lab, index, entry, dfaas, newer=newer) for index, entry in enumerate(nodes)]
    asked = _queries(lab, dfaas)
    for target in targets if asked is not None else []:
        target["queries"] = asked
    functions = list(_functions(lab, dfaas))
    lab.data = {
        "generators": [generator],
        "targets": targets,
        "functions": functions,
        "campaign": _campaign(lab, dfaas),
    }
    lab.unused = tuple(_unused(lab, data, dfaas, [] if newer else nodes))
    return lab


def _section(lab: Translation, data: dict[str, Any]) -> tuple[Place, dict[str, Any]]:
    """The plug-in's settings and their place: of the JSON form, or of YAML over ``common``."""
    if "plugins" not in data and "common" not in data:
        settings = lab.mapping(data.get("plugin_settings"), _DFAAS[:1])
        name = next((one for one in _PLUGINS if settings.get(one) is not None), "dfaas")
        at: Place = ("plugin_settings", name)
        return at, lab.mapping(settings.get(name), at)
    plugins = lab.mapping(data.get("plugins") or {}, ("plugins",))
    name = next((one for one in _PLUGINS if plugins.get(one) is not None), "dfaas")
    own = lab.mapping(plugins.get(name) or {}, ("plugins", name))
    common = lab.mapping(data.get("common") or {}, ("common",))
    return ("plugins", name), _merged(common, own)


def _merged(below: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Mappings merge; anything else is replaced."""
    merged = dict(below)
    for key, value in over.items():
        old = merged.get(key)
        both = isinstance(value, dict) and isinstance(old, dict)
        merged[key] = _merged(old, value) if both else value  # type: ignore[arg-type]
    return merged


def _k3s_node(dfaas: Mapping[str, Any]) -> dict[str, Any]:
    """The newer plug-in's node, as an entry of ``remote_hosts``."""
    return {
        "address": dfaas["k3s_host"],
        "user": dfaas.get("k3s_user"),
        "port": dfaas.get("k3s_port"),
        "vars": {"ansible_ssh_private_key_file": dfaas.get("k3s_ssh_key")},
    }


def _campaign(lab: Translation, dfaas: dict[str, Any]) -> dict[str, Any]:
    for key in SECTIONS:
        if dfaas.get(key) is not None:
            lab.mapping(dfaas[key], (*lab.section, key))
    if (dfaas.get("rate_strategy") or {}).get("type") not in (None, "linear") or not dfaas.get(
        "rates"
    ):
        lab.places["campaign", "rates"] = (*lab.section, "rate_strategy")
    lab.places["campaign", "sizes"] = (*lab.section, "combinations")
    try:
        return campaign_keys(dfaas)
    except TypeError as error:  # a text in the place of a number
        raise lab.source.refused((lab.section, f"its campaign cannot be read: {error}")) from error


def _queries(lab: Translation, dfaas: dict[str, Any]) -> dict[str, Any] | None:
    try:
        return queries_of(dfaas, lab.source.path.parent)
    except (OSError, ValueError) as error:
        words = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise lab.source.refused((lab.section, f"its queries cannot be read: {words}")) from error


def _target(
    lab: Translation, index: int, entry: Any, dfaas: dict[str, Any], *, newer: bool
) -> dict[str, Any]:
    ours, at = ("targets", index), lab.section if newer else ("remote_hosts", index)
    lab.places[ours] = lab.places[*ours, "host"] = at
    given = lab.mapping(entry, at)
    variables = given.get("vars")
    variables = {} if variables is None else lab.mapping(variables, (*at, "vars"))
    host = lab.take(given, at, _HOST, (*ours, "host"))
    host |= lab.take(variables, (*at, "vars"), _SSH_VARIABLES, (*ours, "host"))
    target = {"host": host, **lab.take(given, at, {"name": "name"}, ours)}
    if "address" in host:
        target.setdefault("name", host["address"])
    for name, (key, value) in _urls(dfaas):
        target[name] = value
        lab.places[*ours, name] = (*lab.section, key)
    return target


def _urls(dfaas: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str, Any]]]:
    """The services, each with the key that names its URL, and the URL."""
    yield "gateway", _url(dfaas, "gateway_url", "openfaas_port", _GATEWAY_PORT)
    if dfaas.get("prometheus_url") or dfaas.get("prometheus_port") is not None:
        yield "prometheus", _url(dfaas, "prometheus_url", "prometheus_port", None)


def _url(dfaas: Mapping[str, Any], url: str, port: str, default: int | None) -> tuple[str, Any]:
    if dfaas.get(url):
        return url, dfaas[url]
    number = default if dfaas.get(port) is None else dfaas[port]
    return port, f"http://{{host.address}}:{number}"


def _functions(lab: Translation, dfaas: Mapping[str, Any]) -> Iterator[Any]:
    given = dfaas.get("functions")
    at = (*lab.section, "functions")
    if given is None:
        given = [_FIGLET]
    if not isinstance(given, list) or not given:
        raise lab.source.refused((at, "give a list of functions here"))
    lab.places[("functions",)] = at
    for index, one in enumerate(given):
        yield lab.take(
            lab.mapping(one, (*at, index)), (*at, index), _FUNCTION, ("functions", index)
        )


def _unused(
    lab: Translation, data: dict[str, Any], dfaas: dict[str, Any], hosts: list[Any]
) -> Iterator[str]:
    used = {*_GENERATOR, "gateway_url", "prometheus_url", "functions", "remote_hosts", *CAMPAIGN}
    used |= {key for _, (key, _) in _urls(dfaas)} | set(QUERIES)
    newer = dfaas.get("k3s_host") is not None
    used |= set(_K3S_GENERATOR) if newer else set()
    form, name = map(str, lab.section)
    read = ("common", form) if form == "plugins" else (form,)
    yield from _others(data, (), (*read, *(() if newer else ("remote_hosts",))))
    yield from _others(data.get(form) or {}, (form,), (name,))
    yield from _others(dfaas, lab.section, used)
    if dfaas.get("queries_path") and file_of(dfaas, lab.source.path.parent) is None:
        yield f"{show((*lab.section, 'queries_path'))} (there is no such file; ours are asked)"
    for index, function in enumerate(dfaas.get("functions") or []):
        yield from _others(function, (*lab.section, "functions", index), _FUNCTION)
    for part in unknown_parts(dfaas):
        yield show((*lab.section, *part))
    for index, host in enumerate(hosts):
        at = ("remote_hosts", index)
        yield from _others(host, at, ("name", "vars", *_HOST))
        yield from _others(host.get("vars") or {}, (*at, "vars"), _SSH_VARIABLES)


def _others(given: Mapping[Any, Any], at: Place, used: Iterable[str]) -> Iterator[str]:
    return (show((*at, str(key))) for key in given if key not in used)
