"""What shall be provisioned, as values, and as variables of the playbooks."""

from __future__ import annotations

import functools
import hashlib
import json
import shlex
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from dfaas_lab.config import Host
from dfaas_lab.playbook_variables import check_source, check_version
from dfaas_lab.provision.local_k6 import local_k6
from dfaas_lab.remote.openssh_arguments import ssh_arguments
from dfaas_lab.remote.ssh_config import resolve

Key = tuple[Hashable, ...]

DEFAULT_K6_VERSION = "1.1.0"


@dataclass(frozen=True, kw_only=True)
class _HostSpec:
    """What any host has.

    Args:
        host: Where it is.
        name: What people call it.
        python: The interpreter there; None lets Ansible find it.
        variables: Any other variable of ``playbooks/group_vars/all.yml``.
    """

    host: Host
    name: str
    python: str | None = None
    variables: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def label(self) -> str:
        """What people see of it in reports and bars."""
        return _label(self.host)

    def _item(self, name: str, digest: str) -> dict[str, Any]:
        """Both ways in agree: Fabric goes by the same resolved host."""
        resolved = resolve(self.host)
        return {
            "name": name,
            "address": resolved.address,
            "port": resolved.port,
            "user": resolved.user,
            "ssh_args": shlex.join(ssh_arguments(resolved)),
            "connect_timeout_s": max(int(self.host.connect_timeout), 1),
            "become": self.host.become,
            "become_with_password": self.host.become_password is not None,
            "python": self.python or "",
            "playbook_digest": digest,
        }


@dataclass(frozen=True, kw_only=True)
class GeneratorSpec(_HostSpec):
    """A generator as it shall be.

    Args:
        workspace_root: The folder of the workspaces there.
        k6_version: The version of k6; None means this machine's own, else the pinned one.
        k6_source: Where k6 comes from (``copy``, ``release``, ``apt``, ``present``); None lets the
            playbook choose.
        install_dir: The folder for k6; None means ``/opt/dfaas-lab``, or a place in the user's home
            without root and sudo.
        remote_tmp: The folder of Ansible's temporary files there; None means Ansible's default.
    """

    workspace_root: str = "/tmp/dfaas-runs"  # noqa: S108 (a folder there, which the playbook checks)
    k6_version: str | None = None
    k6_source: str | None = None
    install_dir: str | None = None
    remote_tmp: str | None = None

    def __post_init__(self) -> None:
        check_source(self.k6_source)
        check_version(self.k6_version)
        if self.k6_version is not None:  # k6 itself writes v1.1.0; nobody else compares with that
            object.__setattr__(self, "k6_version", self.k6_version.removeprefix("v"))

    @property
    def state_key(self) -> Key:
        """The place that holds one marker: two specs with the same one overwrite each other."""
        return ("generator", *_place(self.host), self.workspace_root)

    @property
    def key(self) -> Key:
        """What makes two of them the same to the session's cache."""
        wanted = (self.k6_version, self.k6_source, self.install_dir)
        return (*self.state_key, *wanted, _text(self.variables))

    @property
    def wanted_version(self) -> str:
        """The version of k6 that shall be there; empty means any."""
        if self.k6_version is not None:
            return self.k6_version
        if self.k6_source == "present":
            return ""
        own = local_k6()
        return own.version if own else DEFAULT_K6_VERSION

    def digest(self) -> str:
        """Return the digest of the playbooks and of what they are told about this host."""
        wanted = (self.wanted_version, self.k6_source, self.install_dir, _text(self.variables))
        return _digest("generator", *wanted)

    def item(self, name: str) -> dict[str, Any]:
        """Return it as an item of the playbook's list ``generators``."""
        return {
            **self._item(name, self.digest()),
            "workspace_root": self.workspace_root,
            "k6_source": self.k6_source or "auto",
            "k6_version": self.wanted_version,
            "k6_install_dir": self.install_dir or "",
            "remote_tmp": self.remote_tmp or "",
        }


@dataclass(frozen=True, kw_only=True)
class TargetSpec(_HostSpec):
    """The host of a target; ``install_monitoring``: with Prometheus and node exporter."""

    install_monitoring: bool = False

    @property
    def state_key(self) -> Key:
        """The place that holds one marker: two specs with the same one overwrite each other."""
        return ("target", *_place(self.host))

    @property
    def key(self) -> Key:
        """What makes two of them the same to the session's cache."""
        return (*self.state_key, self.install_monitoring, _text(self.variables))

    def digest(self) -> str:
        """Return the digest of the playbooks and of what they are told about this host."""
        return _digest("target", self.install_monitoring, _text(self.variables))

    def item(self, name: str) -> dict[str, Any]:
        """Return it as an item of the playbook's list ``targets``."""
        item = self._item(name, self.digest())
        return {**item, "install_monitoring": self.install_monitoring}


Spec = GeneratorSpec | TargetSpec


def playbooks_folder() -> Path:
    """Return where the playbooks are: in an installed package, or beside it in a checkout."""
    package = Path(str(files("dfaas_lab")))
    inside = package / "playbooks"
    return inside if inside.is_dir() else package.parent / "playbooks"


def _place(host: Host) -> Key:
    # One address may be different machines behind different jump hosts.
    way = _place(host.jump) if host.jump else None
    return (host.address, host.port, host.user, host.become, way)


def _label(host: Host) -> str:
    return f"{host} via {_label(host.jump)}" if host.jump else str(host)


def _text(variables: Mapping[str, Any]) -> str:
    return json.dumps(dict(variables), sort_keys=True, default=str)


def _digest(*wanted: object) -> str:
    return hashlib.sha256((_playbooks_digest() + repr(wanted)).encode()).hexdigest()[:32]


@functools.cache
def _playbooks_digest() -> str:
    digest = hashlib.sha256()
    folder = playbooks_folder()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(file.relative_to(folder).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()
