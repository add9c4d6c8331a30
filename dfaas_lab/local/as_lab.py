"""The embedded lab as targets: a generator and gateways on this machine's loopback.

The lab itself is ``local``'s; here it is only described.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from dfaas_lab.config import Host
from dfaas_lab.errors import ConfigError
from dfaas_lab.generator import Generator
from dfaas_lab.load import Function
from dfaas_lab.local import start
from dfaas_lab.local.services import BUILTIN
from dfaas_lab.target import Target

if TYPE_CHECKING:
    from dfaas_lab.local import LocalLab

# Requests that mean something to the functions which every embedded lab has.
_BODIES = dict.fromkeys(("figlet", "echo", "sha512sum"), "Hello DFaaS!")


def start_local(
    targets: int, functions: Mapping[str, Sequence[str] | str] | Iterable[str] | None
) -> tuple[LocalLab, list[Target]]:
    """Start an embedded lab, and return it with its targets.

    Raises:
        ConfigError: A package of the extra ``local`` is missing; its hint names it.
    """
    named, commands = _chosen(functions)
    local = start(targets, commands, monitoring=True)
    try:
        return local, _targets(local, named)
    except BaseException:
        local.close()
        raise


def _chosen(
    functions: Mapping[str, Sequence[str] | str] | Iterable[str] | None,
) -> tuple[frozenset[str], Mapping[str, Sequence[str] | str]]:
    """The functions that targets have (none: all), and the commands of further ones."""
    if functions is None or isinstance(functions, Mapping):
        return frozenset(), functions or {}
    names = (
        list(functions) if isinstance(functions, Iterable) and type(functions) is not str else []
    )
    unknown = [name for name in names if name not in BUILTIN]
    if unknown or not names:
        raise ConfigError(
            f"functions={functions!r}: the embedded lab has {', '.join(BUILTIN)}",
            hint="Name some of these, or give commands of your own: {'hello': ['echo', 'hello']}.",
        )
    return frozenset(names), {}


def _targets(local: LocalLab, named: frozenset[str]) -> list[Target]:
    ssh = local.ssh
    host = Host(
        ssh.host,
        user=ssh.user,
        port=ssh.port,
        key=ssh.key,
        known_hosts=ssh.known_hosts,
        become=False,
    )
    generator = Generator(
        host,
        name="local",
        workspace_root=local.workspace_root,
        variables={"python": ssh.python, **local.places},
    )
    return [
        Target(
            gateway.name,
            gateway=gateway.url,
            generator=generator,
            functions=[_function(name) for name in gateway.functions if not named or name in named],
            auth=gateway.auth,
            prometheus=gateway.prometheus_url,
            queries="local",
        )
        for gateway in local.gateways
    ]


def _function(name: str) -> Function:
    method = "POST" if name in _BODIES else "GET"
    return Function(name, method=method, body=_BODIES.get(name, b""))
